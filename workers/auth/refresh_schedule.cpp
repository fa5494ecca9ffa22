#include "workers/auth/refresh_schedule.hpp"

#include <algorithm>
#include <cstdio>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr duration retry_min = 1s;
constexpr duration retry_max = 30s;          // while there is a credential to use
constexpr duration retry_max_missing = 10s;  // prompts wait for it
constexpr duration renew_pause_min = 1s;
/// A credential that worked this long was right: its refusal begins a story of its own.
constexpr duration proven = 1min;

std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

std::string clock_text(time_point t) {
  const auto day = std::chrono::floor<std::chrono::days>(t);
  const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::seconds>(t - day));
  char out[32];
  std::snprintf(out, sizeof out, "%02d:%02d:%02d UTC", static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
  return out;
}

}  // namespace

void refresh_schedule::started(time_point now) {
  fetching_ = true;
  hurried_ = false;
  last_start_ = now;
}

void refresh_schedule::succeeded(time_point now, time_point expires, bool replaced) {
  if (expires <= now) {
    failed(now, "the credential that came had expired already");
    return;
  }
  fetching_ = false;
  failures_ = 0;
  why_.clear();
  expires_ = expires;
  if (replaced) {
    after_refusal_ = refusal_ != refusal::none;
    refusal_ = refusal::none;
    got_ = now;
    ++generation_;
  } else if (refusal_ == refusal::asked) {
    refusal_ = refusal::answered;
  }
  due_ = time_never;
  if (expires != time_never && rules_.renewable)
    due_ = std::max({expires - rules_.early, now + (expires - now) / 2, now + renew_pause_min});
  if (hurried_) due_ = now;
}

void refresh_schedule::failed(time_point now, std::string why) {
  fetching_ = false;
  why_ = std::move(why);
  ++failures_;
  if (refusal_ == refusal::asked) refusal_ = refusal::answered;
  due_ = hurried_ ? now : now + backoff(now);
}

void refresh_schedule::hurry(time_point now) {
  hurried_ = fetching_;
  due_ = std::min(due_, now);
}

duration refresh_schedule::backoff(time_point now) const {
  const duration most = usable(now) ? retry_max : retry_max_missing;
  const auto doublings = std::min<std::int64_t>(failures_ - 1, 6);
  const duration pause = std::min<duration>(retry_min * (std::int64_t{1} << doublings), most);
  // Up to a quarter less, so that many processes do not ask in step.
  const auto share = mixed(seed_ ^ mixed(static_cast<std::uint64_t>(failures_))) % 256;
  return pause - pause * static_cast<std::int64_t>(share) / 1024;
}

bool refresh_schedule::usable(time_point now) const {
  return generation_ > 0 && now < expires_ && refusal_ != refusal::asked;
}

std::optional<std::string> refresh_schedule::missing(time_point now) const {
  if (usable(now)) return std::nullopt;
  std::string what = "the credential is being fetched";
  if (generation_ > 0 && now >= expires_) {
    what = "the credential expired at " + clock_text(expires_);
  } else if (refusal_ == refusal::asked) {
    what = "the provider refused the credential, another is being fetched";
  }
  if (why_.empty()) return what;
  if (generation_ == 0) return "there is no credential yet: " + why_;
  return what + ", and fetching another failed: " + why_;
}

refused_advice refresh_schedule::refused(std::uint64_t generation, time_point now) {
  if (generation < generation_) return refused_advice::resend;
  if (!rules_.renewable) return refused_advice::stop;
  if (refusal_ == refusal::asked) return refused_advice::resend;
  const bool second = after_refusal_ && now - got_ < proven;
  if (refusal_ == refusal::none && !second) {
    refusal_ = refusal::asked;
    if (!fetching_) due_ = now;
    return refused_advice::resend;
  }
  // It stays as it is, but whoever manages the credential may be about to mend it.
  refusal_ = refusal::answered;
  if (!fetching_) due_ = std::min(due_, std::max(now, last_start_ + rules_.refused_pause));
  return refused_advice::stop;
}

}  // namespace spillway
