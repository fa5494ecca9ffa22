// A job of a fleet as its submitter wants it.
#pragma once

#include "schemas/config.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace spillway {

inline constexpr std::int64_t job_weight_max = 1'000'000;
inline constexpr duration job_keep_default = std::chrono::hours(7 * 24);

/// What is absent is left to the members' configuration.
struct job_policy {
  std::string tenant;
  std::int64_t weight = 1;    ///< share of the work among jobs of equal priority; at least 1
  std::int32_t priority = 0;  ///< higher first
  route_policy routes;        ///< which lanes it may use
  std::optional<time_point> deadline;  ///< stored and shown
  duration keep = job_keep_default;    ///< input and results stay this long after the end
  std::optional<lane_order> order;
  std::optional<std::vector<std::string>> residency;
  std::optional<nano_usd> budget;
  std::optional<in_doubt_policy> in_doubt;
  std::optional<std::int64_t> max_attempts;
  std::optional<double> max_error_rate;
  std::optional<duration> stall_timeout;

  /// The policy laid over a member's defaults.
  [[nodiscard]] job_config over(job_config defaults) const;
};

/// A fleet's configuration file.
struct fleet_config {
  std::vector<pool_config> pools;    ///< may be empty for commands that only talk to Kafka
  job_policy job;                    ///< what the file says about jobs
  std::optional<duration> deadline;  ///< of a job, counted from its submission
  kafka_config kafka;
  member_config member;
};

/// True for what can name a job, a fleet or a member: 1 to 64 letters, digits, ".", "_" and "-",
/// not "." or "..".
[[nodiscard]] bool is_plain_name(std::string_view);

}  // namespace spillway
