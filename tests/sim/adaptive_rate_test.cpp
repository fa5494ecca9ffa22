// How a lane finds a rate that nobody told it: providers with every kind of window, in simulated
// time, and a backlog that never ends.
#include "orchestrator/core/lane.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace spillway::sim {
namespace {

using namespace std::chrono_literals;

constexpr time_point start(1'790'000'000s);

/// How a provider counts what it lets through.
enum class window { none, slice, rolling_minute, calendar_minute, bucket };

struct provider_rule {
  window counts = window::none;
  double per_minute = 0;  ///< calls, or tokens
  bool tokens = false;
  double random_refusals = 0;
  bool tells_wait = false;  ///< an honest Retry-After
};

class provider {
 public:
  provider(provider_rule rule, std::uint64_t seed) : rule_(rule), random_(seed) {}
  void change(provider_rule rule) { rule_ = rule; }
  [[nodiscard]] double draw() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  /// Nothing when the call is let through, else how long to wait.
  [[nodiscard]] std::optional<duration> refuse(time_point now, std::int64_t size) {
    if (rule_.random_refusals > 0 && draw() < rule_.random_refusals) return 1s;
    const double n = rule_.tokens ? static_cast<double>(size) : 1;
    const double per_s = rule_.per_minute / 60;
    switch (rule_.counts) {
      case window::none: return std::nullopt;
      case window::slice: return within(now, n, per_s, 1s);
      case window::calendar_minute: return within(now, n, rule_.per_minute, 60s);
      case window::rolling_minute: break;
      case window::bucket:
        level_ = std::min(per_s * 10, level_ + seconds_of(now - at_) * per_s);
        at_ = now;
        if (level_ < n) return from_seconds((n - level_) / per_s);
        level_ -= n;
        return std::nullopt;
    }
    while (!past_.empty() && past_.front().first <= now - 60s) {
      sum_ -= past_.front().second;
      past_.pop_front();
    }
    if (sum_ + n > rule_.per_minute) return past_.empty() ? 1s : past_.front().first + 60s - now;
    sum_ += n;
    past_.emplace_back(now, n);
    return std::nullopt;
  }
  [[nodiscard]] const provider_rule& rule() const { return rule_; }

 private:
  std::optional<duration> within(time_point now, double n, double most, duration width) {
    const auto begin = time_point(now.time_since_epoch() / width * width);
    if (begin != at_) sum_ = 0;
    at_ = begin;
    if (sum_ + n > most) return begin + width - now;
    sum_ += n;
    return std::nullopt;
  }

  provider_rule rule_;
  std::mt19937_64 random_;
  std::deque<std::pair<time_point, double>> past_;
  double sum_ = 0, level_ = 1e18;
  time_point at_ = start;
};

lane_setup setup_of(std::optional<std::int64_t> rpm = {}, std::int64_t slots = 1'000) {
  lane_setup s;
  s.pool = "pool";
  s.config.model = s.config.as = "m";
  s.config.quota.rpm = rpm;
  s.slots = slots;
  s.rate_charge = [](tokens input, tokens max_output, tokens) { return input + max_output; };
  return s;
}

/// A lane with a backlog over one provider.
class stage {
 public:
  stage(lane_setup setup, provider_rule rule, std::uint64_t seed)
      : lane_(std::move(setup), start), provider_(rule, seed) {}

  void run(duration span) {
    for (const auto until = now_ + span; now_ < until; now_ += 1ms) {
      while (!ends_.empty() && ends_.begin()->first <= now_) {
        auto call = std::move(ends_.begin()->second);
        ends_.erase(ends_.begin());
        --open_;
        (void)lane_.end_call(now_, call.cost, {}, call.ending, now_ - call.sent);
        write();
      }
      for (;;) {
        const call_cost cost{tokens(size()), {}};
        if (lane_.check(now_, cost) != refusal::none) break;
        lane_.take(now_, cost);
        queue_.push_back(cost);
        write();
      }
    }
  }
  void change(provider_rule rule) { provider_.change(rule); }
  void sizes(std::function<std::int64_t(double)> of) { size_of_ = std::move(of); }

  struct counts {
    std::int64_t sent = 0, refused = 0, accepted = 0, accepted_tokens = 0;
    [[nodiscard]] double refused_share() const {
      return static_cast<double>(refused) / static_cast<double>(std::max<std::int64_t>(1, sent));
    }
  };
  /// Of [from, to) since the start.
  [[nodiscard]] counts between(duration from, duration to) const {
    counts sum;
    for (auto it = by_second_.lower_bound(from / 1s); it != by_second_.lower_bound(to / 1s); ++it) {
      sum.sent += it->second.sent;
      sum.refused += it->second.refused;
      sum.accepted += it->second.accepted;
      sum.accepted_tokens += it->second.accepted_tokens;
    }
    return sum;
  }

 private:
  struct open_call {
    call_cost cost;
    outcome ending;
    time_point sent;
  };
  std::int64_t size() { return size_of_ ? size_of_(provider_.draw()) : 1'000; }

  /// Calls that wait for a connection go out when one is free.
  void write() {
    while (!queue_.empty() && open_ < lane_.slots()) {
      const auto cost = queue_.front();
      queue_.pop_front();
      ++open_;
      auto& tally = by_second_[(now_ - start) / 1s];
      ++tally.sent;
      open_call call{cost, {}, now_};
      auto end = now_ + from_seconds(2 * (0.5 + provider_.draw()));
      if (const auto wait = provider_.refuse(now_, cost.rate.count())) {
        ++tally.refused;
        call.ending.status = 429;
        call.ending.quota_signal = true;
        if (provider_.rule().tells_wait) call.ending.retry_after = *wait;
        end = now_ + from_seconds(0.03 + 0.1 * provider_.draw());
      } else {
        ++tally.accepted;
        tally.accepted_tokens += cost.rate.count();
        call.ending.status = 200;
        call.ending.kind = outcome_kind::answered;
      }
      ends_.emplace(end, std::move(call));
    }
  }

  lane lane_;
  provider provider_;
  time_point now_ = start;
  std::function<std::int64_t(double)> size_of_;
  std::deque<call_cost> queue_;
  std::multimap<time_point, open_call> ends_;
  std::int64_t open_ = 0;
  std::map<std::int64_t, counts> by_second_;
};

/// A share of what a quota of so many a minute allows in that time.
double used(double n, double per_minute, duration span) {
  return n / (per_minute / 60 * seconds_of(span));
}

struct quota_case {
  window counts;
  double per_minute;
  bool tells_wait;
  [[nodiscard]] provider_rule rule(double factor = 1) const {
    return {counts, per_minute * factor, false, 0, tells_wait};
  }
  /// Nothing tells a lane how long a window of a minute stays full: it tries, less and less often.
  [[nodiscard]] bool hard() const {
    return !tells_wait && (counts == window::rolling_minute || counts == window::calendar_minute);
  }
};

class quotas : public testing::TestWithParam<quota_case> {};

TEST_P(quotas, are_found_where_none_is_configured) {
  const auto& quota = GetParam();
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    auto setup = setup_of();
    setup.sliced = quota.counts == window::slice;
    stage s(setup, quota.rule(), seed);
    s.run(10min);
    const auto c = s.between(3min, 10min);
    EXPECT_LE(c.refused_share(), quota.hard() ? 0.1 : 0.05) << "seed " << seed;
    EXPECT_GE(used(static_cast<double>(c.accepted), quota.per_minute, 7min),
              quota.hard() ? 0.75 : 0.9)
        << "seed " << seed;
  }
}

TEST_P(quotas, are_followed_down_to_a_tenth_and_up_again) {
  const auto& quota = GetParam();
  if (quota.per_minute < 600) return;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    auto setup = setup_of(static_cast<std::int64_t>(quota.per_minute));
    setup.sliced = quota.counts == window::slice;
    stage s(setup, quota.rule(), seed);
    s.run(2min);
    s.change(quota.rule(0.1));
    s.run(5min);
    s.change(quota.rule());
    s.run(4min);
    const auto share = [&](duration from, duration to, double factor) {
      return used(static_cast<double>(s.between(from, to).accepted), factor * quota.per_minute,
                  to - from);
    };
    EXPECT_EQ(s.between(0s, 2min).refused, 0);
    EXPECT_GE(share(10s, 2min, 1), quota.counts == window::slice ? 0.97 : 0.98);
    // The first minute after the cut is that of what the window still counts.
    EXPECT_LE(s.between(3min, 7min).refused_share(), quota.hard() ? 0.12 : 0.06) << "seed " << seed;
    EXPECT_GE(share(3min, 7min, 0.1), quota.hard() ? 0.7 : 0.85) << "seed " << seed;
    EXPECT_GE(share(8min, 9min, 1), 0.7) << "seed " << seed;
    EXPECT_GE(share(9min, 11min, 1), 0.96) << "seed " << seed;
  }
}

std::vector<quota_case> all_quotas() {
  std::vector<quota_case> all;
  for (const double per_minute : {60.0, 600.0, 6'000.0})
    for (const auto counts :
         {window::slice, window::rolling_minute, window::calendar_minute, window::bucket})
      for (const bool tells : {false, true})
        if (counts != window::slice || per_minute > 60) all.push_back({counts, per_minute, tells});
  return all;
}
std::string name_of_case(const testing::TestParamInfo<quota_case>& i) {
  const char* names[] = {"none", "slice", "rolling_minute", "calendar_minute", "bucket"};
  return names[static_cast<int>(i.param.counts)] + std::string("_") +
         std::to_string(static_cast<int>(i.param.per_minute)) +
         (i.param.tells_wait ? "_told" : "_untold");
}
INSTANTIATE_TEST_SUITE_P(cases, quotas, testing::ValuesIn(all_quotas()), name_of_case);

/// Prompts of one size and then of another: a quota of tokens is not met at the old number of
/// calls.
TEST(adaptive_rate, a_quota_of_tokens_is_kept_as_sizes_change) {
  for (const auto& [first, second] : {std::pair{500, 4'000}, std::pair{4'000, 500}}) {
    constexpr double per_minute = 1'000'000;
    stage s(setup_of(), {window::bucket, per_minute, true, 0, true}, 1);
    s.sizes([n = first](double) { return n; });
    s.run(5min);
    s.sizes([n = second](double) { return n; });
    s.run(5min);
    for (const auto& [from, to] :
         {std::pair<duration, duration>{2min, 5min}, {5min, 6min}, {6min, 10min}}) {
      const auto c = s.between(from, to);
      EXPECT_LE(c.refused_share(), 0.08) << first << " " << seconds_of(from);
      EXPECT_GE(used(static_cast<double>(c.accepted_tokens), per_minute, to - from),
                from == 5min ? 0.1 : 0.85)
          << first << " " << seconds_of(from);
    }
  }
}

struct storm_case {
  duration before, storm;
  double share;
};

/// 1,000 calls of 2 s at once: up to 500 a second. Without pacing a storm of a minute would see
/// hundreds of thousands of them.
TEST(adaptive_rate, a_storm_of_refusals_is_waited_out) {
  for (const auto& [before, storm, share] : {storm_case{0s, 3s, 0.7},
                                             {0s, 30s, 0.7},
                                             {0s, 2min, 0.7},
                                             {30s, 3s, 0.7},
                                             {30s, 30s, 0.7},
                                             {30s, 2min, 0.7},
                                             {30s, 30s, 1},
                                             {30s, 2min, 1},
                                             {0s, 2min, 1}})
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      SCOPED_TRACE(testing::Message() << seconds_of(before) << " s, then " << seconds_of(storm)
                                      << " s of " << share << ", seed " << seed);
      stage s(setup_of(), {}, seed);
      s.run(before);
      s.change({window::none, 0, false, share, false});
      s.run(storm);
      s.change({});
      s.run(150s);
      const auto end = before + storm;
      EXPECT_LE(s.between(before + 1s, end).refused, 60 + 2 * seconds_of(storm))
          << "after the first burst";
      EXPECT_LE(s.between(before, end).refused, 2'100 + 2 * seconds_of(storm));
      EXPECT_GE(used(static_cast<double>(s.between(end + 2min, end + 150s).accepted), 30'000, 30s),
                0.8);
    }
}

TEST(adaptive_rate, refusals_that_never_end_do_not_stop_it) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    stage s(setup_of(), {window::none, 0, false, 0.7, false}, seed);
    s.run(30min);
    const auto c = s.between(1min, 30min);
    EXPECT_GE(c.accepted, 29 * 3 / 2) << "some each minute";
    EXPECT_LE(c.refused, 29 * 60) << "one a second at most";
  }
}

/// A provider short of capacity refuses some calls whatever the rate: slower is no better.
TEST(adaptive_rate, refusals_whatever_the_rate_cost_no_more_than_themselves) {
  for (const double share : {0.05, 0.1, 0.25})
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      SCOPED_TRACE(testing::Message() << share << " refused, seed " << seed);
      stage s(setup_of(), {window::none, 0, false, share, false}, seed);
      s.run(15min);
      const auto c = s.between(10min, 15min);
      EXPECT_GE(used(static_cast<double>(c.accepted), 30'000, 300s), 0.5);
      s.change({window::bucket, 600, false, 0, false});
      s.run(3min);
      const auto cut = s.between(17min, 18min);
      EXPECT_LE(cut.refused, 60) << "a real limit is found again";
    }
}

/// The quota is known and kept; now and then a call is refused all the same.
TEST(adaptive_rate, stray_refusals_cost_a_known_quota_little) {
  for (const bool sliced : {false, true}) {
    auto setup = setup_of(6'000);
    setup.sliced = sliced;
    stage s(setup, {window::none, 0, false, 0.0002, false}, 1);
    s.run(10min);
    const auto c = s.between(10s, 10min);
    EXPECT_GE(used(static_cast<double>(c.accepted), 6'000, 590s), 0.93) << "about two seconds each";
    EXPECT_GT(c.refused, 5);
  }
}

}  // namespace
}  // namespace spillway::sim
