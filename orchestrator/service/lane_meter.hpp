// Lane totals as counters of a process. The totals of a ledger cover the whole life of a partition
// and travel with it; a counter that moved with them would jump at every rebalance.
#pragma once

#include "schemas/ids.hpp"
#include "schemas/totals.hpp"

#include <map>
#include <span>
#include <string>
#include <tuple>

namespace spillway::service {

/// Where totals come from: one job in one partition.
struct totals_source {
  partition_id partition;
  job_number job;
  auto operator<=>(const totals_source&) const = default;
};

/// Not thread-safe.
class lane_meter {
 public:
  /// The partition became ours with these totals; what they hold was done before.
  void begin(totals_source, std::span<const named_totals>);
  /// The totals of one source as they are now; what is new since the last time is counted. A lane
  /// not known from `begin` starts from nothing.
  void update(totals_source, std::span<const named_totals>);
  /// The partition is no longer ours: its sources are forgotten, what they counted stays.
  void end(partition_id);
  /// Nothing more comes from this job.
  void end(job_number);

  /// Counted so far; zeros for a lane that did nothing. `day` and its two counters are not kept.
  [[nodiscard]] lane_totals of(const std::string& pool, const std::string& lane,
                               const std::string& model) const;

 private:
  using lane_key = std::tuple<std::string, std::string, std::string>;
  std::map<std::pair<totals_source, lane_key>, lane_totals> seen_;
  std::map<lane_key, lane_totals> counted_;
};

}  // namespace spillway::service
