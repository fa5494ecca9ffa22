#include "orchestrator/core/gcra.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr time_point start(1'790'000'000s);

/// Grants of a simulated caller, with the largest sum of any 60 s.
class window_watch {
 public:
  void add(time_point at, std::int64_t cost) {
    grants_.push_back({at, cost});
    sum_ += cost;
    while (grants_.front().first <= at - 60s) {
      sum_ -= grants_.front().second;
      grants_.pop_front();
    }
    most_ = std::max(most_, sum_);
  }
  [[nodiscard]] std::int64_t most() const { return most_; }

 private:
  std::deque<std::pair<time_point, std::int64_t>> grants_;
  std::int64_t sum_ = 0, most_ = 0;
};

struct demand {
  const char* name;
  std::int64_t per_minute;
  duration burst;
  std::int64_t cost_max;
};

class gcra_property : public testing::TestWithParam<demand> {};

TEST_P(gcra_property, keeps_the_quota_in_any_minute_and_uses_it) {
  const auto& [name, per_minute, burst, cost_max] = GetParam();
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    std::mt19937_64 random(seed);
    gcra limiter(per_minute, burst, start);
    window_watch watch;
    const auto end = start + 5min;
    std::int64_t total = 0;
    // Always one more to send; polled at the moment it may go, or up to a millisecond later.
    for (time_point now = start; now < end;) {
      const auto cost =
          1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(cost_max));
      now = std::max(now, limiter.ready_at(cost)) + duration(random() % 1'000'000);
      ASSERT_TRUE(limiter.allows(now, cost));
      limiter.take(now, cost);
      watch.add(now, cost);
      total += cost;
    }
    const double allowed = static_cast<double>(per_minute) * (1 + seconds_of(burst) / 60);
    EXPECT_LE(static_cast<double>(watch.most()), allowed + static_cast<double>(cost_max))
        << "seed " << seed;
    EXPECT_GE(static_cast<double>(total), 0.98 * 5 * static_cast<double>(per_minute)) << seed;
  }
}

TEST_P(gcra_property, keeps_the_quota_under_irregular_demand) {
  const auto& [name, per_minute, burst, cost_max] = GetParam();
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    std::mt19937_64 random(seed);
    gcra limiter(per_minute, burst, start);
    window_watch watch;
    // Idle spells, then everything at once: saved-up permits must stay within the burst.
    for (time_point now = start; now < start + 5min;
         now += duration(random() % (random() % 16 == 0 ? 20'000'000'000u : 5'000'000u)))
      for (int tries = 0; tries < 50; ++tries) {
        const auto cost =
            1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(cost_max));
        if (!limiter.allows(now, cost)) continue;
        limiter.take(now, cost);
        watch.add(now, cost);
      }
    const double allowed = static_cast<double>(per_minute) * (1 + seconds_of(burst) / 60);
    EXPECT_LE(static_cast<double>(watch.most()), allowed + static_cast<double>(cost_max))
        << "seed " << seed;
    EXPECT_GT(watch.most(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(demands, gcra_property,
                         testing::Values(demand{"requests", 600, 250ms, 1},
                                         demand{"many_requests", 60'000, 250ms, 1},
                                         demand{"sliced_requests", 6'000, 20ms, 1},
                                         demand{"one_a_minute", 1, 250ms, 1},
                                         demand{"tokens", 1'000'000, 250ms, 4'000},
                                         demand{"costs_above_the_burst", 60'000, 250ms, 2'000},
                                         demand{"odd_rate", 7'777, 33ms, 13}),
                         [](const auto& i) { return i.param.name; });

TEST(gcra, starts_empty_and_earns_the_first_burst) {
  const gcra limiter(600, 250ms, start);  // one each 100 ms
  EXPECT_FALSE(limiter.allows(start, 1));
  EXPECT_FALSE(limiter.allows(start + 99ms, 1));
  EXPECT_TRUE(limiter.allows(start + 100ms, 1));
  EXPECT_EQ(limiter.ready_at(1), start + 100ms);
  EXPECT_EQ(limiter.ready_at(2), start + 125ms) << "a large cost needs half the burst";
}

TEST(gcra, an_idle_spell_saves_one_burst_and_no_more) {
  gcra limiter(6'000, 100ms, start);  // ten fit the burst
  const auto later = start + 1h;
  int granted = 0;
  while (limiter.allows(later, 1)) {
    limiter.take(later, 1);
    ++granted;
  }
  EXPECT_EQ(granted, 10);
}

TEST(gcra, a_cost_above_the_burst_needs_half_of_it_and_is_then_owed) {
  gcra limiter(60, 500ms, start);  // one a second
  EXPECT_EQ(limiter.ready_at(5), start + 250ms) << "never more than half the burst has to be saved";
  limiter.take(start + 250ms, 5);
  EXPECT_FALSE(limiter.allows(start + 5249ms, 5));
  EXPECT_TRUE(limiter.allows(start + 5250ms, 5));
  EXPECT_EQ(limiter.ready_at(0), start + 5s) << "even nothing waits until the debt fits the burst";
}

TEST(gcra, give_back_and_take_cancel_out) {
  gcra limiter(600, 250ms, start);
  const auto now = start + 250ms;
  limiter.take(now, 1);
  const auto before = limiter.ready_at(1);
  limiter.take(now, 40);
  EXPECT_EQ(limiter.ready_at(1), before + 4s);
  limiter.give_back(40);
  EXPECT_EQ(limiter.ready_at(1), before);
  limiter.give_back(-3);
  EXPECT_EQ(limiter.ready_at(1), before + 300ms) << "a negative refund charges more";
}

TEST(gcra, a_refund_never_saves_more_than_a_burst) {
  gcra limiter(6'000, 100ms, start);
  limiter.give_back(100'000);
  int granted = 0;
  while (limiter.allows(start, 1)) {
    limiter.take(start, 1);
    ++granted;
  }
  EXPECT_EQ(granted, 10);
}

TEST(gcra, nothing_is_granted_before_a_hold_ends_and_the_burst_is_earned_anew) {
  gcra limiter(600, 250ms, start);
  const auto now = start + 10s;
  limiter.hold(now + 100ms);
  EXPECT_FALSE(limiter.allows(now, 1)) << "a hold shorter than the burst counts too";
  EXPECT_FALSE(limiter.allows(now + 100ms, 1));
  EXPECT_EQ(limiter.ready_at(1), now + 200ms);
  limiter.hold(now + 50ms);
  EXPECT_EQ(limiter.ready_at(1), now + 200ms) << "a hold only ever delays";
}

TEST(gcra, huge_quotas_and_costs_do_not_overflow) {
  gcra limiter(10'000'000'000, 250ms, start);
  const auto now = start + 1s;
  ASSERT_TRUE(limiter.allows(now, 1'000'000'000));
  limiter.take(now, 1'000'000'000);
  EXPECT_EQ(limiter.ready_at(1'000'000'000), now + 6s - 125ms);
}

}  // namespace
}  // namespace spillway
