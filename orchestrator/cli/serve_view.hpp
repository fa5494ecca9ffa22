// A member as its pages show it.
#pragma once

#include "orchestrator/engine/member.hpp"
#include "orchestrator/service/lane_meter.hpp"
#include "orchestrator/service/member_metrics.hpp"

#include <set>
#include <string>

namespace spillway {

/// Turns views into metrics. Keeps what makes counters of totals that move with partitions. Not
/// thread-safe.
class serve_view {
 public:
  serve_view(std::string fleet, std::string member)
      : fleet_(std::move(fleet)), member_(std::move(member)) {}
  [[nodiscard]] service::member_metrics metrics(const member_view&);

 private:
  void count_lanes(const member_view&);
  std::string fleet_, member_;
  service::lane_meter meter_;
  std::set<service::totals_source> known_;
};

}  // namespace spillway
