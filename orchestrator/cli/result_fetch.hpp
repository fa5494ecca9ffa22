// Reads a job's rows from `results`, committed ones only.
#pragma once

#include "orchestrator/cli/fleet.hpp"
#include "orchestrator/cli/result_files.hpp"
#include "orchestrator/engine/stop_flag.hpp"

#include <functional>

namespace spillway {

/// Goes on where the call before ended. Not thread-safe.
class result_fetcher {
 public:
  result_fetcher(fleet_access& fleet, std::string job) : fleet_(fleet), job_(std::move(job)) {}

  /// Every row up to the ends as they are now. Called for each row of the job; `seen` counts all
  /// records, of other jobs, too. Fails (stopped) when asked to stop.
  [[nodiscard]] result<void> fetch(const stop_flag&,
                                   const std::function<result<void>(fetched_row)>&,
                                   const std::function<void(std::uint64_t seen)>& progress);
  /// Records that say they are of this job and are not from Spillway.
  [[nodiscard]] std::uint64_t foreign() const { return foreign_; }

 private:
  fleet_access& fleet_;
  std::string job_;
  std::vector<std::int64_t> next_;  ///< by partition
  std::uint64_t seen_ = 0, foreign_ = 0;
};

}  // namespace spillway
