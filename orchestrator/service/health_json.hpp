// A member's view of itself as JSON. Money in USD, durations in seconds (keys end in _s); absent
// values are left out.
#pragma once

#include "orchestrator/service/health.hpp"

#include <string>

namespace spillway::service {

/// `{"alive":…,"tick_age_s":…,"tick_age_max_s":…}`
[[nodiscard]] std::string liveness_json(duration tick_age, duration tick_age_max);
/// `{"ready":…,"reasons":[…]}`
[[nodiscard]] std::string readiness_json(const readiness&);
/// The whole of `member_metrics`: partitions, lanes with latency quantiles, jobs.
[[nodiscard]] std::string status_json(const member_metrics&);

}  // namespace spillway::service
