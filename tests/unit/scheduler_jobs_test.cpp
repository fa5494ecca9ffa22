// Many jobs beside each other: shares, priorities, and that none is in another's way.
#include "tests/unit/scheduler_harness.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace spillway::scheduling {
namespace {

job_setup job_named(const std::string& name, std::int64_t weight = 1, int priority = 0) {
  job_setup j;
  j.name = name;
  j.weight = weight;
  j.priority = priority;
  return j;
}

/// Several jobs on partition 0 that always have prompts, and what each was granted.
class fleet {
 public:
  fleet(std::vector<lane_setup> lanes, std::vector<job_setup> jobs, one_job s = settings())
      : w(std::move(lanes), std::move(s)) {
    for (std::uint32_t i = 0; i < jobs.size(); ++i) w.sched.put_job(job_number(i), jobs[i]);
  }

  void feed(std::uint32_t job, const std::string& model = "m", std::size_t bytes = 100,
            std::uint32_t count = 200) {
    w.queue(job_number(job), partition_id(0), next_shard++, count, model, bytes);
  }
  /// Ticks for `time`, answering calls after 20 ms; counts tokens by job.
  void run(
      duration time, const std::function<void()>& each = [] {}) {
    for (const auto end = w.now + time; w.now < end;) {
      std::vector<call_id> over;
      for (const auto& [at, call] : ends)
        if (at <= w.now) over.push_back(call);
      for (const auto call : over) w.end(call, answered());
      std::erase_if(ends, [&](const auto& e) { return e.first <= w.now; });
      each();
      w.tick(1ms);
      for (const auto& send : w.actions.sends) {
        const auto& a = *send.prompt;
        ends.emplace_back(w.now + 20ms, send.call);
        served[a.what.job.value()] += a.cost.rate.count();
        ++sent[a.what.job.value()];
      }
    }
  }
  [[nodiscard]] double share(std::uint32_t job) {
    std::int64_t all = 0;
    for (const auto& [j, n] : served) all += n;
    return static_cast<double>(served[job]) / static_cast<double>(all);
  }

  world w;
  std::uint32_t next_shard = 0;
  std::vector<std::pair<time_point, call_id>> ends;
  std::map<std::uint32_t, std::int64_t> served;
  std::map<std::uint32_t, int> sent;
};

TEST(job_shares, follow_the_weights_on_every_kind_of_quota) {
  for (const auto& quota :
       {limits{.rpm = 60'000}, limits{.tpm = 3'000'000}, limits{.concurrency = 8}}) {
    fleet f({lane_of("a", quota)}, {job_named("a", 1), job_named("b", 2), job_named("c", 5)});
    for (int n = 0; n < 60; ++n)
      for (std::uint32_t j = 0; j < 3; ++j) f.feed(j);
    f.run(5s);
    EXPECT_NEAR(f.share(0), 1.0 / 8, 0.02);
    EXPECT_NEAR(f.share(1), 2.0 / 8, 0.02);
    EXPECT_NEAR(f.share(2), 5.0 / 8, 0.02);
  }
}

TEST(job_shares, are_in_tokens_whatever_the_size_of_the_prompts) {
  fleet f({lane_of("a", {.tpm = 6'000'000})}, {job_named("small"), job_named("large")});
  for (int n = 0; n < 60; ++n) f.feed(0, "m", 400);
  for (int n = 0; n < 10; ++n) f.feed(1, "m", 40'000);
  f.run(10s);
  EXPECT_NEAR(f.share(0), 0.5, 0.03);
  EXPECT_GT(f.sent[0], 20 * f.sent[1]);
}

TEST(job_shares, a_small_job_gets_its_share_at_once_beside_a_huge_one) {
  fleet f({lane_of("a", {.rpm = 60'000})}, {job_named("huge"), job_named("small")});
  for (int n = 0; n < 100; ++n) f.feed(0, "m", 100, 500);
  f.run(20s);
  f.served.clear();
  f.feed(1, "m", 100, 100);
  f.run(220ms);
  EXPECT_NEAR(f.share(1), 0.5, 0.05);
  f.run(200ms);
  EXPECT_EQ(f.sent[1], 100) << "it is through";
}

TEST(job_shares, a_job_that_comes_back_does_not_catch_up) {
  fleet f({lane_of("a", {.rpm = 60'000})}, {job_named("a"), job_named("b")});
  for (int n = 0; n < 200; ++n) f.feed(0);
  f.feed(1, "m", 100, 10);
  f.run(10s);
  f.served.clear();
  for (int n = 0; n < 20; ++n) f.feed(1);
  f.run(2s);
  EXPECT_NEAR(f.share(1), 0.5, 0.05);
}

TEST(job_priority, a_higher_one_goes_first_and_leaves_the_rest) {
  fleet f({lane_of("a", {.rpm = 60'000})}, {job_named("low"), job_named("high", 1, 5)});
  for (int n = 0; n < 40; ++n) f.feed(0);
  for (int n = 0; n < 5; ++n) f.feed(1);
  f.run(900ms);
  EXPECT_EQ(f.sent[0], 0);
  EXPECT_NEAR(f.sent[1], 900, 10);
  f.run(2s);
  EXPECT_EQ(f.sent[1], 1'000);
  EXPECT_GT(f.sent[0], 1'800);
}

struct blocked_case {
  const char* name;
  std::function<void(fleet&)> block;  ///< job 0, whose prompts are all of model "x"
};

class job_blocked : public testing::TestWithParam<blocked_case> {};

TEST_P(job_blocked, is_in_nobodys_way) {
  auto first = job_named("blocked", 1, 9);
  first.policy.stall_timeout = 1s;
  auto s = settings();
  s.window_bytes = 20'000;
  s.gives_up = false;
  fleet f({lane_of("a", {.rpm = 60'000}), priced(lane_of("b", {.rpd = 3}, "x"), 1'000'000),
           lane_of("c", {}, "y")},
          {first, job_named("other")}, s);
  for (int n = 0; n < 10; ++n) f.feed(0, "x", 100, 100);
  GetParam().block(f);
  std::map<std::uint32_t, int> loaded;
  for (int n = 0; n < 10; ++n) f.feed(1);
  f.run(3s, [&] {
    for (const auto& load : f.w.actions.load) {
      const bool other = load.shard.value() >= 10;
      shard_loaded again{load.shard, reading::load, {}, {}};
      for (std::uint32_t i = 0; i < (other ? 200u : 100u); ++i)
        again.prompts.push_back(f.w.prompt_at(position(load.shard, i).value(), other ? "m" : "x",
                                              100, job_number(other ? 1 : 0)));
      f.w.next.shards.push_back(std::move(again));
    }
  });
  EXPECT_EQ(f.sent[1], 2'000) << "all of the other job, at its full rate";
}

INSTANTIATE_TEST_SUITE_P(causes, job_blocked,
                         testing::Values(blocked_case{"lane_out_of_quota", [](fleet&) {}},
                                         blocked_case{"paused",
                                                      [](fleet& f) {
                                                        auto j = *f.w.sched.job(job_zero);
                                                        j.paused = true;
                                                        f.w.sched.put_job(job_zero, j);
                                                      }},
                                         blocked_case{"budget_spent",
                                                      [](fleet& f) {
                                                        auto j = *f.w.sched.job(job_zero);
                                                        j.policy.budget = nano_usd(1);
                                                        f.w.sched.put_job(job_zero, j);
                                                      }},
                                         blocked_case{"stalled",
                                                      [](fleet& f) {
                                                        auto& l = const_cast<lane&>(
                                                            f.w.sched.lane_at(lane_id(1)));
                                                        l.stop(f.w.now, down_cause::auth, "no key");
                                                      }}),
                         [](const auto& i) { return i.param.name; });

TEST(job_lanes, a_job_uses_only_lanes_it_is_allowed) {
  auto only = job_named("only");
  only.policy.routes.lanes = {"b", "c/m"};
  fleet f({lane_of("a"), places_of("b", 6), places_of("c", 8)}, {only});
  f.feed(0, "m", 100, 50);
  f.w.tick();
  EXPECT_EQ(f.w.sends_by_lane(), (std::map<std::uint32_t, int>{{1, 6}, {2, 8}}));
  only.policy.routes.lanes = {"z"};
  f.w.sched.put_job(job_zero, only);
  EXPECT_EQ(f.w.sched.class_for(job_zero, "m", endpoint_kind::chat_completions), std::nullopt);
}

TEST(job_conditions, tell_why_a_job_waits) {
  auto s = settings();
  s.gives_up = false;
  world w({priced(lane_of("a"), 1'000'000)}, s);
  const auto put = [&](const std::function<void(job_setup&)>& change) {
    auto j = *w.sched.job(job_zero);
    change(j);
    w.sched.put_job(job_zero, j);
    w.tick(1ms);
    return w.sched.standing(job_zero).condition;
  };
  w.queue(0, 400);
  EXPECT_EQ(put([](job_setup& j) { j.paused = true; }), job_condition::paused);
  EXPECT_TRUE(w.open.empty());
  EXPECT_EQ(put([](job_setup& j) {
              j.paused = false;
              j.policy.budget = nano_usd(1);
            }),
            job_condition::budget_spent);
  EXPECT_EQ(w.actions.stop, stop_cause::none) << "a fleet goes on";
  EXPECT_EQ(put([](job_setup& j) {
              j.policy.budget.reset();
              j.policy.max_error_rate = 0.1;
            }),
            job_condition::running);
  EXPECT_EQ(w.open.size(), 400u);
  w.end_all(rejected());
  w.queue(1, 10);
  w.tick(1ms);
  EXPECT_EQ(w.sched.standing(job_zero).condition, job_condition::too_many_errors);
  EXPECT_TRUE(w.open.empty()) << "the job is held, not the process";
  EXPECT_EQ(put([](job_setup& j) { j.policy.max_error_rate = 0.9; }), job_condition::running);
  EXPECT_EQ(w.open.size(), 10u) << "a policy put anew lets it go on";
  EXPECT_EQ(put([](job_setup& j) { j.cancelled = true; }), job_condition::cancelled);
}

TEST(job_cancel, gives_every_unfinished_prompt_a_row_and_lets_calls_end) {
  auto s = settings();
  s.window_bytes = 5'000;
  world w({places_of("a", 4)}, s);
  w.queue(0, 40);
  w.queue(1, 40);  // does not fit the window
  w.tick();
  ASSERT_EQ(w.open.size(), 4u);
  w.end(w.open.begin()->first, never_sent());
  w.tick(1ms);
  auto j = *w.sched.job(job_zero);
  j.cancelled = true;
  w.sched.put_job(job_zero, j);
  w.next.input_read = true;
  w.finished.clear();
  w.tick(1ms);
  for (int i = 0; i < 3; ++i) {
    for (const auto id : w.loads) {
      shard_loaded again{id, reading::load, {}, {}};
      for (std::uint32_t k = 0; k < 40; ++k)
        again.prompts.push_back(w.prompt_at(position(id, k).value()));
      w.next.shards.push_back(std::move(again));
    }
    EXPECT_TRUE(w.tick(1ms).sends.empty());
  }
  EXPECT_EQ(w.finished.size(), 76u);
  for (const auto& f : w.finished) EXPECT_EQ(f.outcome.error_code, "cancelled");
  const auto first = w.open.begin()->first;
  w.end(first, failed());  // would be sent again
  w.end_all(answered());
  w.tick(1ms);
  EXPECT_EQ(w.finished.size(), 80u);
  EXPECT_EQ(w.actions.stop, stop_cause::finished);
  w.sched.drop_job(job_zero);
}

}  // namespace
}  // namespace spillway::scheduling
