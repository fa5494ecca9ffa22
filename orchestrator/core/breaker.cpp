#include "orchestrator/core/breaker.hpp"

#include <algorithm>

namespace spillway {

breaker::state breaker::now_state(time_point now) const {
  if (closed_) return state::closed;
  return now < open_until_ ? state::open : state::half_open;
}

bool breaker::allows(time_point now) const {
  switch (now_state(now)) {
    case state::closed: return true;
    case state::open: return false;
    case state::half_open: return !stepping_ || step_sent_ < steps[step_];
  }
  return false;
}

time_point breaker::ready_at(time_point now) const {
  if (allows(now)) return now;
  return now_state(now) == state::open ? open_until_ : time_never;
}

void breaker::sent(time_point now) {
  if (now_state(now) != state::half_open) return;
  if (!stepping_) {
    stepping_ = true;
    step_ = 0;
    step_sent_ = step_ok_ = step_failed_ = 0;
  }
  ++step_sent_;
}

void breaker::returned(time_point now) {
  if (now_state(now) == state::half_open && stepping_ && step_sent_ > step_ok_ + step_failed_)
    --step_sent_;
}

void breaker::ended(time_point now, bool healthy) {
  if (closed_) {
    const std::int64_t s = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
    auto& bucket = window_[static_cast<std::size_t>(s % 10)];
    if (bucket.at != s) bucket = {s, 0, 0};
    ++(healthy ? bucket.ok : bucket.failed);
    in_a_row_ = healthy ? 0 : in_a_row_ + 1;
    if (healthy) return;
    int ok = 0, failed = 0;
    for (const auto& b : window_)
      if (b.at > s - 10) {
        ok += b.ok;
        failed += b.failed;
      }
    if (in_a_row_ >= in_a_row_max || (ok + failed >= calls_min && failed >= ok))
      open(now, open_for);
    return;
  }
  // Answers of calls sent before it opened tell nothing about the step under way.
  if (!stepping_ || now < open_until_ || step_ok_ + step_failed_ >= step_sent_) return;
  ++(healthy ? step_ok_ : step_failed_);
  const int size = steps[step_];
  if (step_failed_ * 2 > size)
    return open(now, std::clamp<duration>((now - failing_since_) / 10, open_for, open_max));
  if (step_ok_ + step_failed_ < size) return;
  if (step_ + 1 < steps.size()) {
    ++step_;
    step_sent_ = step_ok_ = step_failed_ = 0;
    return;
  }
  *this = breaker{};
}

void breaker::trip(time_point now, duration pause) {
  if (closed_ || stepping_ || now + pause > open_until_) open(now, pause);
}

void breaker::probe(time_point now) {
  if (now_state(now) == state::open) open(now, {});
}

void breaker::open(time_point now, duration pause) {
  const auto since = closed_ ? now : failing_since_;
  *this = breaker{};
  closed_ = false;
  failing_since_ = since;
  open_until_ = now + pause;
}

}  // namespace spillway
