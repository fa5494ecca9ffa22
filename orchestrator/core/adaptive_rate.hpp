// The rate a provider is seen to accept, where nothing tells its limit or what tells it is wrong.
#pragma once

#include "orchestrator/core/gcra.hpp"
#include "schemas/units.hpp"

#include <array>
#include <optional>

namespace spillway {

/// Idle until a call is refused for its rate. Then sends are paced a little below what got through,
/// and after a while upwards from there, ever faster; once sends stay below the pace it lets go.
/// Each burst of refusals is one signal, and each pause is followed by a gentle start.
///
/// Where as large a share is refused at a much lower pace, the rate is not what it is refused for
/// (a provider short of capacity): then nothing is paced or paused, until more are refused.
///
/// A call counts as one, or as its tokens over those of the typical call, whichever is more: a
/// limit of tokens is met at no more than its rate whatever the sizes to come. Not thread-safe.
class adaptive_rate {
 public:
  explicit adaptive_rate(duration burst) : burst_(burst) {}

  [[nodiscard]] time_point ready_at(tokens size) const {
    return limiter_ ? limiter_->ready_at(cost_of(size)) : time_point{};
  }
  /// Typical calls a second that are let through; nothing while it is idle.
  [[nodiscard]] std::optional<double> per_second() const {
    return limiter_ ? std::optional(pace_) : std::nullopt;
  }
  /// Something got through since the last pause, even if all open calls will be refused: after a
  /// pause those are two at most.
  [[nodiscard]] bool flowing() const { return run_.sent - run_.refused >= 3 * call; }

  void take(time_point now, tokens size);
  /// Refusals come whatever the rate: no reason for a pause.
  [[nodiscard]] bool indifferent() const { return noise_.has_value(); }
  /// A taken call was never sent.
  void give_back(time_point now, tokens size);

  struct refusal {
    time_point sent{};   ///< when the call went out
    time_point until{};  ///< the lane pauses
    tokens size;
    bool slower = false;  ///< the provider asks for a slower ramp
    bool paced = false;   ///< another limiter knows a rate
    bool told = false;    ///< the provider says when: it counts
  };
  void refused(time_point now, const refusal&);

 private:
  static constexpr std::int64_t call = 1'000;  // units of a typical call
  static constexpr duration step = std::chrono::milliseconds(250);
  static constexpr std::int64_t steps = 240;

  /// From a pause to the next refusal.
  struct run {
    time_point resumed{};  ///< calls that went out earlier are an earlier burst's
    std::optional<time_point> began;
    std::int64_t sent = 0, refused = 0, calls = 0, calls_refused = 0;
    double pace = 0;    ///< at its end; 0: unlimited
    bool told = false;  ///< by some refusal, how long to wait
    double age_s = 0;   ///< at its beginning
  };
  struct level {
    bool engaged = false;
    double ceiling = 0;  ///< calls a second that got through
    double good = 0;     ///< … for long, lately; fades
    double pace = 0;     ///< of the moment
  };

  /// What became of calls at about one pace.
  struct sample {
    double pace = 0;
    std::int64_t calls = 0, refused = 0;
    [[nodiscard]] double share() const {
      return static_cast<double>(refused) / static_cast<double>(calls);
    }
  };

  void end_run();
  void watch_noise(bool refused);
  [[nodiscard]] std::int64_t cost_of(tokens size) const;
  [[nodiscard]] double pace_at(double age_s) const;
  [[nodiscard]] double lately() const;
  void add(time_point when, std::int64_t units);
  void decide(bool paced);

  duration burst_;
  double typical_ = 0;  ///< tokens of a call
  std::optional<gcra> limiter_;
  double ceiling_ = 0, good_ = 0, pace_ = 0;
  bool far_below_ = false;  ///< of what is known to be good, or nothing is known
  double depth_ = 0, recovery_s_ = 1;
  double age_s_ = 0;  ///< time in use since the last cut
  time_point last_{}, limited_at_{};
  run run_;
  // The burst of refusals that was met last.
  level before_;
  time_point cut_at_{}, resume_{};
  bool paused_ = false, slower_ = false;
  sample fast_, slow_;             ///< of runs in which something got through
  int runs_ = 0, empty_runs_ = 0;  ///< that the samples are of, and in which nothing got through
  std::optional<double> noise_;    ///< the share refused whatever the rate
  sample watched_;
  int doubts_ = 0;  ///< times that `noise_` was wrong
  struct bucket {
    std::int64_t at = -1, units = 0;
  };
  std::array<bucket, steps> through_{};  ///< the last minute: sent and not refused
};

}  // namespace spillway
