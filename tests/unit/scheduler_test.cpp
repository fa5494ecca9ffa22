#include "tests/unit/scheduler_harness.hpp"

#include <gtest/gtest.h>

namespace spillway::scheduling {
namespace {

TEST(scheduler, sends_in_order_and_finishes_with_the_answer) {
  world w({lane_of("a")});
  w.queue(0, 40);
  w.next.input_read = true;
  ASSERT_EQ(w.tick().sends.size(), 40u);
  for (std::uint32_t i = 0; i < 40; ++i) {
    EXPECT_EQ(w.actions.sends[i].prompt->what.where, position::from_value(i));
    EXPECT_EQ(w.actions.sends[i].prompt->sends, 1u);
  }
  EXPECT_EQ(w.sched.counts().in_flight, 40);
  w.end_all(answered(20, 5));
  w.tick(1ms);
  ASSERT_EQ(w.finished.size(), 40u);
  EXPECT_EQ(w.finished[7].outcome.kind, outcome_kind::answered);
  EXPECT_EQ(w.finished[7].prompt.what.text.size(), 100u);
  EXPECT_EQ(w.finished[7].sent_at, start + 1ms - 51ms);
  EXPECT_EQ(w.actions.stop, stop_cause::finished);
  EXPECT_EQ(w.totals(0).answered, 40);
}

TEST(scheduler, the_record_of_an_open_send_is_its_intent) {
  world w({priced(lane_of("a"), 1'000'000)});
  w.queue(0, 1);
  w.tick();
  const auto r = w.sched.record_of(*w.actions.sends.at(0).prompt, w.now);
  EXPECT_TRUE(r.in_flight);
  EXPECT_EQ(r.pool, "a");
  EXPECT_EQ(r.lane, "m");
  EXPECT_EQ(r.sends, 1u);
  EXPECT_EQ(r.line, 1u);
  EXPECT_EQ(r.reserved, nano_usd(110'000));
  EXPECT_EQ(w.money().reserved(), nano_usd(110'000));
}

TEST(scheduler, cheapest_lane_first_and_spill_when_it_has_no_permit) {
  world w({priced(lane_of("a"), 2'000'000), priced(lane_of("b", {.rpm = 600}), 1'000'000)});
  w.tick(250ms);
  w.queue(0, 5);
  w.tick();
  EXPECT_EQ(w.sends_by_lane(), (std::map<std::uint32_t, int>{{0, 3}, {1, 2}}));
  EXPECT_EQ(w.actions.sends[0].prompt->lane, lane_id(1));
  EXPECT_EQ(w.totals(0).spilled_in, 3);
  EXPECT_EQ(w.totals(1).spilled_out, 3);
  EXPECT_EQ(w.totals(1).spilled_in, 0);
}

TEST(scheduler, spills_for_every_reason_a_lane_refuses) {
  struct row {
    const char* name;
    limits quota;
  };
  for (const auto& [name, quota] :
       {row{"rpm", {.rpm = 1}}, row{"tpm", {.tpm = 1}}, row{"concurrency", {.concurrency = 1}},
        row{"rpd", {.rpd = 1}}, row{"usd", {.usd_per_day = nano_usd(1)}}}) {
    job_config job;
    job.order = lane_order::as_listed;
    world w({priced(lane_of("a", quota), 1'000), lane_of("b")}, settings(job));
    w.queue(0, 10);
    w.tick();
    EXPECT_EQ(w.actions.sends.size(), 10u) << name;
    EXPECT_GE(w.sends_by_lane()[1], 8) << name;
  }
}

TEST(scheduler, prompts_wait_in_order_when_no_lane_has_a_permit) {
  world w({lane_of("a", {.rpm = 600})});
  w.queue(0, 3);
  EXPECT_TRUE(w.tick().sends.empty());
  EXPECT_EQ(w.actions.wake, start + 100ms);
  EXPECT_TRUE(w.tick(99ms).sends.empty());
  ASSERT_EQ(w.tick(1ms).sends.size(), 1u);
  EXPECT_EQ(w.actions.sends[0].prompt->what.where.value(), 0u);
}

struct order_case {
  const char* name;
  lane_order order;
  std::uint32_t first;
};

class scheduler_order : public testing::TestWithParam<order_case> {};

TEST_P(scheduler_order, ranks_lanes) {
  job_config job;
  job.order = GetParam().order;
  // dear and slow; dear and fast; cheap and slow; without a price, slow
  world w({priced(lane_of("a"), 9'000'000), priced(lane_of("b"), 5'000'000),
           priced(lane_of("c"), 1'000'000), lane_of("d")},
          settings(job));
  // Let every lane answer once, so that latencies are known.
  for (std::uint32_t i = 0; i < 4; ++i) {
    auto& l = const_cast<lane&>(w.sched.lane_at(lane_id(i)));
    const call_cost cost{tokens(1), {}};
    l.take(w.now, cost);
    (void)l.end_call(w.now, cost, {}, answered(), i == 1 ? 10ms : 500ms);
  }
  w.queue(0, 1);
  w.tick(2s);
  ASSERT_EQ(w.actions.sends.size(), 1u);
  EXPECT_EQ(w.actions.sends[0].prompt->lane, lane_id(GetParam().first));
}

INSTANTIATE_TEST_SUITE_P(orders, scheduler_order,
                         testing::Values(order_case{"cost", lane_order::cost, 2},
                                         order_case{"latency", lane_order::latency, 1},
                                         order_case{"as_listed", lane_order::as_listed, 0}),
                         [](const auto& i) { return i.param.name; });

TEST(scheduler, self_hosted_lanes_cost_nothing_and_unpriced_ones_come_last) {
  auto own = lane_of("c");
  own.config.tier = lane_tier::self_hosted;
  world w({lane_of("a"), priced(lane_of("b", {.concurrency = 1}), 1), own});
  w.queue(0, 1);
  w.tick();
  EXPECT_EQ(w.actions.sends.at(0).prompt->lane, lane_id(2));
}

struct residency_case {
  const char* name;
  std::optional<std::vector<std::string>> job;
  std::vector<std::string> lane;
  bool allowed;
};

class scheduler_residency : public testing::TestWithParam<residency_case> {};

TEST_P(scheduler_residency, fails_closed) {
  const auto& [name, allowed_places, lane_places, allowed] = GetParam();
  job_config job;
  job.residency = allowed_places;
  auto l = lane_of("a");
  l.config.residency = lane_places;
  const world w({l}, settings(job));
  const auto& s = w.sched;
  EXPECT_TRUE(s.offers("m"));
  EXPECT_EQ(s.class_for(job_zero, "m", endpoint_kind::responses).has_value(), allowed);
}

using places = std::vector<std::string>;
INSTANTIATE_TEST_SUITE_P(
    sets, scheduler_residency,
    testing::Values(residency_case{"unconstrained", {}, {}, true},
                    residency_case{"unconstrained_declared", {}, {"us"}, true},
                    residency_case{"undeclared_lane", places{"us"}, {}, false},
                    residency_case{"equal", places{"us"}, {"us"}, true},
                    residency_case{"subset", places{"us", "eu"}, {"eu"}, true},
                    residency_case{"overlap_only", places{"us"}, {"us", "eu"}, false},
                    residency_case{"elsewhere", places{"us"}, {"eu"}, false},
                    residency_case{"nowhere", places{}, {"eu"}, false},
                    residency_case{"case_counts", places{"us"}, {"US"}, false}),
    [](const auto& i) { return i.param.name; });

TEST(scheduler, restricted_prompts_wait_rather_than_leave_their_residency) {
  job_config job;
  job.residency = places{"eu"};
  auto inside = lane_of("a", {.rpm = 1});
  inside.config.residency = {"eu"};
  auto outside = lane_of("b");
  outside.config.residency = {"us"};
  world w({inside, outside, lane_of("c")}, settings(job));
  w.queue(0, 100);
  for (int i = 0; i < 100; ++i) {
    w.tick(100ms);
    EXPECT_EQ(w.sends_by_lane()[1] + w.sends_by_lane()[2], 0);
  }
  EXPECT_EQ(w.totals(1).calls + w.totals(2).calls, 0);
}

TEST(scheduler, classes_are_models_and_endpoints) {
  const world w({lane_of("a"), lane_of("b", {}, "n"), lane_of("c")});
  const auto& s = w.sched;
  EXPECT_EQ(s.class_for(job_zero, "m", endpoint_kind::responses),
            s.class_for(job_zero, "m", endpoint_kind::responses));
  EXPECT_NE(s.class_for(job_zero, "m", endpoint_kind::responses),
            s.class_for(job_zero, "n", endpoint_kind::responses));
  EXPECT_NE(s.class_for(job_zero, "m", endpoint_kind::responses),
            s.class_for(job_zero, "m", endpoint_kind::embeddings));
  EXPECT_EQ(s.class_for(job_zero, "x", endpoint_kind::responses), std::nullopt);
  EXPECT_FALSE(s.offers("x"));
}

struct ending_case {
  const char* name;
  outcome (*answer)();
  bool counts;  ///< towards max_attempts
};

class scheduler_attempts : public testing::TestWithParam<ending_case> {};

TEST_P(scheduler_attempts, only_real_failures_count) {
  const auto& [name, answer, counts] = GetParam();
  job_config job;
  job.max_attempts = 3;
  job.stall_timeout = 1h;
  world w({lane_of("a"), lane_of("b")}, settings(job));
  w.queue(0, 1);
  w.next.input_read = true;
  int calls = 0;
  const auto stop = w.run([&](const open_call&) {
    ++calls;
    return calls < 20 ? answer() : answered();
  });
  EXPECT_EQ(stop, stop_cause::finished);
  EXPECT_EQ(calls, counts ? 3 : 20);
  ASSERT_EQ(w.finished.size(), 1u);
  EXPECT_EQ(w.finished[0].outcome.kind, counts ? outcome_kind::rejected : outcome_kind::answered);
  EXPECT_EQ(w.finished[0].prompt.attempts, counts ? 3u : 0u);
}

INSTANTIATE_TEST_SUITE_P(
    endings, scheduler_attempts,
    testing::Values(ending_case{"failure", failed, true}, ending_case{"timeout", timed_out, true},
                    ending_case{"refusal_429", [] { return refused(); }, false},
                    ending_case{"lane_down", [] { return lane_down(down_cause::missing_model); },
                                false},
                    ending_case{"never_sent", never_sent, false}),
    [](const auto& i) { return i.param.name; });

TEST(scheduler, a_send_that_never_left_is_not_counted_as_one) {
  world w({lane_of("a")});
  w.queue(0, 1);
  w.tick();
  w.end_all(never_sent());
  w.tick(1ms);
  ASSERT_EQ(w.actions.sends.size(), 1u) << "it goes again at once";
  EXPECT_EQ(w.actions.sends[0].prompt->sends, 1u);
  EXPECT_EQ(w.totals(0).retries, 0);
  EXPECT_EQ(w.totals(0).calls, 1);
  ASSERT_EQ(w.actions.ended.size(), 1u);
  EXPECT_FALSE(w.actions.ended[0].in_flight);
  EXPECT_EQ(w.actions.ended[0].sends, 0u);
}

TEST(scheduler, a_429_waits_for_the_lane_and_spills_meanwhile) {
  world w({priced(lane_of("a"), 1), priced(lane_of("b"), 2)});
  w.queue(0, 1);
  w.tick();
  ASSERT_EQ(w.actions.sends.at(0).prompt->lane, lane_id(0));
  w.end_all(refused(5s));
  w.tick(1ms);
  ASSERT_EQ(w.actions.sends.size(), 1u);
  EXPECT_EQ(w.actions.sends[0].prompt->lane, lane_id(1));
  EXPECT_EQ(w.actions.sends[0].prompt->sends, 2u);
  EXPECT_EQ(w.totals(1).retries, 1);
}

TEST(scheduler, a_failure_is_retried_after_its_jittered_delay) {
  world w({lane_of("a")});
  w.queue(0, 1);
  w.tick();
  auto o = failed();
  o.retry_after = 3s;
  w.end_all(o);
  w.tick(1ms);
  EXPECT_TRUE(w.actions.sends.empty());
  EXPECT_EQ(w.sched.counts().waiting, 1);
  ASSERT_EQ(w.actions.ended.size(), 1u);
  EXPECT_EQ(w.actions.ended[0].attempts, 1u);
  const auto wake = w.actions.wake;
  EXPECT_GE(wake, w.now + 3s);
  EXPECT_LT(wake, w.now + 3500ms);
  EXPECT_TRUE(w.tick(wake - w.now - 1ns).sends.empty());
  EXPECT_EQ(w.tick(1ns).sends.size(), 1u);
}

TEST(scheduler, retries_go_before_fresh_prompts) {
  world w({lane_of("a", {.concurrency = 1, .rpd = 100})});
  w.queue(0, 50);
  w.tick();
  const auto first = w.open.begin()->second.where;
  w.end(w.open.begin()->first, never_sent());
  w.tick(1ms);
  ASSERT_FALSE(w.actions.sends.empty());
  EXPECT_EQ(w.actions.sends[0].prompt->what.where, first);
}

TEST(scheduler, a_prompt_no_lane_can_serve_becomes_an_error_row) {
  world w({priced(lane_of("a"), 1), priced(lane_of("b"), 2), priced(lane_of("c"), 3)});
  w.queue(0, 1);
  w.next.input_read = true;
  std::vector<std::uint32_t> tried;
  const auto stop = w.run([&](const open_call& c) {
    tried.push_back(c.lane.value());
    return unfit();
  });
  EXPECT_EQ(stop, stop_cause::finished);
  EXPECT_EQ(tried, (std::vector<std::uint32_t>{0, 1, 2})) << "each lane once";
  ASSERT_EQ(w.finished.size(), 1u);
  EXPECT_EQ(w.finished[0].outcome.error_code, "context_length_exceeded");
  EXPECT_EQ(w.totals(2).rejected, 1);
}

TEST(scheduler, a_rejected_prompt_is_not_tried_elsewhere) {
  world w({lane_of("a"), lane_of("b")});
  w.queue(0, 1);
  w.next.input_read = true;
  int calls = 0;
  EXPECT_EQ(w.run([&](const open_call&) {
    ++calls;
    return rejected();
  }),
            stop_cause::finished);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(w.finished.at(0).outcome.error_code, "bad_request");
}

TEST(scheduler, a_bad_key_stops_all_lanes_of_its_pool_and_a_missing_model_only_one) {
  for (const auto cause : {down_cause::auth, down_cause::billing, down_cause::missing_model}) {
    auto sibling = lane_of("a", {}, "n");
    world w({lane_of("a"), sibling, lane_of("b", {}, "n")});
    w.queue(0, 1);
    w.tick();
    w.end_all(lane_down(cause));
    w.tick(1ms);
    EXPECT_FALSE(w.sched.lane_at(lane_id(0)).usable());
    EXPECT_EQ(w.sched.lane_at(lane_id(1)).usable(), cause == down_cause::missing_model);
    EXPECT_TRUE(w.sched.lane_at(lane_id(2)).usable());
    EXPECT_TRUE(w.finished.empty()) << "the lane stopped, not the prompt";
  }
}

attempt_record remembered(std::uint32_t where, std::uint32_t maybe_billed, std::uint32_t attempts) {
  attempt_record r;
  r.where = position::from_value(where);
  r.pool = "a";
  r.lane = "m";
  r.sends = 4;
  r.attempts = attempts;
  r.maybe_billed = maybe_billed;
  r.charged = nano_usd(70);
  return r;
}

TEST(scheduler, goes_on_from_the_history_of_earlier_runs) {
  job_config job;
  job.max_attempts = 3;
  world w({lane_of("a")}, settings(job), {remembered(1, 1, 2)});
  w.queue(0, 2);
  w.tick();
  ASSERT_EQ(w.actions.sends.size(), 2u);
  EXPECT_EQ(w.actions.sends[1].prompt->sends, 5u);
  EXPECT_EQ(w.actions.sends[1].prompt->charged, nano_usd(70));
  w.end_all(failed());
  w.tick(1ms);
  ASSERT_EQ(w.finished.size(), 1u) << "the third attempt was the last";
  EXPECT_EQ(w.finished[0].prompt.what.where.value(), 1u);
  EXPECT_EQ(w.finished[0].prompt.maybe_billed, 1u);
  EXPECT_EQ(w.finished[0].cost, nano_usd(70)) << "what was charged before is part of its cost";
}

TEST(scheduler, hold_gives_prompts_in_doubt_an_error_row_at_the_start) {
  job_config job;
  job.in_doubt = in_doubt_policy::hold;
  world w({lane_of("a")}, settings(job), {remembered(1, 1, 0), remembered(2, 0, 1)});
  w.queue(0, 3);
  w.next.input_read = true;
  w.tick();
  ASSERT_EQ(w.finished.size(), 1u);
  EXPECT_EQ(w.finished[0].prompt.what.where.value(), 1u);
  EXPECT_EQ(w.finished[0].outcome.error_code, "in_doubt");
  EXPECT_EQ(w.finished[0].prompt.lane, lane_id(0));
  EXPECT_EQ(w.finished[0].prompt.sends, 4u);
  EXPECT_EQ(w.finished[0].cost, nano_usd(70));
  EXPECT_EQ(w.actions.sends.size(), 2u);
}

TEST(scheduler, hold_gives_a_call_without_an_answer_an_error_row) {
  for (const auto policy : {in_doubt_policy::hold, in_doubt_policy::resend}) {
    job_config job;
    job.in_doubt = policy;
    world w({priced(lane_of("a"), 1'000'000)}, settings(job));
    w.queue(0, 1);
    w.tick();
    w.end_all(timed_out());
    w.tick(1ms);
    EXPECT_EQ(w.finished.size(), policy == in_doubt_policy::hold ? 1u : 0u);
    EXPECT_EQ(w.money().settled(), nano_usd(110'000)) << "in doubt stays charged";
    if (policy == in_doubt_policy::resend) continue;
    EXPECT_EQ(w.finished[0].outcome.error_code, "in_doubt");
    EXPECT_NE(w.finished[0].outcome.error_message.find("timeout"), std::string::npos);
    EXPECT_EQ(w.finished[0].cost, nano_usd(110'000));
  }
}

TEST(scheduler, charges_in_doubt_add_up_in_the_cost_of_the_answer) {
  world w({priced(lane_of("a"), 1'000'000)});
  w.queue(0, 1);
  w.next.input_read = true;
  int calls = 0;
  w.run([&](const open_call&) { return ++calls < 3 ? timed_out() : answered(20, 5); });
  ASSERT_EQ(w.finished.size(), 1u);
  EXPECT_EQ(w.finished[0].cost, nano_usd(2 * 110'000 + 25'000));
  EXPECT_EQ(w.finished[0].prompt.maybe_billed, 2u);
  EXPECT_EQ(w.money().settled(), w.finished[0].cost);
  EXPECT_EQ(w.money().reserved(), nano_usd{});
}

TEST(scheduler, classes_share_a_lane_evenly) {
  auto shared = lane_of("a", {.rpm = 60'000});
  auto other = lane_of("a", {.rpm = 60'000}, "n");
  world w({shared, other, lane_of("b", {.rpm = 6'000})});
  w.queue(0, 500, "m");
  w.queue(1, 500, "n");
  w.tick(250ms);
  std::map<std::uint32_t, int> by_shard;
  for (const auto& s : w.actions.sends) ++by_shard[s.prompt->what.where.shard().value()];
  EXPECT_GE(by_shard[0], 200);
  EXPECT_GE(by_shard[1], 200);
}

TEST(scheduler_death, an_answer_to_nothing_is_a_bug) {
  world w({lane_of("a")});
  w.queue(0, 1);
  w.tick();
  w.next.calls.push_back({position::from_value(0), call_id(99), answered(), start, start});
  EXPECT_DEATH(w.tick(1ms), "not open");
}

}  // namespace
}  // namespace spillway::scheduling
