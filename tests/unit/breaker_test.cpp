#include "orchestrator/core/breaker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using state = breaker::state;

constexpr time_point start(1'790'000'000s);

void fail(breaker& b, time_point now, int times) {
  for (int i = 0; i < times; ++i) b.ended(now, false);
}

/// A breaker that opened at `start` and may be probed from `start + 5s`.
breaker opened() {
  breaker b;
  fail(b, start, 5);
  return b;
}

/// Sends `n` probes and ends `bad` of them with a failure, the failures last.
void step(breaker& b, time_point now, int n, int bad) {
  for (int i = 0; i < n; ++i) {
    ASSERT_TRUE(b.allows(now)) << "probe " << i;
    b.sent(now);
  }
  for (int i = 0; i < n; ++i) b.ended(now, i < n - bad);
}

TEST(breaker, is_closed_at_first) {
  const breaker b;
  EXPECT_EQ(b.now_state(start), state::closed);
  EXPECT_TRUE(b.allows(start));
  EXPECT_EQ(b.ready_at(start), start);
}

TEST(breaker, opens_on_five_failures_in_a_row) {
  breaker b;
  fail(b, start, 4);
  b.ended(start, true);
  fail(b, start, 4);
  EXPECT_EQ(b.now_state(start), state::closed);
  b.ended(start, false);
  EXPECT_EQ(b.now_state(start), state::open);
  EXPECT_FALSE(b.allows(start));
  EXPECT_EQ(b.ready_at(start), start + 5s);
  EXPECT_FALSE(b.allows(start + 5s - 1ns));
  EXPECT_EQ(b.now_state(start + 5s), state::half_open);
}

TEST(breaker, opens_on_half_of_twenty_in_ten_seconds) {
  breaker b;
  for (int i = 0; i < 9; ++i) {
    b.ended(start + i * 1s, true);
    b.ended(start + i * 1s, false);
  }
  b.ended(start + 9s, true);
  EXPECT_EQ(b.now_state(start + 9s), state::closed) << "19 calls tell too little";
  b.ended(start + 9s, false);
  EXPECT_EQ(b.now_state(start + 9s), state::open);
}

TEST(breaker, stays_closed_below_half) {
  breaker b;
  for (int i = 0; i < 300; ++i) b.ended(start + i * 10ms, i % 9 < 5);  // 4 of 9 fail, 4 in a row
  EXPECT_EQ(b.now_state(start + 3s), state::closed);
}

TEST(breaker, forgets_what_is_older_than_ten_seconds) {
  breaker b;
  for (int i = 0; i < 10; ++i) {
    b.ended(start, true);
    if (i < 9) b.ended(start, false);
  }
  b.ended(start + 10s, false);
  EXPECT_EQ(b.now_state(start + 10s), state::closed) << "the 19 calls before are out of the window";
}

TEST(breaker, closes_after_steps_of_one_two_and_four) {
  auto b = opened();
  const auto now = start + 5s;
  for (const int size : {1, 2, 4}) {
    EXPECT_EQ(b.now_state(now), state::half_open);
    for (int i = 0; i < size; ++i) {
      ASSERT_TRUE(b.allows(now));
      b.sent(now);
    }
    EXPECT_FALSE(b.allows(now)) << "step of " << size;
    EXPECT_EQ(b.ready_at(now), time_never) << "only an answer helps";
    for (int i = 0; i < size; ++i) b.ended(now, true);
  }
  EXPECT_EQ(b.now_state(now), state::closed);
  fail(b, now, 4);
  EXPECT_EQ(b.now_state(now), state::closed) << "failures from before are forgotten";
}

struct step_case {
  int size, bad;
  bool passes;
};

TEST(breaker, a_step_passes_unless_more_than_half_fail) {
  for (const auto& [size, bad, passes] : {step_case{1, 0, true},
                                          {1, 1, false},
                                          {2, 1, true},
                                          {2, 2, false},
                                          {4, 2, true},
                                          {4, 3, false},
                                          {4, 4, false}}) {
    SCOPED_TRACE(testing::Message() << bad << " of " << size);
    auto b = opened();
    const auto now = start + 7s;
    for (const int before : {1, 2}) {
      if (before < size) step(b, now, before, 0);
    }
    step(b, now, size, bad);
    const auto expected = !passes ? state::open : size == 4 ? state::closed : state::half_open;
    EXPECT_EQ(b.now_state(now), expected);
    if (!passes) {
      EXPECT_EQ(b.ready_at(now), now + 5s);
    }
  }
}

TEST(breaker, a_failed_step_starts_over_with_one_probe) {
  auto b = opened();
  step(b, start + 5s, 1, 0);
  step(b, start + 5s, 2, 2);
  ASSERT_EQ(b.now_state(start + 5s), state::open);
  const auto now = start + 10s;
  ASSERT_TRUE(b.allows(now));
  b.sent(now);
  EXPECT_FALSE(b.allows(now));
}

TEST(breaker, is_left_alone_longer_the_longer_it_fails) {
  auto b = opened();
  auto now = b.ready_at(start);
  std::vector<double> pauses;
  while (now < start + 10min) {
    b.sent(now);
    b.ended(now, false);
    pauses.push_back(seconds_of(b.ready_at(now) - now));
    now = b.ready_at(now);
  }
  EXPECT_EQ(pauses.front(), 5);
  EXPECT_TRUE(std::is_sorted(pauses.begin(), pauses.end()));
  EXPECT_EQ(pauses.back(), 30);
  EXPECT_LT(pauses.size(), 45u);
  for (const int size : {1, 2, 4}) step(b, now, size, 0);
  fail(b, now, 5);
  EXPECT_EQ(b.ready_at(now), now + 5s) << "and starts over once it worked";
}

TEST(breaker, answers_of_earlier_calls_do_not_move_it) {
  auto b = opened();
  b.ended(start + 1s, true);
  b.ended(start + 1s, false);
  EXPECT_EQ(b.ready_at(start + 1s), start + 5s);
  b.ended(start + 6s, true);
  b.ended(start + 6s, false);
  ASSERT_TRUE(b.allows(start + 6s)) << "no probe is out yet";
  b.sent(start + 6s);
  EXPECT_FALSE(b.allows(start + 6s));
}

TEST(breaker, a_call_that_tells_nothing_frees_its_place) {
  auto b = opened();
  const auto now = start + 5s;
  b.sent(now);
  ASSERT_FALSE(b.allows(now));
  b.returned(now);
  EXPECT_TRUE(b.allows(now));
  b.returned(now);  // of a call sent before it opened
  b.sent(now);
  EXPECT_FALSE(b.allows(now));
}

TEST(breaker, trip_opens_for_the_given_pause) {
  breaker b;
  b.trip(start, 15s);
  EXPECT_EQ(b.now_state(start), state::open);
  EXPECT_EQ(b.ready_at(start), start + 15s);
  b.trip(start + 1s, 5s);
  EXPECT_EQ(b.ready_at(start + 1s), start + 15s) << "a shorter pause changes nothing";
  b.trip(start + 1s, 60s);
  EXPECT_EQ(b.ready_at(start + 1s), start + 61s);
  EXPECT_TRUE(b.allows(start + 61s));
}

TEST(breaker, trip_ends_a_step_under_way) {
  auto b = opened();
  b.sent(start + 5s);
  b.trip(start + 5s, 1s);
  EXPECT_EQ(b.now_state(start + 5s), state::open);
  EXPECT_EQ(b.ready_at(start + 5s), start + 6s);
}

}  // namespace
}  // namespace spillway
