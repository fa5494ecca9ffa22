// The page of /metrics: Prometheus' text exposition, version 0.0.4.
#pragma once

#include "orchestrator/service/member_metrics.hpp"
#include "orchestrator/service/process_stats.hpp"

#include <string>

namespace spillway::service {

inline constexpr const char* metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

/// At most this many unfinished jobs, the oldest, have series of their own; the others are summed
/// under the job name "" (no job has it), so that the number of jobs never bounds the page.
inline constexpr std::size_t jobs_shown_max = 200;

/// `since_tick`: how long ago the engine's loop last ran.
[[nodiscard]] std::string metrics_page(const member_metrics&, const process_stats&,
                                       duration since_tick);

}  // namespace spillway::service
