// How a batch splits over lanes and how long it takes, before anything is sent: the scheduler's
// rule as flows. A prompt goes to the first lane in order that has a permit, by weights to the one
// whose turn it is, so with a backlog every lane runs at its quota, and each lane's permits are
// shared evenly by the kinds of prompts that may take it.
#pragma once

#include "schemas/units.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace spillway {

/// What a lane lets through; absent = no limit known.
struct plan_lane {
  std::optional<double> requests_per_s{}, tokens_per_s{};  ///< what may be used, headroom taken off
  std::int64_t slots = 1;                                  ///< calls at once
  std::optional<double> requests_per_day{}, nano_usd_per_day{};
};

/// What one prompt of a kind is on one lane.
struct plan_route {
  std::size_t lane = 0;  ///< index into the lanes
  double charge = 0;     ///< tokens, as the lane's limiter counts them
  double nano_usd = 0;   ///< expected cost
  double latency_s = 1;  ///< of a call; above 0
  double weight = 0;     ///< above 0: while there is room, prompts are shared by it
};

/// Prompts that look alike.
struct plan_kind {
  double prompts = 0;
  std::vector<plan_route> routes{};  ///< best first; none: nobody takes them
};

struct batch_plan {
  /// By kind and route: how many go that way. Kinds without a route have none.
  std::vector<std::vector<double>> prompts;
  std::optional<duration> finish;  ///< of the last answer; nothing when some would wait for ever
};

/// `start` matters for quotas of a UTC day, of which nothing is taken to be used yet.
[[nodiscard]] batch_plan plan_batch(const std::vector<plan_lane>&, const std::vector<plan_kind>&,
                                    time_point start);

}  // namespace spillway
