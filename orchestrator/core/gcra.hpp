// A rate limiter that paces instead of counting windows (generic cell rate algorithm).
#pragma once

#include "schemas/units.hpp"

#include <algorithm>

namespace spillway {

/// Grants at most `per_minute` units a minute with a bounded burst. Not thread-safe.
/// A cost larger than half the burst is granted once less than that half is owed, and then owed:
/// over any 60 s the grants stay within per_minute x (1 + burst / 60 s) plus one request.
class gcra {
 public:
  /// Starts empty: the first burst has to be earned, also after a restart.
  gcra(std::int64_t per_minute, duration burst, time_point now)
      : configured_(per_minute), per_minute_(per_minute), burst_(burst), paid_until_(now + burst) {}

  [[nodiscard]] bool allows(time_point now, std::int64_t cost) const {
    return ready_at(cost) <= now;
  }
  /// Earliest time at which `cost` may be taken if nothing else is.
  [[nodiscard]] time_point ready_at(std::int64_t cost) const {
    // A large cost leaves half the burst unused, so that being asked late costs no rate.
    const duration need = std::min(time_for(cost), burst_ / 2);
    return paid_until_ - (burst_ - need);
  }
  void take(time_point now, std::int64_t cost) {
    paid_until_ = std::max(now, paid_until_) + time_for(cost);
  }
  /// Corrects an earlier `take`: positive gives back, negative charges more.
  void give_back(std::int64_t cost) { paid_until_ -= time_for(cost); }
  /// Nothing is granted before `until`, when the provider says that less is left than we think.
  void hold(time_point until) { paid_until_ = std::max(paid_until_, until + burst_); }
  /// Follows the provider's own word on its limit, never above what was configured.
  void follow(std::int64_t per_minute) {
    per_minute_ = std::clamp<std::int64_t>(per_minute, 1, configured_);
  }
  /// Another rate from now on. What was taken stays owed in units, and what a larger rate adds
  /// starts empty: no change ever makes more available at once.
  void change(std::int64_t per_minute, time_point now) {
    const auto burst_units = [&](std::int64_t rate) {
      return static_cast<wide_int>(burst_.count()) * rate;
    };
    const auto owed = static_cast<wide_int>((paid_until_ - now).count()) * per_minute_;
    // Both in units x ns / min: what is owed, and what is free of the burst.
    const auto free = burst_units(per_minute_) - std::max<wide_int>(0, owed);
    const auto still_owed = std::max(std::max<wide_int>(0, owed), burst_units(per_minute) - free);
    configured_ = per_minute_ = per_minute;
    paid_until_ =
        now + duration(static_cast<std::int64_t>((still_owed + per_minute - 1) / per_minute));
  }
  [[nodiscard]] std::int64_t per_minute() const { return per_minute_; }

 private:
  [[nodiscard]] duration time_for(std::int64_t cost) const {
    return duration(
        static_cast<std::int64_t>(static_cast<wide_int>(cost) * 60'000'000'000 / per_minute_));
  }
  std::int64_t configured_, per_minute_;
  duration burst_;
  time_point paid_until_;
};

}  // namespace spillway
