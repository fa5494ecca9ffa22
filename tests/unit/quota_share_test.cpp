#include "orchestrator/core/quota_share.hpp"

#include "tests/unit/scheduler_harness.hpp"

#include <gtest/gtest.h>

#include <random>

namespace spillway {
namespace {

using namespace std::chrono_literals;

TEST(quota_share, parts_of_all_partitions_add_up_exactly) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2'000; ++round) {
    const auto partitions = static_cast<std::uint32_t>(1 + random() % 100);
    const auto total = static_cast<std::int64_t>(random() % (round % 2 == 0 ? 200 : 1ull << 60));
    std::int64_t sum = 0;
    for (std::uint32_t p = 0; p < partitions; ++p) {
      const auto part = share_of(total, partition_id(p), partitions);
      EXPECT_GE(part, total / partitions);
      EXPECT_LE(part, total / partitions + 1);
      sum += part;
    }
    ASSERT_EQ(sum, total);
  }
}

TEST(quota_share, members_that_own_all_partitions_use_the_whole_quota) {
  constexpr std::uint32_t partitions = 16;
  for (const std::int64_t total : {0, 1, 7, 16, 17, 1'000'003}) {
    quota_share a{partitions, {}}, b{partitions, {}}, c{partitions, {}};
    for (std::uint32_t p = 0; p < partitions; ++p)
      (p % 3 == 0 ? a : p % 3 == 1 ? b : c).owned.push_back(partition_id(p));
    EXPECT_EQ(a.of(total) + b.of(total) + c.of(total), total);
  }
  EXPECT_EQ((quota_share{}.of(600)), 600);
  EXPECT_EQ((quota_share{4, {}}.of(600)), 0);
}

quota_share first_of(std::uint32_t owned, std::uint32_t partitions) {
  quota_share s{partitions, {}};
  for (std::uint32_t p = 0; p < owned; ++p) s.owned.push_back(partition_id(p));
  return s;
}

const call_cost one{tokens(1), nano_usd(10)};

/// Calls granted until `until`, asked every millisecond.
int grants(lane& l, time_point& now, time_point until) {
  int n = 0;
  for (; now < until; now += 1ms)
    while (l.check(now, one) == refusal::none) {
      l.take(now, one);
      ++n;
    }
  return n;
}

TEST(lane_share, concurrency_of_all_members_is_the_lanes) {
  const auto setup = scheduling::lane_of("a", {.concurrency = 10});
  std::int64_t sum = 0;
  for (std::uint32_t p = 0; p < 4; ++p) {
    lane l(setup, scheduling::start, quota_share{4, {partition_id(p)}});
    auto now = scheduling::start;
    sum += grants(l, now, now + 1s);
  }
  EXPECT_EQ(sum, 10);
}

TEST(lane_share, a_member_without_a_part_sends_nothing) {
  for (const auto& quota : {limits{.rpm = 3}, limits{.tpm = 3}, limits{.concurrency = 3},
                            limits{.rpd = 3}, limits{.usd_per_day = nano_usd(3)}}) {
    lane l(scheduling::lane_of("a", quota), scheduling::start, quota_share{8, {partition_id(0)}});
    EXPECT_EQ(l.check(scheduling::start + 1h, {tokens(1), nano_usd(0)}), refusal::no_share);
    EXPECT_EQ(l.ready_at(scheduling::start + 1h, {}), time_never);
  }
}

TEST(lane_share, a_larger_part_gives_no_burst) {
  const auto setup = scheduling::lane_of("a", {.rpm = 60'000});
  lane l(setup, scheduling::start, first_of(1, 16));
  auto now = scheduling::start + 10s;  // its burst is earned: a quarter second of 1/16
  l.change(setup, first_of(16, 16), now);
  int at_once = 0;
  while (l.check(now, one) == refusal::none) {
    l.take(now, one);
    ++at_once;
  }
  EXPECT_LE(at_once, 16) << "what was there before";
  EXPECT_NEAR(grants(l, now, now + 1s), 1'000, 10);
}

TEST(lane_share, a_smaller_part_still_owes_what_was_taken) {
  const auto setup = scheduling::lane_of("a", {.rpm = 60'000});
  lane l(setup, scheduling::start, first_of(16, 16));
  auto now = scheduling::start + 10s;
  EXPECT_GE(grants(l, now, now + 1ms), 240);
  l.change(setup, first_of(4, 16), now);
  EXPECT_EQ(grants(l, now, now + 500ms), 0) << "a quarter second's worth is owed at a quarter rate";
  EXPECT_NEAR(grants(l, now, now + 4s), 1'000, 260);
}

TEST(lane_share, coming_back_without_a_part_meanwhile_starts_empty) {
  const auto setup = scheduling::lane_of("a", {.rpm = 60'000});
  lane l(setup, scheduling::start, first_of(1, 1));
  l.change(setup, quota_share{4, {}}, scheduling::start + 1s);
  l.change(setup, first_of(1, 1), scheduling::start + 1h);
  EXPECT_NE(l.check(scheduling::start + 1h, one), refusal::none);
}

TEST(lane_share, changing_hands_keeps_the_minute_within_the_quota) {
  // Two members pass four partitions to and fro; together they stay within the lane's rate.
  const auto setup = scheduling::lane_of("a", {.rpm = 6'000});
  std::mt19937_64 random(7);
  lane a(setup, scheduling::start, first_of(4, 4)), b(setup, scheduling::start, {4, {}});
  auto now = scheduling::start;
  std::deque<time_point> sent;
  for (int round = 0; round < 400; ++round) {
    quota_share own{4, {}}, other{4, {}};
    for (std::uint32_t p = 0; p < 4; ++p)
      (random() % 2 == 0 ? own : other).owned.push_back(partition_id(p));
    a.change(setup, own, now);
    b.change(setup, other, now);
    for (const auto until = now + duration(random() % 3'000'000'000); now < until; now += 5ms)
      for (auto* l : {&a, &b})
        while (l->check(now, one) == refusal::none) {
          l->take(now, one);
          sent.push_back(now);
          while (sent.front() + 60s <= now) sent.pop_front();
          ASSERT_LE(sent.size(), 6'061u);
        }
  }
}

TEST(lane_share, a_new_configuration_keeps_what_happened) {
  auto setup = scheduling::lane_of("a", {.rpm = 600});
  lane l(setup, scheduling::start);
  auto now = scheduling::start + 1s;
  l.take(now, one);
  (void)l.end_call(now, one, {}, scheduling::lane_down(down_cause::auth), 1ms);
  l.take(now, one);
  setup.config.quota.rpm = 60;
  l.change(setup, {}, now);
  EXPECT_FALSE(l.usable()) << "a breaker is not closed by a new file";
  EXPECT_EQ(l.describe(now).outstanding, 1);
  EXPECT_EQ(l.totals().calls, 2);
}

}  // namespace
}  // namespace spillway
