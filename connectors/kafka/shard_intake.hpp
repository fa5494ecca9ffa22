// Turns the records of a partition of `shards` into the engine's shards. Pure.
#pragma once

#include "connectors/kafka/record.hpp"
#include "connectors/log.hpp"

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace spillway::kafka {

/// How a job stands when one of its records arrives.
struct job_standing {
  enum class state {
    unknown,     ///< no manifest and no submission under way, as far as `jobs` was read
    submitting,  ///< its manifest is still to come
    active,      ///< its prompts may run
    ended,       ///< it has its final record
    damaged,     ///< its manifest does not match what was submitted: held
  };
  state now = state::unknown;
  job_number number;
  std::string submission;                  ///< the one that counts
  bool takes_lines = false;                ///< open: plain lines are welcome
  std::optional<std::int64_t> end_offset;  ///< of a closed job: it takes no lines from here on
};
using job_lookup = std::function<job_standing(std::string_view job)>;

/// What can be wrong with a record of `shards`.
inline constexpr std::array<const char*, 8> dead_codes = {
    "damaged",   "encrypted",   "job_closed", "missing_job",
    "too_large", "unknown_job", "unparsable", "unknown_version"};

/// A record that can't be worked on, and why: one of `dead_codes`.
struct dead_record {
  std::int64_t offset = 0;
  record what;
  std::string code, message;
};

/// A record's prompts as the ledger counts them.
/// A later one for the same offset replaces it.
struct seen_record {
  std::int64_t offset = 0;
  std::uint32_t count = 0;   ///< prompts; 0: nothing to do
  bool line_record = false;  ///< its done bit stands in a block of 512 offsets
  std::string job;
};

struct intake_limits {
  std::size_t line_bytes_max = 16u << 20;
  std::size_t shard_bytes_max = 512u << 10;  ///< unless the record holds one larger prompt
};

/// Not thread-safe. Records come in the order of their offsets; a run of neighbouring line records
/// of one job within a block of 512 offsets becomes one shard.
class shard_intake {
 public:
  /// `store` keeps the lines of a shard for later readings; called once for each.
  shard_intake(partition_id, std::string topic_name, job_lookup,
               std::function<file_id(std::string_view)> intern,
               std::function<void(const shard_data&)> store, intake_limits);

  void feed(stored_record);
  /// Closes the run of line records that is being gathered: nothing more is there at the moment.
  void flush();
  /// Looks again at everything that waits for its job.
  void jobs_changed();
  /// True while records wait for a job that nobody has heard of.
  [[nodiscard]] bool undecided() const { return !undecided_.empty(); }
  /// `jobs` was read to an end that lies behind the arrival of the records below `offset`: what is
  /// unknown of them now stays so.
  void give_up_unknown(std::int64_t offset);

  /// The next shard, without id, and the name of its job. Its bytes are empty if it waited for its
  /// job: read it again.
  struct ready_shard {
    shard_data data;
    std::string job;
  };
  [[nodiscard]] std::optional<ready_shard> next();
  [[nodiscard]] std::size_t ready_bytes() const { return ready_bytes_; }
  [[nodiscard]] std::vector<dead_record> take_dead() { return std::exchange(dead_, {}); }
  [[nodiscard]] std::vector<seen_record> take_seen() { return std::exchange(seen_, {}); }
  /// The lines of one record or run as they were when it was first read; fails when they are not.
  [[nodiscard]] static result<shard_data> cut_again(const shard_descriptor&,
                                                    const std::vector<stored_record>&);

 private:
  struct shard_of_job {
    std::string job, submission;
    shard_data data;
    bool line_record = false;
  };
  enum class verdict { take, wait, undecided, drop };

  void take_packed(stored_record&&);
  void take_lines(stored_record&&);
  void place(shard_of_job&&);
  void add_line(const job_standing&, const std::string& job, std::int64_t offset,
                std::string_view line);
  [[nodiscard]] verdict judge(const shard_of_job&, const job_standing&) const;
  void set_aside(stored_record&&);
  void bury(stored_record&&, std::string code, std::string message);
  void make_ready(shard_of_job&&, job_number);

  partition_id partition_;
  std::string topic_name_;
  job_lookup jobs_;
  std::function<file_id(std::string_view)> intern_;
  std::function<void(const shard_data&)> store_;
  intake_limits limits_;
  std::optional<shard_of_job> run_;  ///< of line records, being gathered
  job_number run_job_;
  std::deque<stored_record> undecided_;
  std::map<std::string, std::vector<shard_of_job>, std::less<>> waiting_;  ///< without their bytes
  std::deque<ready_shard> ready_;
  std::size_t ready_bytes_ = 0;
  std::vector<dead_record> dead_;
  std::vector<seen_record> seen_;
};

}  // namespace spillway::kafka
