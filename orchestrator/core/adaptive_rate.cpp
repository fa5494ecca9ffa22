#include "orchestrator/core/adaptive_rate.hpp"

#include <algorithm>
#include <cmath>

namespace spillway {
namespace {

using namespace std::chrono_literals;

// All of these are tuned by tests/sim/adaptive_rate_test.cpp.
constexpr double kept_below = 0.97;
// After a cut the pace starts so much below and is back after so long; then it stays for a while.
constexpr double cut_depth = 0.15, recovery_s = 10, plateau_s = 15;
constexpr double slow_depth = 0.5, slow_recovery_s = 60;
// Then it searches: twice the ceiling after so long, 16 times after twice of it, then 512 times.
constexpr double search_s = 8, far_search_s = 5;
// Where calls are rare, so are the news: plateau and search last up to so many times as long.
constexpr double rare_per_s = 2.5, slowness_max = 2.5;
// A cut leaves that much at least.
constexpr double share_least = 0.3;
// Ceilings that held for long are remembered, less with each cut.
constexpr duration held_least = 1s;
constexpr double held_calls = 6;
constexpr double good_kept = 0.7, far_below = 0.125, good_over_minute = 4;
// A pause between sends tells no more than this about time in use.
constexpr double idle_s_max = 5;
// The first calls after a pause: one in flight or two until a refusal may be back.
constexpr double ramp_s = 0.5, ramp_from = 10;
constexpr double pace_least = 0.5, pace_max = 1e6;
constexpr duration let_go_after = 20s;
// Refusals that a pace this much lower does not make rarer, of so many calls at each.
constexpr double pace_band = 0.75, pace_much_lower = 0.6;
constexpr std::int64_t sample_calls = 30;
constexpr double noise_share_max = 0.35, noise_share_kept = 0.6, empty_runs_max = 0.4;
constexpr std::int64_t watch_calls = 20, watch_calls_max = 2'000;
constexpr int doubts_max = 2;

std::int64_t step_of(time_point t, duration step) { return t.time_since_epoch() / step; }

}  // namespace

std::int64_t adaptive_rate::cost_of(tokens size) const {
  const double n = typical_ > 0 ? static_cast<double>(size.count()) / typical_ : 1;
  return std::max(call, static_cast<std::int64_t>(std::min(n, 1e6) * call));
}

double adaptive_rate::pace_at(double age_s) const {
  const double kept = kept_below * ceiling_;
  if (age_s < recovery_s_) return kept * (1 - depth_ * std::pow(1 - age_s / recovery_s_, 3));
  const double slowness = std::clamp(rare_per_s / ceiling_, 1.0, slowness_max);
  const double plateau = far_below_ ? 0 : plateau_s * slowness;
  const double doubling = far_below_ ? far_search_s : search_s * slowness;
  const double x = std::max(0.0, age_s - recovery_s_ - plateau) / doubling;
  return std::min(kept * std::exp2(std::min(x * x, 60.0)), pace_max);
}

void adaptive_rate::add(time_point when, std::int64_t units) {
  const auto at = step_of(when, step);
  auto& b = through_[static_cast<std::size_t>(at % steps)];
  if (b.at > at) return;  // more than a minute ago
  if (b.at < at) b = {at, 0};
  b.units += units;
}

void adaptive_rate::take(time_point now, tokens size) {
  if (!limiter_) {
    const double n = static_cast<double>(size.count());
    typical_ += (n - typical_) / (typical_ > 0 ? 64 : 1);
  }
  const auto cost = cost_of(size);
  add(now, cost);
  if (noise_) return watch_noise(false);
  if (paused_) {
    end_run();
    paused_ = false;
    run_ = {.resumed = resume_, .began = {}, .age_s = age_s_};
  }
  if (!run_.began) run_.began = now;
  run_.sent += cost;
  ++run_.calls;
  if (!limiter_) return;
  age_s_ += std::clamp(seconds_of(now - last_), 0.0, idle_s_max);
  last_ = std::max(last_, now);
  pace_ = pace_at(age_s_);
  if (limiter_->ready_at(cost) + 10ms > now) limited_at_ = now;
  if (now - limited_at_ > let_go_after) return limiter_.reset();
  const double ramp = std::clamp(seconds_of(now - run_.resumed) / ramp_s, 0.0, 1.0);
  const double rate = std::max(pace_ * ramp, std::min(pace_, ramp_from));
  limiter_->change(static_cast<std::int64_t>(rate * 60 * call), now);
  limiter_->take(now, cost);
}

void adaptive_rate::give_back(time_point now, tokens size) {
  const auto cost = cost_of(size);
  add(now, -cost);
  if (noise_) return;
  run_.sent -= cost;
  --run_.calls;
  if (limiter_) limiter_->give_back(cost);
}

void adaptive_rate::refused(time_point now, const refusal& r) {
  const auto cost = cost_of(r.size);
  add(r.sent, -cost);
  if (noise_) return watch_noise(true);
  const bool of_run = r.sent >= run_.resumed;
  if (of_run) {
    run_.refused += cost;
    ++run_.calls_refused;
    run_.told = run_.told || r.told;
  }
  if (r.sent >= resume_) {
    before_ = {limiter_.has_value(), ceiling_, good_, pace_};
    cut_at_ = now;
    run_.pace = pace_;
    paused_ = true;
    slower_ = false;
  }
  slower_ = slower_ || r.slower;
  resume_ = std::max(resume_, r.until);
  if (of_run && paused_) decide(r.paced);
}

/// A run is over: was as large a share refused as at a much higher pace?
void adaptive_rate::end_run() {
  const auto& r = run_;
  if (r.told || r.pace <= 0 || doubts_ >= doubts_max) return;
  ++runs_;
  if (r.calls <= r.calls_refused) {
    ++empty_runs_;
    return;
  }
  const bool same =
      slow_.calls > 0 && r.pace >= pace_band * slow_.pace && r.pace <= slow_.pace / pace_band;
  if (!same) {
    if (slow_.calls >= sample_calls && slow_.pace > fast_.pace) fast_ = slow_;
    slow_ = {.pace = r.pace};
  }
  slow_.calls += r.calls;
  slow_.refused += r.calls_refused;
  if (slow_.calls < sample_calls || fast_.calls == 0) return;
  if (slow_.pace > pace_much_lower * fast_.pace) return;
  // Refusals that come together are a window's.
  if (slow_.share() > noise_share_max || empty_runs_ > empty_runs_max * runs_) return;
  if (slow_.share() >= noise_share_kept * fast_.share()) {
    noise_ = slow_.share();
    watched_ = {};
    limiter_.reset();
  }
  runs_ = empty_runs_ = 0;
  fast_ = slow_ = {};
}

/// Calls count as they go out, refusals as they come: of a burst neither alone tells anything.
void adaptive_rate::watch_noise(bool refused) {
  ++(refused ? watched_.refused : watched_.calls);
  if (watched_.calls < watch_calls) return;
  const double more = std::min(2 * *noise_ + 0.15, 0.6);
  if (refused && watched_.share() > more) {  // the rate matters after all
    ++doubts_;
    noise_.reset();
    run_ = {};
  } else if (watched_.calls >= watch_calls_max) {
    if (watched_.refused == 0) noise_.reset();
    watched_.calls /= 2;
    watched_.refused /= 2;
  }
}

/// What the burst of refusals, as far as it is known, says about the rate.
void adaptive_rate::decide(bool paced) {
  const bool some = run_.sent - run_.refused >= call;
  if (!before_.engaged && !some && paced) return limiter_.reset();
  depth_ = slower_ ? slow_depth : cut_depth;
  recovery_s_ = slower_ ? slow_recovery_s : recovery_s;
  good_ = before_.good;
  age_s_ = 0;
  if (!some) {
    // The pause was too short, which tells nothing; but where that goes on, the provider counts
    // by a long window, and only what got through over as long tells its limit.
    const double minute = lately();
    ceiling_ = before_.engaged ? before_.ceiling : pace_least;
    if (minute == 0) good_ = 0;
    if (minute > 0 && minute < ceiling_) {
      ceiling_ = minute;
      good_ = std::min(good_, good_over_minute * minute);
    }
    age_s_ = std::min(run_.age_s, recovery_s_);
  } else {
    const double sent = static_cast<double>(run_.sent);
    const double through = sent - static_cast<double>(run_.refused);
    // As if one more had got through: where few were sent, one refusal proves little.
    const double share = std::max(share_least, (through + call) / (sent + call));
    ceiling_ = before_.engaged ? before_.pace * share : lately();
    const bool held = through >= held_calls * call && cut_at_ - *run_.began >= held_least;
    good_ = std::max(good_kept * good_, held ? ceiling_ : 0);
  }
  ceiling_ = std::max(ceiling_, pace_least);
  far_below_ = ceiling_ <= far_below * good_ || good_ == 0;
  if (far_below_) age_s_ = recovery_s_;
  pace_ = pace_at(age_s_);
  last_ = limited_at_ = resume_;
  // One call goes as soon as the pause is over.
  const double rate = std::min(pace_, ramp_from);
  const auto spacing = std::min(from_seconds(1 / rate), burst_ / 2);
  limiter_.emplace(static_cast<std::int64_t>(rate * 60 * call), burst_, resume_ - spacing);
}

/// Calls a second that got through in the minute before the burst, or since sends began in it.
double adaptive_rate::lately() const {
  const auto now = step_of(cut_at_, step);
  std::int64_t first = now, sum = 0;
  for (const auto& b : through_) {
    if (b.at <= now - steps || b.at > now) continue;
    if (b.units > 0) first = std::min(first, b.at);
    sum += b.units;
  }
  const double span_s = std::max(1.0, seconds_of((now - first + 1) * step));
  return static_cast<double>(std::max<std::int64_t>(sum, 0)) / call / span_s;
}

}  // namespace spillway
