// What a lane did over the life of a state: kept durable with every commit, shown in tables.
#pragma once

#include "schemas/ids.hpp"
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

/// What one UTC day came to.
struct day_cost {
  std::int64_t day = 0;    ///< since 1970-01-01
  std::int64_t calls = 0;  ///< sends, retries included
  nano_usd settled;
  bool operator==(const day_cost&) const = default;
};

/// By day, ascending. The oldest days beyond `days_kept` are dropped.
class day_costs {
 public:
  static constexpr std::size_t days_kept = 400;
  /// Adds to one day, which need not be the last.
  void add(const day_cost&);
  void add(const day_costs& other) {
    for (const auto& d : other.days_) add(d);
  }
  [[nodiscard]] const std::vector<day_cost>& days() const { return days_; }
  bool operator==(const day_costs&) const = default;

 private:
  std::vector<day_cost> days_;
};

struct lane_totals {
  std::int64_t calls = 0;     ///< sends, retries included
  std::int64_t answered = 0;  ///< prompts this lane answered
  std::int64_t rejected = 0;  ///< prompts that ended as error rows here
  std::int64_t refused_429 = 0;
  std::int64_t failed = 0;        ///< 5xx, resets, timeouts, no connection
  std::int64_t retries = 0;       ///< sends of prompts that had been sent before
  std::int64_t spilled_in = 0;    ///< prompts taken although another lane ranked higher
  std::int64_t spilled_out = 0;   ///< prompts that went elsewhere although this lane ranked first
  std::int64_t maybe_billed = 0;  ///< sends that ended in doubt
  tokens input, cached, output;
  nano_usd settled;  ///< billed or charged in doubt
  latency_histogram latency;
  std::int64_t day = 0;  ///< UTC day of the two counters below
  std::int64_t day_requests = 0;
  nano_usd day_spend;
  day_costs by_day;

  /// Adds what the same lane did elsewhere. The day counters are those of the later day.
  void add(const lane_totals&);
};

/// Totals under the lane's name, so that they outlive changes of the configuration.
struct named_totals {
  std::string pool, lane, model;
  lane_totals totals;
};

/// What a lane did for one job.
struct job_totals {
  job_number job;
  named_totals lane;
};

}  // namespace spillway
