// Stops sending to a lane that fails, and tries it again step by step.
#pragma once

#include "schemas/units.hpp"

#include <array>

namespace spillway {

/// Closed: calls flow. Opens on >= 50% failures of >= 20 calls in 10 s, or on 5 in a row, for 5 s.
/// Then half-open with 1, 2 and 4 real prompts; a step passes unless more than half of it fail. The
/// longer it has been failing, the longer it is left alone: a tenth of that, 30 s at most.
class breaker {
 public:
  enum class state { closed, open, half_open };

  [[nodiscard]] state now_state(time_point now) const;
  /// True if one more call may be sent; in half-open the step's prompts are counted by `sent`.
  [[nodiscard]] bool allows(time_point now) const;
  /// When `allows` may turn true without an answer; `time_never` while a half-open step is out.
  [[nodiscard]] time_point ready_at(time_point now) const;
  void sent(time_point now);
  /// A call sent earlier ended: `healthy` as the outcome says.
  void ended(time_point now, bool healthy);
  /// A call came back without telling anything about health (never written, 429): its place in a
  /// half-open step is free again.
  void returned(time_point now);
  /// Opens at once for `pause` (lane down); afterwards it is probed as from any open state.
  void trip(time_point now, duration pause);
  /// Ends the pause of an open state: it is probed now.
  void probe(time_point now);

 private:
  static constexpr int in_a_row_max = 5;
  static constexpr int calls_min = 20;
  static constexpr duration open_for = std::chrono::seconds(5);
  static constexpr duration open_max = std::chrono::seconds(30);
  static constexpr std::array<int, 3> steps{1, 2, 4};

  void open(time_point now, duration pause);
  struct second {
    std::int64_t at = -1;
    int ok = 0, failed = 0;
  };

  bool closed_ = true;
  time_point open_until_{}, failing_since_{};
  bool stepping_ = false;  ///< half-open has begun after open_until_
  std::size_t step_ = 0;
  int step_sent_ = 0, step_ok_ = 0, step_failed_ = 0;
  int in_a_row_ = 0;
  std::array<second, 10> window_{};
};

}  // namespace spillway
