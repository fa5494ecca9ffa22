// Progress of jobs over all partitions. Pure.
#pragma once

#include "connectors/kafka/job_table.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::kafka {

/// The newest progress of one job, by partition.
using job_parts = std::map<std::uint32_t, progress_record>;

/// What the topic `progress` says. Not thread-safe.
class progress_table {
 public:
  /// What is wrong with the record, when it is not one that can be used.
  std::optional<record_fault> apply(const stored_record&);
  [[nodiscard]] const job_parts& of(std::string_view job) const;

 private:
  std::map<std::string, job_parts, std::less<>> jobs_;
};

/// Sums over the partitions.
struct job_sums {
  std::int64_t prompts = 0, answered = 0, errors = 0, invalid = 0;
  std::int64_t in_flight = 0, in_doubt = 0, maybe_billed = 0;
  nano_usd settled, reserved;
  std::vector<named_totals> lanes;
  time_point updated{};  ///< the newest
  /// What holds it up, by condition, with the partitions: "budget: ... (3 partitions)".
  std::vector<std::string> hindrances;
};
[[nodiscard]] job_sums sum_of(const job_parts&);
/// The same, with the prompts that the manifest counts and no owner has read yet.
[[nodiscard]] job_sums sum_of(const job_entry&, const job_parts&);

/// True when every prompt of the job has its row, and nothing can come after.
[[nodiscard]] bool is_complete(const job_entry&, const job_parts&, std::uint32_t partitions);

/// The job's final record; nothing while it is not complete, or when it has one.
[[nodiscard]] std::optional<final_record> final_of(const job_entry&, const job_parts&,
                                                   std::uint32_t partitions, time_point now);

}  // namespace spillway::kafka
