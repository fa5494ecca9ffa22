// When and why a run ends.
#include "tests/unit/scheduler_harness.hpp"

#include <gtest/gtest.h>

namespace spillway::scheduling {
namespace {

constexpr std::int64_t micro_usd = 1'000'000;  // pico-USD a token: 110 tokens cost 110,000 nano-USD

job_config with_budget(std::int64_t nano) {
  job_config job;
  job.budget = nano_usd(nano);
  return job;
}

TEST(scheduler_stop, an_empty_input_is_finished_once_it_is_read) {
  world w({lane_of("a")});
  EXPECT_EQ(w.tick().stop, stop_cause::none);
  w.next.input_read = true;
  EXPECT_EQ(w.tick(1ms).stop, stop_cause::finished);
}

TEST(scheduler_stop, does_not_finish_while_a_call_or_a_retry_is_out) {
  world w({lane_of("a")});
  w.queue(0, 1);
  w.next.input_read = true;
  EXPECT_EQ(w.tick().stop, stop_cause::none);
  w.end_all(failed());
  EXPECT_EQ(w.tick(1ms).stop, stop_cause::none);
  w.tick(w.wake_after());
  w.end_all(answered());
  EXPECT_EQ(w.tick(1ms).stop, stop_cause::finished);
}

TEST(scheduler_stop, the_budget_is_never_passed_and_the_rest_waits) {
  world w({priced(lane_of("a"), micro_usd)}, settings(with_budget(1'000'000)));
  w.queue(0, 100);
  w.next.input_read = true;
  std::size_t most = 0;
  nano_usd held;
  const auto stop = w.run([&](const open_call&) {
    most = std::max(most, w.open.size());
    held = std::max(held, w.money().settled() + w.money().reserved());
    return answered(80, 10);  // 90,000
  });
  EXPECT_EQ(stop, stop_cause::budget);
  EXPECT_LE(held, nano_usd(1'000'000));
  EXPECT_EQ(most, 9u) << "nine worst cases fit at once";
  EXPECT_EQ(w.finished.size(), 10u) << "the tenth fits once the others are settled";
  EXPECT_EQ(w.money().settled(), nano_usd(900'000));
  for (const auto& f : w.finished) EXPECT_EQ(f.outcome.kind, outcome_kind::answered);
  EXPECT_NE(w.actions.stop_reason.find("--budget"), std::string::npos);
}

TEST(scheduler_stop, a_larger_budget_goes_on_from_what_was_settled) {
  named_totals before{"a", "m", "m", {}};
  before.totals.settled = nano_usd(950'000);
  {
    world w({priced(lane_of("a"), micro_usd)}, settings(with_budget(1'000'000)), {}, {before});
    w.queue(0, 10);
    w.next.input_read = true;
    EXPECT_EQ(w.tick().stop, stop_cause::budget);
  }
  world w({priced(lane_of("a"), micro_usd)}, settings(with_budget(9'000'000)), {}, {before});
  w.queue(0, 10);
  w.next.input_read = true;
  EXPECT_EQ(w.run([](const open_call&) { return answered(80, 10); }), stop_cause::finished);
  EXPECT_EQ(w.money().settled(), nano_usd(950'000 + 900'000));
}

TEST(scheduler_stop, spend_of_lanes_that_are_gone_still_counts) {
  named_totals gone{"old", "m", "m", {}};
  gone.totals.settled = nano_usd(1'000'000);
  world w({priced(lane_of("a"), micro_usd)}, settings(with_budget(1'000'000)), {}, {gone});
  w.queue(0, 1);
  w.next.input_read = true;
  EXPECT_EQ(w.tick().stop, stop_cause::budget);
}

TEST(scheduler_stop, a_dear_prompt_does_not_hold_up_what_a_cheaper_lane_can_take) {
  world w(
      {priced(lane_of("a", {.concurrency = 1}), 1'000), priced(lane_of("b"), 1'000 * micro_usd)},
      settings(with_budget(1'000'000)));
  w.queue(0, 20);
  w.next.input_read = true;
  EXPECT_EQ(w.run([](const open_call&) { return answered(10, 1); }), stop_cause::finished);
  EXPECT_EQ(w.totals(1).calls, 0) << "one call there would pass the budget";
}

TEST(scheduler_stop, waits_for_open_calls_before_the_budget_counts_as_spent) {
  world w({priced(lane_of("a"), micro_usd)}, settings(with_budget(110'000)));
  w.queue(0, 2);
  w.next.input_read = true;
  EXPECT_EQ(w.tick().sends.size(), 1u);
  EXPECT_EQ(w.actions.stop, stop_cause::none);
  EXPECT_EQ(w.tick(1s).stop, stop_cause::none);
  w.end_all(refused(1s));
  EXPECT_EQ(w.tick(1ms).stop, stop_cause::none) << "a refusal is not billed: it fits again later";
  EXPECT_EQ(w.run([](const open_call&) { return answered(1, 1); }), stop_cause::budget);
  EXPECT_EQ(w.finished.size(), 1u);
}

TEST(scheduler_stop, too_many_errors_of_the_last_200) {
  job_config job;
  job.max_error_rate = 0.2;
  for (const int bad_of_ten : {1, 3}) {
    world w({lane_of("a", {.concurrency = 10})}, settings(job));
    w.queue(0, 512);
    w.next.input_read = true;
    const auto stop = w.run([&](const open_call& c) {
      return static_cast<int>(c.where.value() % 10) < bad_of_ten ? rejected() : answered();
    });
    EXPECT_EQ(stop, bad_of_ten > 2 ? stop_cause::error_rate : stop_cause::finished);
    if (bad_of_ten > 2) {
      EXPECT_LT(w.finished.size(), 200u + 40u);
    }
  }
}

TEST(scheduler_stop, a_few_errors_at_first_are_no_rate_yet) {
  job_config job;
  job.max_error_rate = 0.2;
  world w({lane_of("a", {.concurrency = 1})}, settings(job));
  w.queue(0, 199);
  w.next.input_read = true;
  EXPECT_EQ(w.run([](const open_call&) { return rejected(); }), stop_cause::finished);
  EXPECT_EQ(w.finished.size(), 199u);
}

TEST(scheduler_stop, without_a_max_error_rate_errors_do_not_stop) {
  world w({lane_of("a")});
  w.queue(0, 512);
  w.next.input_read = true;
  EXPECT_EQ(w.run([](const open_call&) { return rejected(); }), stop_cause::finished);
}

TEST(scheduler_stop, drain_sends_nothing_more_and_ends_with_the_last_call) {
  world w({lane_of("a", {.concurrency = 5})});
  w.queue(0, 50);
  w.tick();
  const auto out = w.open.size();
  w.next.drain = true;
  w.end(w.open.begin()->first, answered());
  EXPECT_TRUE(w.tick(1ms).sends.empty());
  EXPECT_EQ(w.actions.stop, stop_cause::none);
  EXPECT_EQ(w.end_all(answered()), out - 1);
  EXPECT_EQ(w.tick(1ms).stop, stop_cause::drained);
  EXPECT_TRUE(w.actions.sends.empty());
  EXPECT_EQ(w.finished.size(), out);
}

TEST(scheduler_stop, drain_with_nothing_left_is_a_finish) {
  world w({lane_of("a")});
  w.queue(0, 2);
  w.next.input_read = true;
  w.tick();
  w.next.drain = true;
  w.end_all(answered());
  EXPECT_EQ(w.tick(1ms).stop, stop_cause::finished);
}

TEST(scheduler_stop, prompts_between_two_sends_end_with_a_drain) {
  world w({lane_of("a")});
  w.queue(0, 2);
  w.tick();
  w.end_all(failed());
  w.tick(1ms);
  w.next.drain = true;
  EXPECT_EQ(w.tick(1ms).stop, stop_cause::drained);
}

class scheduler_stall : public testing::TestWithParam<std::uint32_t> {};

TEST_P(scheduler_stall, stops_when_every_lane_was_down_for_the_stall_timeout) {
  job_config job;
  job.stall_timeout = 10min;
  world w({lane_of("a"), lane_of("b")}, settings(job));
  w.queue(0, GetParam());
  w.next.input_read = true;
  const auto stop = w.run([](const open_call&) { return lane_down(down_cause::auth); }, 10'000);
  EXPECT_EQ(stop, stop_cause::stalled);
  EXPECT_GE(w.now - start, 10min);
  EXPECT_LE(w.now - start, 16min) << "the pause between probes is at most five minutes";
  EXPECT_NE(w.actions.stop_reason.find("'m' was down for 600 s"), std::string::npos);
  EXPECT_TRUE(w.finished.empty()) << "a stall writes no rows";
}

INSTANTIATE_TEST_SUITE_P(prompts, scheduler_stall, testing::Values(1u, 2u, 200u));

TEST(scheduler_stop, lanes_that_nobody_can_reach_stall_however_many_they_are) {
  for (const std::size_t lanes : {1u, 2u, 4u}) {
    job_config job;
    job.stall_timeout = 10min;
    std::vector<lane_setup> all;
    for (std::size_t i = 0; i < lanes; ++i) all.push_back(lane_of(std::string(1, char('a' + i))));
    world w(std::move(all), settings(job));
    w.queue(0, 256);
    w.next.input_read = true;
    EXPECT_EQ(w.run([](const open_call&) { return unreachable(); }), stop_cause::stalled) << lanes;
    EXPECT_GE(w.now - start, 10min) << lanes;
    EXPECT_LE(w.now - start, 11min) << lanes;
    EXPECT_TRUE(w.finished.empty()) << lanes;
  }
}

/// Nobody is there to be turned away: the prompt waits longer for its next try than the lane does.
TEST(scheduler_stop, a_prompt_that_is_tried_again_and_again_stalls_too) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    job_config job;
    job.stall_timeout = 1s;
    job.max_attempts = 1'000;
    auto rules = settings(job);
    rules.seed = seed;
    world w({lane_of("a")}, rules);
    w.queue(0, 1);
    w.next.input_read = true;
    time_point failed_fifth{};
    int failures = 0;
    EXPECT_EQ(w.run(
                  [&](const open_call&) {
                    if (++failures == 5) failed_fifth = w.now;
                    return failed();
                  },
                  10'000),
              stop_cause::stalled);
    EXPECT_LE(w.now - failed_fifth, 2s) << "the lane was down all the time, seed " << seed;
    EXPECT_TRUE(w.finished.empty());
  }
}

TEST(scheduler_stop, a_lane_that_comes_back_ends_the_stall) {
  job_config job;
  job.stall_timeout = 10min;
  world w({lane_of("a")}, settings(job));
  w.queue(0, 100);
  w.next.input_read = true;
  const auto stop = w.run([&](const open_call&) {
    return w.now - start < 7min ? lane_down(down_cause::billing) : answered();
  });
  EXPECT_EQ(stop, stop_cause::finished);
  EXPECT_EQ(w.finished.size(), 100u);
}

TEST(scheduler_stop, one_model_down_does_not_stop_another) {
  job_config job;
  job.stall_timeout = 1min;
  world w({lane_of("a"), lane_of("b", {.rpm = 60}, "n")}, settings(job));
  w.queue(0, 5, "m");
  w.queue(1, 200, "n");
  w.next.input_read = true;
  const auto stop = w.run([](const open_call& c) {
    return c.lane == lane_id(0) ? lane_down(down_cause::auth) : answered();
  });
  EXPECT_EQ(stop, stop_cause::stalled) << "only after the other model's prompts are done";
  EXPECT_EQ(w.finished.size(), 200u);
}

TEST(scheduler_stop, a_daily_quota_is_waited_for) {
  job_config job;
  job.stall_timeout = 1min;
  world w({lane_of("a", {.rpd = 3})}, settings(job));
  w.queue(0, 7);
  w.next.input_read = true;
  EXPECT_EQ(w.run([](const open_call&) { return answered(); }), stop_cause::finished);
  EXPECT_EQ(utc_day(w.now) - utc_day(start), 2);
}

TEST(scheduler_stop, a_prompt_that_only_a_lane_that_is_down_could_take_stalls_too) {
  job_config job;
  job.stall_timeout = 10min;
  world w({priced(lane_of("a"), 1), priced(lane_of("b"), 2)}, settings(job));
  w.queue(0, 1);
  w.next.input_read = true;
  const auto stop = w.run(
      [](const open_call& c) {
        return c.lane == lane_id(0) ? unfit() : lane_down(down_cause::auth);
      },
      10'000);
  EXPECT_EQ(stop, stop_cause::stalled);
}

TEST(scheduler_stop, a_prompt_dearer_than_a_lanes_whole_day_does_not_wait_for_ever) {
  world w({priced(lane_of("a", {.usd_per_day = nano_usd(100)}), micro_usd)});
  w.queue(0, 1);
  w.next.input_read = true;
  EXPECT_NE(w.run([](const open_call&) { return answered(); }, 1'000), stop_cause::none);
}

}  // namespace
}  // namespace spillway::scheduling
