// The seam through which per-stripe work of a tick runs in parallel.
#pragma once

#include "schemas/ids.hpp"

#include <functional>

namespace spillway {

/// Always 16, whatever the number of threads: results do not depend on the machine.
inline constexpr std::size_t stripe_count = 16;

/// Neighbours go to different stripes, so that a burst of answers spreads evenly.
[[nodiscard]] constexpr std::size_t stripe_of(position p) { return p.value() % stripe_count; }

class stripe_runner {
 public:
  virtual ~stripe_runner() = default;
  /// Calls `work` once for each stripe, perhaps on many threads, and returns when all are done.
  /// Each call touches only its own stripe. `items` is the amount of work, so that a small tick
  /// can run on the calling thread.
  virtual void for_each_stripe(std::size_t items, const std::function<void(std::size_t)>& work) = 0;
};

/// Runs stripe after stripe on the calling thread: for simulation and tests.
class serial_stripes final : public stripe_runner {
 public:
  void for_each_stripe(std::size_t, const std::function<void(std::size_t)>& work) override {
    for (std::size_t s = 0; s < stripe_count; ++s) work(s);
  }
};

}  // namespace spillway
