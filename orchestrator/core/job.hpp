// A job as the scheduler knows it: what may be done for it, and how it stands.
#pragma once

#include "schemas/config.hpp"
#include "schemas/ids.hpp"

#include <string>
#include <vector>

namespace spillway {

struct job_setup {
  std::string name, tenant;
  job_config policy;
  std::int64_t weight = 1;  ///< share among jobs of equal priority; at least 1
  int priority = 0;         ///< higher goes first
  bool paused = false;
  bool cancelled = false;  ///< unfinished prompts become error rows; never taken back
};

/// Why a job does not go on, if it doesn't.
enum class job_condition {
  running,
  paused,
  budget_spent,     ///< what is left does not cover the next prompt's worst case
  stalled,          ///< all lanes of a model were down for stall_timeout
  over_day,         ///< the next prompt's worst case is more than usd_per_day of any lane
  too_many_errors,  ///< held until its policy is put anew
  cancelled,
};
[[nodiscard]] const char* name_of(job_condition);

}  // namespace spillway
