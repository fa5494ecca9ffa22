#include "orchestrator/core/plan.hpp"

#include "orchestrator/core/lane.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <random>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr time_point midday = std::chrono::sys_days(std::chrono::year(2026) / 3 / 1) + 12h;

double total(const batch_plan& plan) {
  double sum = 0;
  for (const auto& kind : plan.prompts)
    for (const double n : kind) sum += n;
  return sum;
}

/// The lanes themselves, asked prompt by prompt as the scheduler asks them:
/// each millisecond, the kinds take turns, and a kind's prompt goes to the
/// first of its lanes that has a permit.
batch_plan simulated(const std::vector<plan_lane>& lanes, const std::vector<plan_kind>& kinds,
                     time_point start) {
  std::vector<lane> real;
  for (const auto& l : lanes) {
    lane_setup setup;
    if (l.requests_per_s) setup.config.quota.rpm = std::llround(*l.requests_per_s * 60);
    if (l.tokens_per_s) setup.config.quota.tpm = tokens(std::llround(*l.tokens_per_s * 60));
    if (l.requests_per_day) setup.config.quota.rpd = std::llround(*l.requests_per_day);
    setup.slots = l.slots;
    setup.rate_charge = [](tokens, tokens max_output, tokens) { return max_output; };
    real.emplace_back(std::move(setup), start);
  }
  batch_plan out;
  std::vector<double> left;
  for (const auto& k : kinds) {
    out.prompts.emplace_back(k.routes.size(), 0.0);
    left.push_back(k.prompts);
  }
  struct call {
    duration latency;
    call_cost cost;
    time_point ends;
  };
  std::vector<std::deque<call>> queued(lanes.size());  // taken, waiting for a connection
  std::vector<std::vector<call>> open(lanes.size());
  time_point last = start;
  std::size_t turn = 0;
  const auto end_by = start + 30 * 24h;
  auto now = start;
  const auto connect = [&](std::size_t l) {
    while (!queued[l].empty() && static_cast<std::int64_t>(open[l].size()) < lanes[l].slots) {
      queued[l].front().ends = now + queued[l].front().latency;
      open[l].push_back(queued[l].front());
      queued[l].pop_front();
    }
  };
  for (; now < end_by; now += 1ms) {
    for (std::size_t l = 0; l < lanes.size(); ++l) {
      std::erase_if(open[l], [&](const call& c) {
        if (c.ends > now) return false;
        outcome done;
        done.kind = outcome_kind::answered;
        done.status = 200;
        real[l].end_call(now, c.cost, {}, done, 1s);
        last = now;
        return true;
      });
      connect(l);
    }
    const auto take = [&](std::size_t k) {
      if (left[k] <= 0) return false;
      for (std::size_t r = 0; r < kinds[k].routes.size(); ++r) {
        const auto& route = kinds[k].routes[r];
        const call_cost cost{tokens(std::llround(route.charge)), {}};
        if (real[route.lane].check(now, cost) != refusal::none) continue;
        real[route.lane].take(now, cost);
        queued[route.lane].push_back({from_seconds(route.latency_s), cost, {}});
        connect(route.lane);
        out.prompts[k][r] += 1;
        left[k] -= 1;
        return true;
      }
      return false;
    };
    for (std::size_t idle = 0; idle < kinds.size(); ++turn)
      idle = take(turn % kinds.size()) ? 0 : idle + 1;
    ++turn;
    if (std::all_of(open.begin(), open.end(), [](const auto& calls) { return calls.empty(); })) {
      bool any = false;
      for (const double n : left) any = any || n > 0;
      if (!any) break;
      // Nothing is under way: on to when something may go.
      auto next = time_never;
      for (std::size_t k = 0; k < kinds.size(); ++k)
        for (const auto& route : kinds[k].routes)
          if (left[k] > 0)
            next = std::min(
                next, real[route.lane].ready_at(now, {tokens(std::llround(route.charge)), {}}));
      if (next > now + 1ms) now = std::min(end_by, next - 1ms);
    }
  }
  if (now < end_by) out.finish = last - start;
  return out;
}

void expect_alike(const std::vector<plan_lane>& lanes, const std::vector<plan_kind>& kinds,
                  const std::string& name) {
  const auto plan = plan_batch(lanes, kinds, midday);
  const auto real = simulated(lanes, kinds, midday);
  ASSERT_EQ(plan.finish.has_value(), real.finish.has_value()) << name;
  if (plan.finish) {
    const double expected = seconds_of(*real.finish);
    EXPECT_NEAR(seconds_of(*plan.finish), expected, 1.5 + expected * 0.06) << name;
  }
  for (std::size_t k = 0; k < kinds.size(); ++k)
    for (std::size_t r = 0; r < kinds[k].routes.size(); ++r)
      EXPECT_NEAR(plan.prompts[k][r], real.prompts[k][r], 5 + kinds[k].prompts * 0.05)
          << name << ", kind " << k << ", route " << r;
}

TEST(plan, one_lane_takes_as_long_as_its_quota_says) {
  const auto plan = plan_batch({{.requests_per_s = 10, .slots = 1'000}},
                               {{600, {{.lane = 0, .latency_s = 2}}}}, midday);
  EXPECT_NEAR(seconds_of(plan.finish.value()), 62, 0.1);
  EXPECT_NEAR(plan.prompts[0][0], 600, 0.01);
}

TEST(plan, with_a_backlog_all_lanes_work_at_once) {
  const auto plan =
      plan_batch({{.requests_per_s = 10, .slots = 1'000}, {.requests_per_s = 30, .slots = 1'000}},
                 {{4'000, {{.lane = 0}, {.lane = 1}}}}, midday);
  EXPECT_NEAR(plan.prompts[0][0], 1'000, 1);
  EXPECT_NEAR(plan.prompts[0][1], 3'000, 1);
  EXPECT_NEAR(seconds_of(plan.finish.value()), 101, 0.1);
}

TEST(plan, a_small_batch_is_shared_by_weight_while_there_is_room) {
  const std::vector<plan_route> routes{
      {.lane = 0, .weight = 3}, {.lane = 1, .weight = 1}, {.lane = 2}};
  const std::vector<plan_lane> lanes(3, {.slots = 100});
  const auto small = plan_batch(lanes, {{100, routes}}, midday);
  EXPECT_EQ(small.prompts[0], (std::vector<double>{75, 25, 0}));
  const auto larger = plan_batch(lanes, {{500, routes}}, midday);
  EXPECT_EQ(larger.prompts[0], (std::vector<double>{200, 200, 100}));
}

TEST(plan, a_small_batch_goes_where_there_is_room_at_once_in_order) {
  const auto plan =
      plan_batch({{.slots = 100}, {.slots = 100}}, {{250, {{.lane = 1}, {.lane = 0}}}}, midday);
  EXPECT_NEAR(plan.prompts[0][0], 200, 0.01) << "100 of them queue there";
  EXPECT_NEAR(plan.prompts[0][1], 50, 0.01);
  EXPECT_NEAR(seconds_of(plan.finish.value()), 2, 0.01);
}

TEST(plan, a_day_s_quota_waits_for_the_next_day) {
  const auto plan = plan_batch({{.requests_per_s = 10, .slots = 100, .requests_per_day = 500}},
                               {{1'200, {{.lane = 0}}}}, midday);
  // 500 today, 500 tomorrow, and 200 the day after.
  EXPECT_NEAR(seconds_of(plan.finish.value()), (12 + 24) * 3'600 + 20 + 1, 1);
}

TEST(plan, a_day_s_money_counts_too_and_what_never_fits_never_ends) {
  const std::vector<plan_kind> kinds{{100, {{.lane = 0, .nano_usd = 10}}}};
  const auto plan =
      plan_batch({{.requests_per_s = 10, .slots = 9, .nano_usd_per_day = 600}}, kinds, midday);
  EXPECT_NEAR(seconds_of(plan.finish.value()), 12 * 3'600 + 4 + 1, 1);
  const auto never =
      plan_batch({{.requests_per_s = 10, .slots = 9, .nano_usd_per_day = 5}}, kinds, midday);
  EXPECT_FALSE(never.finish);
  EXPECT_LT(total(never), 1);
}

TEST(plan, prompts_nobody_takes_are_left_out) {
  const auto plan = plan_batch({{.requests_per_s = 1, .slots = 1}},
                               {{10, {}}, {5, {{.lane = 0, .latency_s = 0.1}}}}, midday);
  EXPECT_TRUE(plan.finish);
  EXPECT_NEAR(total(plan), 5, 0.01);
}

TEST(plan, of_two_kinds_is_what_the_lanes_themselves_do) {
  // The second kind has a lane of its own, and takes half of the common one all
  // the same.
  expect_alike({{.requests_per_s = 10, .slots = 1'000}, {.requests_per_s = 8.7, .slots = 1'000}},
               {{500, {{.lane = 0}}}, {500, {{.lane = 1}, {.lane = 0}}}}, "own and common");
  expect_alike({{.slots = 5}, {.slots = 20}},
               {{400, {{.lane = 0, .latency_s = 0.5}, {.lane = 1, .latency_s = 0.5}}}},
               "slots only");
  expect_alike({{.requests_per_s = 5, .slots = 50, .requests_per_day = 300}},
               {{700, {{.lane = 0}}}}, "days");
}

TEST(plan, of_batches_by_seed_is_what_the_lanes_themselves_do) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    std::mt19937_64 random(seed);
    const auto up_to = [&](int n) {
      return 1 + static_cast<int>(random() % static_cast<unsigned>(n));
    };
    std::vector<plan_lane> lanes(2 + random() % 2);
    for (auto& lane : lanes) {
      if (random() % 3 != 0) lane.requests_per_s = up_to(20);
      if (random() % 2) lane.tokens_per_s = 200.0 * up_to(20);
      lane.slots = 5 + up_to(30);
    }
    std::vector<plan_kind> kinds(1 + random() % 2);
    for (auto& kind : kinds) {
      kind.prompts = 100.0 * up_to(8);
      const double charge = 50.0 * up_to(10), latency = 0.2 * up_to(10);
      for (std::size_t l = 0; l < lanes.size(); ++l)
        if (l == 0 || random() % 3 != 0)
          kind.routes.push_back({.lane = l, .charge = charge, .latency_s = latency});
    }
    expect_alike(lanes, kinds, "seed " + std::to_string(seed));
  }
}

}  // namespace
}  // namespace spillway
