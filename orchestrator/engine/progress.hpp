// What a run looks like from outside, as plain values: for the terminal, `--json`, status.json and
// the final table. Times are Unix nanoseconds; all counters cover the whole state, resumed runs
// too.
#pragma once

#include "orchestrator/core/job.hpp"
#include "schemas/config.hpp"
#include "schemas/totals.hpp"
#include "schemas/units.hpp"

#include <optional>
#include <string>
#include <vector>

namespace spillway {

enum class lane_health {
  up,
  held,
  broken,
  probing,
  down_auth,
  down_billing,
  down_model,
  day_spent,
  no_credentials
};
[[nodiscard]] const char* name_of(lane_health);

struct lane_progress {
  std::string pool, lane, model;
  lane_health health = lane_health::up;
  std::string reason;               ///< for anything but `up`: last error, one line
  std::optional<time_point> since;  ///< not usable since
  std::optional<duration> resumes_in;
  std::int64_t in_flight = 0;
  std::optional<std::int64_t> concurrency;
  /// Share of what may be used (quota less headroom) over the last 10 s; absent without a quota.
  std::optional<double> rpm_used, tpm_used;
  lane_totals totals;
};

enum class run_state { starting, running, draining, finished, stopped, failed };
[[nodiscard]] const char* name_of(run_state);

struct run_progress {
  run_state state = run_state::starting;
  std::string stop_reason;   ///< for draining, stopped, failed: what happened and what to do
  bool input_read = false;   ///< the whole input has been indexed: `prompts` is final
  std::int64_t prompts = 0;  ///< lines found so far (bad ones included)
  double input_share = 0;    ///< share of input bytes indexed
  std::int64_t answered = 0;
  std::int64_t errors = 0;             ///< error rows
  std::int64_t invalid = 0;            ///< those of the error rows that were never sendable lines
  std::int64_t in_flight = 0;          ///< calls on the wire
  std::int64_t resumed = 0;            ///< prompts found done when this process started
  std::int64_t in_doubt_at_start = 0;  ///< open intents found when this process started
  std::int64_t adopted = 0;            ///< answers found written but not yet recorded at start
  nano_usd settled;                    ///< billed, plus in doubt
  nano_usd reserved;                   ///< worst case of open calls
  std::optional<nano_usd> budget;
  double rate = 0;  ///< answered a second, over the last 10 s
  std::optional<duration> eta;
  time_point started_at, now;
  std::vector<lane_progress> lanes;
};

/// One job on one partition.
struct job_progress {
  job_number job;
  partition_id partition;
  std::int64_t prompts = 0;  ///< lines read so far
  std::int64_t answered = 0, errors = 0;
  std::int64_t invalid = 0;       ///< of the errors: never sendable
  std::int64_t in_flight = 0;     ///< intents given out, call not ended
  std::int64_t in_doubt = 0;      ///< unfinished prompts one of whose sends may have been billed
  std::int64_t maybe_billed = 0;  ///< sends that ended in doubt
  nano_usd settled, reserved;
  job_condition condition = job_condition::running;  ///< of the job, on all partitions
  std::string reason;
  std::vector<named_totals> lanes;
};

}  // namespace spillway
