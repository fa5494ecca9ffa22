// What a run looks like from outside, as plain values: for the terminal, `--json`, status.json and
// the final table. Times are Unix nanoseconds; all counters cover the whole state, resumed runs too.
#pragma once

#include "schemas/config.hpp"
#include "schemas/units.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace spillway {

/// Call latencies in log-spaced buckets: bucket i covers [1 ms x 2^(i/4), 1 ms x 2^((i+1)/4)).
struct latency_histogram {
  static constexpr std::size_t buckets = 96;
  std::array<std::int64_t, buckets> count{};
  void add(duration);
  /// Upper bound of the bucket that holds the quantile q in [0, 1]; nothing when empty.
  [[nodiscard]] std::optional<duration> quantile(double q) const;
};

/// What a lane did over the life of the state. Kept durable with every commit.
struct lane_totals {
  std::int64_t calls = 0;         ///< sends, retries included
  std::int64_t answered = 0;      ///< prompts this lane answered
  std::int64_t rejected = 0;      ///< prompts that ended as error rows here
  std::int64_t refused_429 = 0;
  std::int64_t failed = 0;        ///< 5xx, resets, timeouts, no connection
  std::int64_t retries = 0;       ///< sends of prompts that had been sent before
  std::int64_t spilled_in = 0;    ///< prompts taken although another lane ranked higher
  std::int64_t spilled_out = 0;   ///< prompts that went elsewhere although this lane ranked first
  std::int64_t maybe_billed = 0;  ///< sends that ended in doubt
  tokens input, cached, output;
  nano_usd settled;               ///< billed or charged in doubt
  latency_histogram latency;
  std::int64_t day = 0;           ///< UTC day of the two counters below
  std::int64_t day_requests = 0;
  nano_usd day_spend;
};

enum class lane_health { up, held, broken, probing, down_auth, down_billing, down_model, day_spent };
[[nodiscard]] const char* name_of(lane_health);

struct lane_progress {
  std::string pool, lane, model;
  lane_health health = lane_health::up;
  std::string reason;              ///< for anything but `up`: last error, one line
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
  std::string stop_reason;      ///< for draining, stopped, failed: what happened and what to do
  bool input_read = false;      ///< the whole input has been indexed: `prompts` is final
  std::int64_t prompts = 0;     ///< lines found so far (bad ones included)
  double input_share = 0;       ///< share of input bytes indexed
  std::int64_t answered = 0;
  std::int64_t errors = 0;      ///< error rows
  std::int64_t invalid = 0;     ///< those of the error rows that were never sendable lines
  std::int64_t in_flight = 0;   ///< calls on the wire
  std::int64_t resumed = 0;     ///< prompts found done when this process started
  std::int64_t in_doubt_at_start = 0;  ///< open intents found when this process started
  std::int64_t adopted = 0;     ///< answers found written but not yet recorded at start
  nano_usd settled;             ///< billed, plus in doubt
  nano_usd reserved;            ///< worst case of open calls
  std::optional<nano_usd> budget;
  double rate = 0;              ///< answered a second, over the last 10 s
  std::optional<duration> eta;
  time_point started_at, now;
  std::vector<lane_progress> lanes;
};

}  // namespace spillway
