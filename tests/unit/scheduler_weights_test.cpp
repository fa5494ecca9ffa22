// Lanes that share prompts by weight.
#include "tests/unit/scheduler_harness.hpp"

#include <gtest/gtest.h>

namespace spillway::scheduling {
namespace {

one_job weighted(std::vector<lane_weight> weights) {
  job_config job;
  job.order = lane_order::weights;
  job.routes.weights = std::move(weights);
  return settings(job);
}

TEST(scheduler_weights, prompts_are_shared_while_all_lanes_have_room) {
  world w({lane_of("a"), lane_of("b"), lane_of("c")}, weighted({{"b", 1}, {"a", 3}}));
  w.queue(0, 400);
  w.tick();
  EXPECT_EQ(w.sends_by_lane(), (std::map<std::uint32_t, int>{{0, 300}, {1, 100}}));
  std::map<std::uint32_t, int> seen;
  for (std::size_t i = 0; i < w.actions.sends.size(); ++i) {
    ++seen[w.actions.sends[i].prompt->lane.value()];
    EXPECT_NEAR(seen[0], 0.75 * static_cast<double>(i + 1), 1) << "at any time";
  }
  EXPECT_EQ(w.totals(0).spilled_in + w.totals(1).spilled_in, 0);
  EXPECT_EQ(w.totals(0).spilled_out + w.totals(1).spilled_out, 0);
}

TEST(scheduler_weights, what_one_cannot_take_goes_to_the_others) {
  world w({places_of("a", 10), lane_of("b"), lane_of("c")}, weighted({{"a", 3}, {"b", 1}}));
  w.queue(0, 100);
  w.tick();
  auto by_lane = w.sends_by_lane();
  EXPECT_EQ(by_lane[0] + by_lane[1], 100);
  EXPECT_LE(by_lane[0], 10);
  EXPECT_EQ(w.totals(1).spilled_in, w.totals(0).spilled_out);
  EXPECT_GE(w.totals(1).spilled_in, 80) << "it was not due but for every fourth";
  EXPECT_LE(w.totals(1).spilled_in, 92);
}

TEST(scheduler_weights, what_was_missed_is_not_caught_up) {
  world w({lane_of("a"), lane_of("b")}, weighted({{"a", 3}, {"b", 1}}));
  w.queue(0, 1);
  w.tick();
  w.end_all(refused(10s));
  w.queue(1, 400);
  w.tick(1ms);
  EXPECT_EQ(w.sends_by_lane()[1], 401);
  w.end_all(answered());
  w.tick(1ms);
  w.sched.set_lanes({lane_of("a"), lane_of("b")}, w.now);
  w.tick(60s);
  // Its pace is gentle for a while: what counts is that b is due as before.
  int first = 0, second = 0;
  w.queue(2, 80);
  for (int i = 0; i < 400 && first + second < 80; ++i) {
    w.tick(500ms);
    first += w.sends_by_lane()[0];
    second += w.sends_by_lane()[1];
    w.end_all(answered());
  }
  EXPECT_EQ(first + second, 80);
  EXPECT_GE(second, 80 / 4 - 3);
}

TEST(scheduler_weights, lanes_without_one_come_last_by_cost) {
  world w({priced(places_of("a", 2), 2), places_of("b", 2), priced(places_of("c", 2), 1),
           priced(lane_of("d"), 3)},
          weighted({{"b", 5}, {"a", 0}}));
  w.queue(0, 12);
  w.tick();
  std::vector<std::uint32_t> order;
  for (const auto& s : w.actions.sends)
    if (order.empty() || order.back() != s.prompt->lane.value())
      order.push_back(s.prompt->lane.value());
  EXPECT_EQ(order, (std::vector<std::uint32_t>{1, 2, 0, 3}));
}

TEST(scheduler_weights, a_change_of_weights_takes_effect_at_once) {
  world w({lane_of("a"), lane_of("b")}, weighted({{"a", 3}, {"b", 1}}));
  w.queue(0, 41);
  w.tick();
  job_setup other;
  other.policy = weighted({{"a", 1}, {"b", 9}}).job;
  w.sched.put_job(job_zero, other);
  w.queue(1, 100);
  w.tick(1ms);
  EXPECT_NEAR(w.sends_by_lane()[1], 90, 2);
}

TEST(lane_shares, follow_the_weights_and_forget_what_was_missed) {
  const lane_id a(0), b(1), c(2);
  lane_shares shares;
  shares.set({{a, 5}, {b, 1}, {c, 1'000'000}});
  std::vector<lane_id> lanes{a, b, c};
  std::map<lane_id, int> n;
  for (int i = 0; i < 1'000'006; ++i) {
    shares.order(lanes);
    ++n[lanes.front()];
    shares.took(lanes.front());
  }
  EXPECT_NEAR(n[a], 5, 1);
  EXPECT_NEAR(n[b], 1, 1);
  shares.set({{a, 1}, {b, 1}});
  for (int i = 0; i < 100; ++i) shares.took(a);  // b is away
  n.clear();
  lanes = {a, b};
  for (int i = 0; i < 20; ++i) {
    shares.order(lanes);
    ++n[lanes.front()];
    shares.took(lanes.front());
  }
  EXPECT_NEAR(n[b], 12, 1) << "four more than half";
}

}  // namespace
}  // namespace spillway::scheduling
