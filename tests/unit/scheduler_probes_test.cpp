// Lanes that fail are tried with prompts; prompts that fail a lane must not keep it down.
#include "tests/unit/scheduler_harness.hpp"

#include <gtest/gtest.h>

#include <set>

namespace spillway::scheduling {
namespace {

job_config job_of(std::uint32_t max_attempts = 6) {
  job_config job;
  job.order = lane_order::as_listed;
  job.max_attempts = max_attempts;
  return job;
}

/// Ends every call by `answer` until the scheduler stops or `until` has come.
template <class Answer>
stop_cause run_until(world& w, time_point until, Answer answer) {
  while (w.now < until) {
    while (!w.open.empty()) {
      const auto [call, what] = *w.open.begin();
      w.end(call, answer(what));
    }
    w.tick(w.next.calls.empty() ? w.wake_after() : 1ms);
    if (w.actions.stop != stop_cause::none) return w.actions.stop;
  }
  return stop_cause::none;
}

std::map<std::uint64_t, std::uint32_t> failed_rows(const world& w) {
  std::map<std::uint64_t, std::uint32_t> out;
  for (const auto& f : w.finished)
    if (f.outcome.kind != outcome_kind::answered) out[f.prompt.what.where.value()] = f.prompt.sends;
  return out;
}

TEST(scheduler_probes, an_outage_of_the_only_lane_costs_no_prompt_its_attempts) {
  for (const auto outage : {1min, 5min, 9min})
    for (const std::uint32_t prompts : {2u, 3u, 10u, 200u})
      for (const auto& kind : {failed(), timed_out()}) {
        world w({lane_of("a", {.rpm = 6'000, .concurrency = 20})}, settings(job_of()));
        w.queue(0, prompts);
        w.next.input_read = true;
        const auto end = w.now + outage;
        const auto stop = run_until(
            w, w.now + 2h, [&](const open_call&) { return w.now < end ? kind : answered(); });
        EXPECT_EQ(stop, stop_cause::finished);
        EXPECT_EQ(failed_rows(w).size(), 0u) << prompts << " in " << seconds_of(outage);
        EXPECT_EQ(w.finished.size(), prompts);
      }
}

TEST(scheduler_probes, a_longer_outage_stops_the_run_resumable) {
  world w({lane_of("a", {.concurrency = 20})}, settings(job_of()));
  w.queue(0, 100);
  w.next.input_read = true;
  EXPECT_EQ(run_until(w, w.now + 2h, [](const open_call&) { return failed(); }),
            stop_cause::stalled);
  EXPECT_TRUE(w.finished.empty());
  EXPECT_LT(w.totals(0).calls, 100) << "tried less and less often";
}

TEST(scheduler_probes, a_prompt_that_always_fails_ends_as_the_last_one_too) {
  for (const std::uint32_t others : {0u, 1u, 30u}) {
    world w({lane_of("a", {.concurrency = 4})}, settings(job_of()));
    w.queue(0, others + 1);
    w.next.input_read = true;
    const auto stop = run_until(w, w.now + 2h, [&](const open_call& c) {
      return c.where.value() == others ? failed() : answered();
    });
    EXPECT_EQ(stop, stop_cause::finished);
    EXPECT_EQ(failed_rows(w), (std::map<std::uint64_t, std::uint32_t>{{others, 6}}));
    EXPECT_EQ(w.finished.size(), others + 1);
    EXPECT_LT(w.now - start, 5min);
  }
}

/// The first of all in line, so that nothing but its failures keeps it from being every probe.
TEST(scheduler_probes, a_prompt_that_always_fails_keeps_no_lane_down) {
  world w({lane_of("a", {.concurrency = 4})}, settings(job_of()));
  w.queue(0, 300);
  w.next.input_read = true;
  const auto outage = w.now + 1min;
  time_point recovered = time_never;
  const auto stop = run_until(w, w.now + 2h, [&](const open_call& c) {
    if (w.now < outage || c.where.value() == 0) return failed();
    recovered = std::min(recovered, w.now);
    return answered();
  });
  EXPECT_EQ(stop, stop_cause::finished);
  EXPECT_LE(recovered - outage, 8s);
  const auto rows = failed_rows(w);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows.begin()->first, 0u);
  EXPECT_LE(rows.begin()->second, 6u + 4u);
}

/// They gather at the end, when nothing else is left to show that the lane works.
TEST(scheduler_probes, many_that_always_fail_are_known_by_the_answers_between) {
  world w({lane_of("a", {.concurrency = 4})}, settings(job_of(2)));
  w.queue(0, 80);
  w.next.input_read = true;
  const auto stop = run_until(w, w.now + 2h, [&](const open_call& c) {
    return c.where.value() % 12 == 3 ? failed() : answered();
  });
  EXPECT_EQ(stop, stop_cause::finished);
  const auto rows = failed_rows(w);
  EXPECT_EQ(rows.size(), 7u);
  for (const auto& [where, sends] : rows) EXPECT_EQ(sends, 2u) << where;
  EXPECT_LT(w.now - start, 2min);
}

TEST(scheduler_probes, several_that_always_fail_end_within_bounds) {
  auto job = job_of();
  job.stall_timeout = 24h;
  world w({lane_of("a", {.concurrency = 4})}, settings(job));
  w.queue(0, 50);
  w.next.input_read = true;
  const auto stop = run_until(w, w.now + 24h, [&](const open_call& c) {
    return c.where.value() >= 47 ? failed() : answered();
  });
  EXPECT_EQ(stop, stop_cause::finished);
  const auto rows = failed_rows(w);
  EXPECT_EQ(rows.size(), 3u);
  for (const auto& [where, sends] : rows) EXPECT_LE(sends, 6u + 20u);
}

TEST(scheduler_probes, a_prompt_that_failed_twice_is_no_probe_while_another_lane_works) {
  world w({lane_of("a"), lane_of("b", {.rpm = 600})}, settings(job_of(1'000)));
  w.queue(0, 1);
  w.next.input_read = true;
  int on_a = 0;
  const auto stop = run_until(w, w.now + 10min, [&](const open_call& c) {
    on_a += c.lane == lane_id(0);
    return w.now < start + 5min ? failed() : answered();
  });
  EXPECT_EQ(stop, stop_cause::finished);
  EXPECT_LT(on_a, 60);
}

TEST(scheduler_probes, the_only_lane_left_for_a_prompt_is_tried_all_the_same) {
  world w({lane_of("a"), lane_of("b")}, settings(job_of()));
  w.queue(0, 1);
  w.next.input_read = true;
  int calls = 0;
  const auto stop = run_until(w, w.now + 10min, [&](const open_call& c) {
    ++calls;
    if (c.lane == lane_id(1)) return unfit();
    return calls < 6 ? failed() : answered();
  });
  EXPECT_EQ(stop, stop_cause::finished);
  EXPECT_TRUE(failed_rows(w).empty());
}

outcome once_more() {
  outcome o;
  o.status = 200;
  o.retry_once = true;
  o.error_code = "empty_answer";
  return o;
}

TEST(scheduler_retry_once, the_second_time_the_prompt_moves_on) {
  world w({lane_of("a"), lane_of("b")}, settings(job_of()));
  w.queue(0, 1);
  w.next.input_read = true;
  std::vector<std::uint32_t> lanes;
  EXPECT_EQ(run_until(w, w.now + 1h,
                      [&](const open_call& c) {
                        lanes.push_back(c.lane.value());
                        return once_more();
                      }),
            stop_cause::finished);
  EXPECT_EQ(lanes, (std::vector<std::uint32_t>{0, 0, 1, 1}));
  ASSERT_EQ(w.finished.size(), 1u);
  EXPECT_EQ(w.finished[0].outcome.kind, outcome_kind::rejected);
  EXPECT_EQ(w.finished[0].outcome.error_code, "empty_answer");
}

TEST(scheduler_retry_once, other_failures_between_do_not_use_it_up) {
  world w({lane_of("a")}, settings(job_of()));
  w.queue(0, 1);
  w.next.input_read = true;
  int calls = 0;
  EXPECT_EQ(run_until(w, w.now + 1h,
                      [&](const open_call&) {
                        ++calls;
                        if (calls == 1 || calls == 3) return failed();
                        return calls == 2 ? once_more() : answered();
                      }),
            stop_cause::finished);
  EXPECT_EQ(calls, 4);
  EXPECT_TRUE(failed_rows(w).empty());
}

}  // namespace
}  // namespace spillway::scheduling
