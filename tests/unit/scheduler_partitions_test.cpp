// Partitions come and go, and what their logs learn on their own reaches the scheduler.
#include "tests/unit/scheduler_harness.hpp"

#include <gtest/gtest.h>

#include <set>

namespace spillway::scheduling {
namespace {

constexpr std::int64_t micro =
    1'000'000;  // one micro-USD a token: a prompt's worst case is 110,000
constexpr partition_id p0{0}, p1{1};
constexpr owner_id owner_one{1};

one_job fleet_settings(std::optional<std::int64_t> budget = {}) {
  job_config job;
  if (budget) job.budget = nano_usd(*budget);
  auto s = settings(job);
  s.gives_up = false;
  return s;
}

attempt_record record(partition_id p, std::uint32_t index, std::uint32_t deaths = 0) {
  attempt_record r;
  r.where = position(p, shard_id(0), index);
  r.pool = "a";
  r.lane = "m";
  r.sends = 1;
  r.deaths = deaths;
  return r;
}

std::map<std::uint32_t, int> sent_by_partition(const world& w) {
  std::map<std::uint32_t, int> n;
  for (const auto& [id, call] : w.open) ++n[call.where.partition().value()];
  return n;
}

TEST(partition_budget, each_partition_has_its_hard_part) {
  world w({priced(lane_of("a"), micro)}, fleet_settings(1'000'001));
  w.sched.set_share({3, {p0, p1}}, start);
  w.sched.attach(p1, owner_one, {}, {}, {});
  w.queue(job_zero, p0, 0, 50);
  w.queue(job_zero, p1, 0, 50);
  w.tick();
  EXPECT_EQ(sent_by_partition(w), (std::map<std::uint32_t, int>{{0, 3}, {1, 3}}));
  w.end_all(answered(50, 10));  // 60,000: together 180,000 of 333,333
  w.tick(1ms);
  EXPECT_EQ(sent_by_partition(w), (std::map<std::uint32_t, int>{{0, 1}, {1, 1}}));
  EXPECT_EQ(w.sched.standing(job_zero).condition, job_condition::running);
  while (w.end_all(answered(50, 10)) > 0) w.tick(1ms);
  EXPECT_EQ(w.sched.standing(job_zero).condition, job_condition::budget_spent);
  EXPECT_LE(w.sched.books(owner_one, job_zero)->money.settled(), nano_usd(333'334));
}

TEST(partition_suspend, sends_nothing_more_until_it_is_resumed) {
  world w({places_of("a", 4)}, fleet_settings());
  w.sched.attach(p1, owner_one, {}, {}, {});
  w.queue(job_zero, p0, 0, 50);
  w.queue(job_zero, p1, 0, 50);
  w.tick();
  w.sched.suspend(p1);
  w.end_all(answered());
  w.tick(1ms);
  EXPECT_EQ(sent_by_partition(w), (std::map<std::uint32_t, int>{{0, 4}}));
  w.sched.resume(p1);
  w.end_all(answered());
  w.tick(1ms);
  EXPECT_EQ(sent_by_partition(w), (std::map<std::uint32_t, int>{{0, 2}, {1, 2}}));
}

TEST(partition_detach, open_calls_end_for_their_old_owner_beside_a_new_one) {
  world w({priced(places_of("a", 4), micro)}, fleet_settings());
  w.sched.attach(p1, owner_one, {}, {}, {});
  w.queue(job_zero, p1, 0, 50);
  w.tick();
  ASSERT_EQ(w.open.size(), 4u);
  w.sched.detach(p1);
  EXPECT_EQ(w.sched.open_calls(owner_one), 4);
  w.sched.attach(p1, owner_id(2), {}, {}, {});
  w.queue(job_zero, p1, 0, 50);
  std::vector<call_id> old;
  for (const auto& [id, call] : w.open) old.push_back(id);
  w.end(old[0], answered(50, 10));
  w.end(old[1], failed());
  w.tick(1ms);
  ASSERT_EQ(w.actions.finishes.size(), 1u);
  EXPECT_EQ(w.actions.finishes[0].owner, owner_one);
  ASSERT_EQ(w.actions.ended.size(), 1u) << "the next owner sends it again";
  EXPECT_EQ(w.actions.ended[0].owner, owner_one);
  EXPECT_EQ(w.actions.ended[0].attempts, 1u);
  ASSERT_EQ(w.actions.sends.size(), 2u);
  EXPECT_EQ(w.actions.sends[0].prompt->what.where, position(p1, shard_id(0), 0))
      << "the same position, for the new owner";
  std::vector<job_totals> totals;
  w.sched.take_changed_totals(owner_one, totals);
  ASSERT_EQ(totals.size(), 1u);
  EXPECT_EQ(totals[0].lane.totals.answered, 1);
  EXPECT_EQ(totals[0].lane.totals.settled, nano_usd(60'000));
  w.sched.forget(owner_one);
  w.end(old[2], answered());
  w.end(old[3], answered());
  w.tick(1ms);
  EXPECT_TRUE(w.actions.finishes.empty()) << "nobody waits for them";
  EXPECT_EQ(w.sched.lane_at(lane_id(0)).describe(w.now).outstanding, 4) << "permits are free again";
}

TEST(partition_detach, what_waits_is_forgotten) {
  auto s = fleet_settings();
  s.window_bytes = 1'000;
  world w({places_of("a", 2)}, s);
  w.sched.attach(p1, owner_one, {}, {}, {});
  w.queue(job_zero, p1, 0, 10);
  w.queue(job_zero, p1, 1, 10);
  w.tick();
  w.end_all(failed());
  w.tick(1ms);
  w.sched.detach(p1);
  EXPECT_EQ(w.sched.counts().waiting, 0);
  w.end_all(answered());
  w.tick(1h);
  EXPECT_TRUE(w.actions.sends.empty());
  w.queue(job_zero, p0, 0, 30);
  EXPECT_EQ(w.tick(1ms).sends.size(), 2u) << "the window is free again";
}

TEST(partition_day, leaves_with_its_partition) {
  named_totals before{"a", "m", "m", {}};
  before.totals.day = utc_day(start);
  before.totals.day_requests = 8;
  const std::vector<job_totals> totals{{job_zero, before}};
  world w({lane_of("a", {.rpd = 10})}, fleet_settings());
  w.sched.attach(p1, owner_one, totals, {}, {});
  w.queue(job_zero, p0, 0, 50);
  EXPECT_EQ(w.tick().sends.size(), 2u);
  w.sched.detach(p1);
  EXPECT_EQ(w.tick(1ms).sends.size(), 8u);
}

TEST(suspects, go_one_at_a_time) {
  std::vector<attempt_record> history;
  for (const std::uint32_t i : {0u, 1u, 2u}) history.push_back(record(p0, i, 2));
  world w({lane_of("a")}, fleet_settings(), history);
  w.queue(job_zero, p0, 0, 10);
  std::set<std::uint32_t> suspects;
  w.tick();
  EXPECT_EQ(w.actions.sends.size(), 8u) << "seven others and one suspect";
  for (int i = 0; i < 5; ++i) {
    int open = 0;
    for (const auto& [id, call] : w.open)
      if (call.where.index() < 3) {
        ++open;
        suspects.insert(call.where.index());
      }
    EXPECT_LE(open, 1);
    w.end_all(i == 0 ? never_sent() : answered());
    w.tick(1ms);
    if (open == 0) continue;
    EXPECT_EQ(w.actions.suspects.size(), 1u);
    for (const auto& [id, call] : w.open) EXPECT_GE(call.where.index(), 3u) << "not recorded yet";
    w.sched.suspect_recorded();
    w.tick(1ms);
  }
  EXPECT_EQ(suspects.size(), 3u);
  EXPECT_EQ(w.finished.size(), 10u);
}

TEST(suspects, the_third_death_is_the_last) {
  world w({lane_of("a")}, fleet_settings(), {record(p0, 1, 3)});
  w.queue(job_zero, p0, 0, 3);
  w.tick();
  EXPECT_EQ(w.actions.sends.size(), 2u);
  ASSERT_EQ(w.finished.size(), 1u);
  EXPECT_EQ(w.finished[0].outcome.error_code, "quarantined");
  EXPECT_EQ(w.finished[0].prompt.what.where.index(), 1u);
}

TEST(held, prompts_wait_for_news_with_their_money) {
  auto open = record(p1, 0);
  open.in_flight = true;
  open.reserved = nano_usd(110'000);
  const std::vector<position> held{open.where};
  const std::vector<attempt_record> history{open};
  world w({priced(lane_of("a"), micro)}, fleet_settings(330'000));
  w.sched.attach(p1, owner_one, {}, history, held);
  w.queue(job_zero, p1, 0, 4);
  w.tick();
  EXPECT_EQ(w.actions.sends.size(), 2u) << "the money of the open send is not there";
  EXPECT_TRUE(w.sched.held(open.where));
  w.sched.settle({open.where, job_zero, true, nano_usd(60'000), "a", "m", {}}, w.now);
  EXPECT_FALSE(w.sched.held(open.where));
  EXPECT_EQ(w.sched.books(owner_one, job_zero)->money.settled(), nano_usd(60'000));
  EXPECT_EQ(w.sched.books(owner_one, job_zero)->money.reserved(), nano_usd(220'000));
  EXPECT_EQ(w.totals(0).answered, 1);
}

TEST(held, a_release_in_doubt_is_charged_and_sent) {
  auto open = record(p1, 0);
  open.in_flight = true;
  open.reserved = nano_usd(110'000);
  const std::vector<position> held{open.where};
  const std::vector<attempt_record> history{open};
  world w({priced(lane_of("a"), micro)}, fleet_settings());
  w.sched.attach(p1, owner_one, {}, history, held);
  w.queue(job_zero, p1, 0, 1);
  EXPECT_TRUE(w.tick().sends.empty());
  const auto now_known = w.sched.reopen(open, true, w.now);
  EXPECT_FALSE(now_known.in_flight);
  EXPECT_EQ(now_known.maybe_billed, 1u);
  EXPECT_EQ(now_known.charged, nano_usd(110'000));
  EXPECT_EQ(w.sched.books(owner_one, job_zero)->in_doubt, 1);
  shard_loaded again{shard_id(0), reading::reopened, {w.prompt_at(open.where.value())}, p1};
  w.next.shards.push_back(std::move(again));
  ASSERT_EQ(w.tick(1ms).sends.size(), 1u);
  EXPECT_EQ(w.actions.sends[0].prompt->sends, 2u);
  w.end_all(answered(50, 10));
  w.tick(1ms);
  EXPECT_EQ(w.finished.at(0).cost, nano_usd(170'000));
  EXPECT_EQ(w.sched.books(owner_one, job_zero)->in_doubt, 0);
}

TEST(reopened, a_retry_is_sent_whatever_the_policy) {
  auto s = fleet_settings();
  s.job.in_doubt = in_doubt_policy::hold;
  auto past = record(p0, 3);
  past.maybe_billed = 1;
  for (const bool in_doubt : {false, true}) {
    world w({lane_of("a")}, s);
    (void)w.sched.reopen(past, in_doubt, w.now);
    w.next.shards.push_back(
        {shard_id(0), reading::reopened, {w.prompt_at(past.where.value())}, p0});
    w.tick();
    EXPECT_EQ(w.actions.sends.size(), in_doubt ? 0u : 1u);
    EXPECT_EQ(w.finished.size(), in_doubt ? 1u : 0u);
  }
}

TEST(settled, an_open_call_of_its_own_only_costs) {
  world w({priced(lane_of("a"), micro)}, fleet_settings());
  w.queue(job_zero, p0, 0, 2);
  w.tick();
  const position where(p0, shard_id(0), 0);
  w.sched.settle({where, job_zero, true, nano_usd(5'000), "a", "m", {}}, w.now);
  w.end_all(answered(50, 10));
  w.tick(1ms);
  ASSERT_EQ(w.finished.size(), 1u) << "no second row";
  EXPECT_EQ(w.finished[0].prompt.what.where.index(), 1u);
  EXPECT_TRUE(w.actions.ended.empty());
  EXPECT_EQ(w.money().settled(), nano_usd(125'000));
  EXPECT_EQ(w.money().reserved(), nano_usd{});
}

TEST(settled, prompts_are_taken_from_wherever_they_wait) {
  auto s = fleet_settings();
  s.window_bytes = 1'000;
  world w({places_of("a", 2)}, s);
  w.queue(job_zero, p0, 0, 10);
  w.queue(job_zero, p0, 1, 10);  // only as ranges
  w.tick();
  w.end_all(failed());
  w.tick(1ms);  // 0/0 and 0/1 wait, 0/2 and 0/3 are open
  for (const auto& [shard, index] : {std::pair(0u, 0u), {0u, 5u}, {1u, 0u}, {1u, 4u}, {1u, 9u}})
    w.sched.settle({position(p0, shard_id(shard), index), job_zero, true, {}, "a", "m", {}}, w.now);
  EXPECT_EQ(w.sched.counts().waiting, 1);
  std::set<position> done;
  for (int i = 0; i < 40; ++i) {
    for (const auto id : w.loads) {
      shard_loaded again{id, reading::load, {}, {}};
      for (std::uint32_t k = 1; k < 9; ++k)
        if (k != 4) again.prompts.push_back(w.prompt_at(position(id, k).value()));
      w.next.shards.push_back(std::move(again));
    }
    w.end_all(answered());
    w.tick(1ms);
  }
  for (const auto& f : w.finished) done.insert(f.prompt.what.where);
  EXPECT_EQ(w.finished.size(), 15u);
  EXPECT_EQ(done.size(), 15u);
  EXPECT_FALSE(done.contains(position(p0, shard_id(0), 5)));
}

TEST(lanes, come_go_and_stay) {
  world w({places_of("a", 2), places_of("b", 2)}, fleet_settings());
  w.queue(job_zero, p0, 0, 50);
  w.tick();
  ASSERT_EQ(w.open.size(), 4u);
  w.sched.set_lanes({places_of("c", 2), places_of("a", 6)}, w.now);
  EXPECT_TRUE(w.sched.configured(lane_id(0)));
  EXPECT_FALSE(w.sched.configured(lane_id(1)));
  w.tick(1ms);
  EXPECT_EQ(w.sends_by_lane(), (std::map<std::uint32_t, int>{{0, 4}, {2, 2}}));
  w.end_all(answered());
  w.tick(1ms);
  EXPECT_EQ(w.finished.size(), 10u) << "calls of the lane that is gone count as always";
  EXPECT_EQ(w.sends_by_lane(), (std::map<std::uint32_t, int>{{0, 6}, {2, 2}}));
  w.sched.set_lanes({}, w.now);
  w.end_all(failed());
  EXPECT_TRUE(w.tick(1ms).sends.empty());
  EXPECT_TRUE(w.tick(1h).sends.empty());
  EXPECT_EQ(w.finished.size(), 10u) << "without a lane prompts wait";
  w.sched.set_lanes({lane_of("b")}, w.now);
  EXPECT_EQ(w.tick(1ms).sends.size(), 40u);
}

}  // namespace
}  // namespace spillway::scheduling
