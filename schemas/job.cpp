#include "schemas/job.hpp"

#include <algorithm>

namespace spillway {

job_config job_policy::over(job_config defaults) const {
  if (order) defaults.order = *order;
  if (residency) defaults.residency = residency;
  defaults.routes = routes.over(std::move(defaults.routes));
  if (budget) defaults.budget = budget;
  if (in_doubt) defaults.in_doubt = *in_doubt;
  if (max_attempts) defaults.max_attempts = *max_attempts;
  if (max_error_rate) defaults.max_error_rate = max_error_rate;
  if (stall_timeout) defaults.stall_timeout = *stall_timeout;
  return defaults;
}

bool is_plain_name(std::string_view name) {
  constexpr std::size_t length_max = 64;
  if (name.empty() || name.size() > length_max || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

}  // namespace spillway
