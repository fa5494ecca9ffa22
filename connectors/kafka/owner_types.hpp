// What goes into a partition's owner and what comes out of it.
#pragma once

#include "connectors/kafka/book.hpp"
#include "connectors/kafka/link.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace spillway::kafka {

struct owner_limits {
  /// From a transaction's first record. Each one costs the client and the broker milliseconds of
  /// CPU; one that is not committed at a crash is salvaged.
  duration commit_after = std::chrono::milliseconds(250);
  std::size_t commit_results = 1'000;
  std::size_t commit_bytes = 4 << 20;
  /// Batches on their way at once: what is queued meanwhile becomes the next one, so that under
  /// load few large requests are made instead of many small ones.
  std::ptrdiff_t batches_open = 1;
  duration batch_spacing = std::chrono::milliseconds(5);  ///< from one's beginning to the next's
  /// Answers wait so long, or for so many bytes, for company: nobody waits for them.
  duration publish_after = std::chrono::milliseconds(20);
  std::size_t publish_bytes = 256 << 10;
  duration snapshot_after = std::chrono::seconds(30);
  std::size_t snapshot_bytes = 64 << 20;  ///< of results since the last one
  duration index_after = std::chrono::seconds(1);
  duration late_grace = std::chrono::seconds(5);  ///< behind a call's deadline
  duration backoff_min = std::chrono::milliseconds(20);
  duration backoff_max = std::chrono::seconds(1);
  duration refused_wait = std::chrono::seconds(10);   ///< before what was refused is tried again
  duration hanging_after = std::chrono::seconds(2);   ///< then a hanging transaction is reported
  duration read_back_max = std::chrono::seconds(10);  ///< then the link is replaced
};

struct owner_setup {
  std::string session;  ///< new with every take-over, unique
  std::string fleet;    ///< uuid
  std::uint32_t partition = 0;
  std::string producer;  ///< the transactional id, for messages
  std::string index;     ///< from the local index; empty: none
  owner_limits limits;
};

/// Makes the link that the messages with this number come from. A link is destroyed before its
/// successor is made.
using link_factory = std::function<std::unique_ptr<partition_link>(std::uint64_t incarnation)>;
struct link_message {
  std::uint64_t incarnation = 0;
  link_event event;
};

/// What becomes durable together.
struct owner_group {
  std::vector<fleet_attempt> attempts;
  std::vector<finished_row> finished;
  std::vector<job_lane> totals;
  bool firm = false;  ///< durable only once its rows, and all before them, are
};

/// A command that takes effect once in each partition.
struct owner_command {
  std::string id;  ///< "<job>/<id of the command>"
  std::string job;
  bool retry = false;              ///< opens failed prompts; others are only noted as applied
  std::vector<std::string> codes;  ///< of a retry: rows with these codes; empty: all failed ones
};

struct held_place {
  place where;
  time_point until{};  ///< unless it is released earlier, it is in doubt then
};

struct recovered_partition {
  std::int64_t watermark = 0;   ///< everything below is done but `reopened`; read shards from here
  std::vector<done_rows> done;  ///< answers about to be published included
  std::vector<place> reopened;  ///< unfinished prompts below the watermark, to be read one by one
  std::vector<place> generations;       ///< those above 0
  std::vector<fleet_attempt> attempts;  ///< in_flight and not held: in doubt, `deaths` raised
  std::vector<held_place> held;         ///< a former owner's calls: not to be sent before released
  std::vector<job_state> jobs;          ///< answers about to be published included
  std::vector<std::string> applied;     ///< commands
  std::int64_t salvaged = 0, late = 0;  ///< answers found, about to be published
};

/// Finished without the caller.
struct settled_place {
  result_facts facts;
};
/// To be sent: nothing stands in the way any more.
struct reopened_place {
  fleet_attempt history;  ///< not in flight; a send in doubt is charged in it already
  bool in_doubt = false;
  bool retried = false;  ///< by a command; else a hold was released
};

inline constexpr std::string_view taken_over = "another member took the partition over";

enum class owner_state {
  opening,  ///< or opening again: appended groups wait
  stuck,    ///< like opening, and `message` says why it takes so long and what helps
  active,
  suspended,  ///< handing over or handed over: appended groups wait for `resume` or `leave`
  leaving,    ///< appended groups go to `late`
  closed,     ///< nothing is left to do
  dropped,    ///< another owner has the partition: what was not durable is lost for this one
};

struct owner_counters {
  std::uint64_t transactions = 0, commits = 0, fences = 0, reopenings = 0;
  std::uint64_t published = 0;  ///< answers the broker acknowledged
  std::uint64_t salvaged = 0, late = 0, ignored = 0, duplicates = 0;
  std::uint64_t snapshots = 0, trims = 0, rebuilt = 0;

  void add(const owner_counters& c) {
    transactions += c.transactions, commits += c.commits, published += c.published;
    fences += c.fences, reopenings += c.reopenings, salvaged += c.salvaged, late += c.late;
    ignored += c.ignored, duplicates += c.duplicates;
    snapshots += c.snapshots, trims += c.trims, rebuilt += c.rebuilt;
  }
};

struct owner_output {
  std::optional<std::uint64_t> durable;  ///< attempts of groups up to this number
  std::optional<recovered_partition> recovered;
  std::vector<settled_place> settled;
  std::vector<reopened_place> reopened;
  std::vector<std::string> applied;       ///< commands
  std::optional<std::string> index;       ///< to be stored locally
  std::optional<std::int64_t> watermark;  ///< moved: no unfinished prompt stands below
  owner_state state = owner_state::opening;
  std::string message;           ///< for people, of stuck and dropped
  bool handed_over = false;      ///< the hand-over is stored: the partition can be let go
  std::size_t held_bytes = 0;    ///< of answers that are not read back yet
  std::size_t unstored = 0;      ///< answers that the broker has not acknowledged
  time_point wake = time_never;  ///< step again then, or at the next message
};

}  // namespace spillway::kafka
