// The seam between the engine and a partition's log: shards come in, intents and results go out.
#pragma once

#include "schemas/attempt.hpp"
#include "schemas/outcome.hpp"
#include "schemas/prompt.hpp"
#include "schemas/result.hpp"
#include "schemas/totals.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace spillway {

/// What a log that learns of shards only as it reads them knows of one's prompts beforehand.
struct shard_past {
  struct entry {
    attempt_record last;
    bool held = false;   ///< not to be sent until the log reopens it
    bool ended = false;  ///< its send was open and is in doubt now: to be recorded
  };
  shard_bits done;
  std::vector<entry> attempts;  ///< of unfinished prompts
};

/// A shard as it was read. `bytes` ends with `read_padding` further readable bytes, for parsers.
struct shard_data {
  shard_descriptor where;
  std::string bytes;       ///< the lines, followed by the padding
  std::size_t size = 0;    ///< of the lines
  bool oversized = false;  ///< one line above the limit: `bytes` holds only its beginning
  std::shared_ptr<const shard_past> past;  ///< on the first reading; absent: there is none
};
inline constexpr std::size_t read_padding = 64;

/// A shard that was indexed: its place, and the hash of each custom_id (0 for an invalid line),
/// so that finding duplicates after a restart needs no parsing.
struct shard_record {
  shard_descriptor where;
  std::vector<std::uint64_t> id_hashes;
};

enum class row_kind {
  answered,  ///< goes to the results
  failed,    ///< goes to the errors: sent, or held, and given up
  invalid,   ///< goes to the errors: a line that can't be sent
  refused,   ///< goes to the errors: no lane may take it, as things are configured
};

/// A finished prompt and its row, which ends with a line feed. The rest is for logs whose rows
/// aren't lines of a file.
struct finished_prompt {
  position where;
  row_kind kind = row_kind::answered;
  std::string row{};
  job_number job{};
  std::string custom_id_token{};        ///< JSON string token, or "null"
  std::string pool{}, lane{}, model{};  ///< of the last send; empty when there was none
  std::string error_code{};             ///< empty when answered
  token_usage usage{};
  nano_usd charged{};  ///< all it was charged, sends in doubt included
  std::uint32_t sends = 0, maybe_billed = 0;
  time_point done_at{};
};

/// What becomes durable together. Rows are on disk before anything that says so.
struct commit_group {
  std::vector<shard_record> shards;
  std::vector<finished_prompt> finished;
  std::vector<attempt_record> attempts;  ///< intents, and sends that ended without a result
  std::vector<job_totals> totals;        ///< those this group changed, as of it
  bool firm = false;                     ///< durable only once its rows, and all before them, are

  [[nodiscard]] bool empty() const {
    return shards.empty() && finished.empty() && attempts.empty() && totals.empty();
  }
};

struct recovered_shard {
  shard_descriptor where;
  shard_bits done;
  std::vector<std::uint64_t> id_hashes;
};

/// Rows of a job found in a log.
struct job_rows {
  job_number job;
  std::int64_t answered = 0, errors = 0;
  std::int64_t invalid = 0;  ///< of the errors
};

/// What a log held when it was taken over.
struct recovered_log {
  std::vector<recovered_shard> shards;
  /// The last record of each unfinished prompt. One in flight is in doubt, unless it is held; its
  /// `deaths` include the last owner's.
  std::vector<attempt_record> attempts;
  std::vector<job_totals> totals;
  std::int64_t answered = 0, errors = 0, invalid = 0;  ///< of job 0, where `rows` is empty
  std::vector<job_rows> rows;
  std::int64_t adopted = 0;  ///< answers that were written but not recorded; recorded now
  std::uint64_t input_bytes = 0;
  /// A former owner's calls that may still be answered: not to be sent until the log reopens them.
  std::vector<position> held;
  /// Worst cases of held sends whose shards are still to be read.
  std::vector<std::pair<job_number, nano_usd>> reserved;
};

/// Finished without the engine: an answer that a former owner got after it handed over.
struct settled_prompt {
  position where;
  row_kind kind = row_kind::answered;
  job_number job;
  nano_usd charged;  ///< all it was charged
  std::string pool, lane;
  token_usage usage;
};

/// A prompt to be sent after all: a hold that was released, or the retry of a failed one.
struct reopened_prompt {
  /// Its last record. In doubt, `reserved` is the open send's and `charged` is without it: whoever
  /// reopens it charges it.
  attempt_record history;
  /// A former send may have been billed; else it is sent whatever the in-doubt policy.
  bool in_doubt = false;
};

/// What a log learns on its own while it is owned.
struct log_news {
  std::vector<settled_prompt> settled;
  std::vector<reopened_prompt> reopened;

  [[nodiscard]] bool empty() const { return settled.empty() && reopened.empty(); }
};

/// Where shards come from. Used from one thread.
class shard_source {
 public:
  virtual ~shard_source() = default;
  /// The next shard nobody has read; nothing at the end of the input.
  [[nodiscard]] virtual result<std::optional<shard_data>> read_next() = 0;
  /// A shard read before; fails when it is not what it was.
  [[nodiscard]] virtual result<shard_data> read(const shard_descriptor&) = 0;
  /// True: no shard now does not mean the end; `shard_reader::wake` tells when to look again.
  [[nodiscard]] virtual bool endless() const { return false; }
};

/// Shards are read on one thread, groups appended on another.
class partition_log : public shard_source {
 public:
  /// Becomes the one owner and returns what is there. Called once, before anything else.
  [[nodiscard]] virtual result<recovered_log> take_over() = 0;
  /// Queues a group; groups become durable in the order of their numbers. The sink given at
  /// construction learns of it. A log may tell so while the group's rows are still on their way,
  /// unless it is firm: `close` waits for them, and a prompt whose row is lost by a crash counts
  /// as in flight.
  virtual void append(commit_seq, commit_group) = 0;
  /// Waits until everything appended is durable, and lets go of the log.
  [[nodiscard]] virtual result<void> close() = 0;
  /// How long after it was appended an intent may still be sent; nothing = always.
  [[nodiscard]] virtual std::optional<duration> intent_validity() const { return std::nullopt; }

  /// First phase of a hand-over: nothing more is sent, open calls go on.
  virtual void suspend() {}
  /// The partition stays here after all.
  virtual void resume() {}
  /// It is another's now: what is appended from here on belongs to calls that were open.
  virtual void leave() {}
};

/// Called from the log's thread: all groups up to this one are durable, or writing failed and
/// nothing later will become durable.
using durable_sink = std::function<void(result<commit_seq>)>;

}  // namespace spillway
