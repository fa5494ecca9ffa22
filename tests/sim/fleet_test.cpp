// The engine with many partitions and jobs.
#include "tests/sim/engine_stage.hpp"

#include <gtest/gtest.h>

namespace spillway::sim {
namespace {

TEST(fleet, partitions_and_jobs_are_kept_apart) {
  engine_stage m;
  auto& one = m.attach(3);
  auto& two = m.attach(9);
  one.add(0, 4);
  one.add(1, 2, "oops\n");
  two.add(0, 3);
  m.settle();
  ASSERT_EQ(m.net.open.size(), 9u);
  EXPECT_GE(m.net.send_before, m.now) << "an intent is good for a while only";
  EXPECT_EQ(one.attempts.at(0).deadline, one.attempts.at(0).at + 4s + 10min);
  m.end_all(m.net);
  m.settle();
  EXPECT_EQ(one.rows.size(), 7u);
  EXPECT_EQ(two.rows.size(), 3u);
  EXPECT_EQ(m.progress(0, 3).answered, 4);
  EXPECT_EQ(m.progress(1, 3).answered, 2);
  EXPECT_EQ(m.progress(1, 3).invalid, 1);
  EXPECT_EQ(m.progress(0, 9).answered, 3);
  EXPECT_EQ(m.progress(0, 9).settled, nano_usd(3 * 8 * 1'000));
  EXPECT_EQ(one.totals.at(0).totals.answered, 4);
  EXPECT_EQ(one.totals.at(1).totals.answered, 2);
  EXPECT_EQ(two.totals.at(0).totals.answered, 3);
  EXPECT_EQ(two.rows[0].custom_id_token, "\"p0-0\"");
  EXPECT_EQ(two.rows[0].pool, "a");
  EXPECT_FALSE(m.e->done()) << "more may come";
  two.add(1, 1);
  m.settle();
  EXPECT_EQ(m.net.open.size(), 1u) << "the reader was still asked for more";
}

TEST(fleet, a_hand_over_gives_back_what_was_not_sent_and_follows_what_was) {
  engine_stage m;
  auto& log = m.attach(1);
  log.add(0, 3);
  m.settle();
  ASSERT_EQ(m.net.open.size(), 3u);
  log.add(0, 2);
  while (log.attempts.size() < 5) {  // their intents are not durable yet
    if (auto shard = *m.lines[1]->next()) m.next.of(partition_id(1)).shards.push_back(*shard);
    m.step();
  }
  log.said.clear();
  m.e->suspend(partition_id(1));
  m.settle();
  EXPECT_EQ(log.said, (std::vector<std::string>{"ended 512", "ended 513", "suspend"}));
  m.end(m.net, 0);
  m.settle();
  EXPECT_EQ(log.said.back(), "row 0");
  m.e->detach(partition_id(1));
  m.settle();
  EXPECT_EQ(log.said.back(), "leave");
  EXPECT_FALSE(m.e->left(partition_id(1)));
  m.end_all(m.net);
  m.step();
  EXPECT_FALSE(m.e->left(partition_id(1))) << "not durable yet";
  m.settle();
  EXPECT_EQ(log.rows.size(), 3u);
  EXPECT_TRUE(m.e->left(partition_id(1)));
  EXPECT_TRUE(m.net.open.empty());
  m.attach(1);  // again
}

TEST(fleet, a_partition_that_stays_goes_on) {
  engine_stage m;
  auto& log = m.attach(1);
  log.add(0, 2);
  m.e->suspend(partition_id(1));
  m.settle();
  EXPECT_TRUE(m.net.open.empty());
  m.e->resume(partition_id(1));
  EXPECT_EQ(log.said.back(), "resume");
  m.settle();
  EXPECT_EQ(m.net.open.size(), 2u);
}

TEST(fleet, a_dropped_partition_is_forgotten_with_its_calls) {
  engine_stage m(4);
  auto& log = m.attach(1);
  log.add(0, 20);
  m.settle();
  const auto open = m.net.open.size();
  m.e->drop(partition_id(1));
  EXPECT_TRUE(m.e->left(partition_id(1)));
  const auto said = log.said.size();
  m.end_all(m.net);
  auto& other = m.attach(2);
  other.add(0, 20);
  m.settle();
  EXPECT_EQ(log.said.size(), said);
  EXPECT_EQ(m.net.open.size(), open) << "its permits are free";
}

TEST(fleet, failed_prompts_are_sent_again_on_news_of_it) {
  engine_stage m;
  auto& log = m.attach(1);
  log.add(0, 5, line_of("x", "unknown"));
  m.settle();
  m.end(m.net, 1, 400);
  m.end_all(m.net);
  m.settle();
  ASSERT_EQ(log.rows.size(), 6u);
  EXPECT_EQ(m.progress(0, 1).errors, 2);
  for (const std::uint32_t index : {1u, 5u}) {
    reopened_prompt again;
    again.history.where = position(partition_id(1), shard_id(0), index);
    again.history.pool = "a";
    again.history.lane = "m";
    again.history.sends = 1;
    m.next.of(partition_id(1)).news.reopened.push_back(again);
  }
  m.settle();
  ASSERT_EQ(m.net.open.size(), 1u) << "only that one of its shard";
  EXPECT_EQ(log.rows.size(), 7u) << "the bad line is still one";
  m.end_all(m.net);
  m.settle();
  ASSERT_EQ(log.rows.size(), 8u);
  EXPECT_EQ(log.rows[7].where, position(partition_id(1), shard_id(0), 1));
  EXPECT_EQ(log.rows[7].kind, row_kind::answered);
  EXPECT_EQ(log.rows[7].sends, 2u);
  EXPECT_EQ(m.progress(0, 1).answered, 5);
  EXPECT_EQ(m.progress(0, 1).errors, 1);
}

TEST(fleet, held_prompts_wait_for_the_late_answer_or_the_release) {
  engine_stage m;
  auto& log = *(m.logs[1] = std::make_unique<memory_log>(partition_id(1)));
  log.add(0, 4);
  recovered_log found;
  found.shards.push_back({log.shard(0), {}, {}});
  (void)log.read_next();
  for (const std::uint32_t i : {0u, 1u, 2u}) {
    attempt_record a;
    a.where = position(partition_id(1), shard_id(0), i);
    a.in_flight = true;
    a.pool = "a";
    a.lane = "m";
    a.sends = 1;
    a.reserved = nano_usd(50'000);
    found.attempts.push_back(a);
    if (i < 2) found.held.push_back(a.where);
  }
  const auto history = found.attempts;
  m.attach(1, std::move(found));
  m.settle();
  EXPECT_EQ(m.net.open.size(), 2u) << "one that was in doubt at once, and one without a past";
  EXPECT_EQ(m.progress(0, 1).settled, nano_usd(50'000));
  EXPECT_EQ(m.progress(0, 1).in_doubt, 1);
  settled_prompt late;
  late.where = history[0].where;
  late.charged = nano_usd(8'000);
  late.pool = "a";
  late.lane = "m";
  m.next.of(partition_id(1)).news.settled.push_back(late);
  m.next.of(partition_id(1)).news.reopened.push_back({history[1], true});
  m.settle();
  EXPECT_EQ(m.net.open.size(), 3u);
  EXPECT_EQ(m.progress(0, 1).settled, nano_usd(108'000));
  m.end_all(m.net);
  m.settle();
  EXPECT_EQ(log.rows.size(), 3u) << "the late answer has its row already";
  EXPECT_EQ(m.progress(0, 1).answered, 4);
  EXPECT_EQ(m.progress(0, 1).in_doubt, 0);
  EXPECT_EQ(log.totals.at(0).totals.settled, m.progress(0, 1).settled);
}

TEST(fleet, a_late_answer_beside_an_open_call_makes_no_second_row) {
  engine_stage m;
  auto& log = m.attach(1);
  log.add(0, 1);
  m.settle();
  settled_prompt late;
  late.where = position(partition_id(1), shard_id(0), 0);
  late.charged = nano_usd(8'000);
  m.next.of(partition_id(1)).news.settled.push_back(late);
  m.settle();
  m.end_all(m.net);
  m.settle();
  EXPECT_TRUE(log.rows.empty());
  EXPECT_EQ(m.progress(0, 1).answered, 1);
  EXPECT_EQ(m.progress(0, 1).settled, nano_usd(16'000));
  EXPECT_EQ(log.totals.at(0).totals.settled, nano_usd(8'000));
}

TEST(fleet, cancelled_prompts_get_rows_as_they_are_read) {
  engine_stage m;
  auto& log = m.attach(1);
  m.put_job(0, true);
  log.add(0, 7);
  log.add(1, 2);
  m.settle();
  EXPECT_EQ(m.net.open.size(), 2u) << "the other job's";
  ASSERT_EQ(log.rows.size(), 7u);
  EXPECT_NE(log.rows[0].row.find("\"cancelled\""), std::string::npos);
  EXPECT_EQ(m.progress(0, 1).condition, job_condition::cancelled);
  EXPECT_FALSE(m.e->idle(job_number(1)));
  EXPECT_TRUE(m.e->idle(job_number(0)));
  m.e->drop_job(job_number(0));
}

TEST(fleet, another_configuration_keeps_calls_in_flight) {
  engine_stage m;
  auto& log = m.attach(1);
  log.add(0, 3);
  m.settle();
  ASSERT_EQ(m.net.open.size(), 3u);
  hand_transport other;
  auto pools = pools_of({"b", "a"});
  ASSERT_TRUE(m.e->reconfigure(pools, {10, 10}, other, m.now));
  log.add(0, 2);
  m.settle();
  EXPECT_EQ(other.open.size(), 2u);
  EXPECT_EQ(m.net.cancels, 0) << "the old transport is told nothing";
  EXPECT_TRUE(m.e->uses(m.net));
  m.end_all(m.net);
  m.end_all(other);
  m.settle();
  EXPECT_EQ(log.rows.size(), 5u);
  EXPECT_FALSE(m.e->uses(m.net));
  EXPECT_EQ(m.e->lanes(m.now).size(), 2u);

  pools[0].auth = api_key_auth{{secret_ref::source::env, "SPILLWAY_NO_SUCH_VARIABLE"}};
  pools[1].name = "c";
  EXPECT_FALSE(m.e->reconfigure(pools, {10, 10}, other, m.now));
  for (const auto& lane : m.e->lanes(m.now)) EXPECT_NE(lane.pool, "c") << "nothing changed";
}

TEST(fleet, a_drain_ends_a_process_whose_sources_are_endless) {
  engine_stage m;
  auto& log = m.attach(1);
  log.add(0, 3);
  m.settle();
  m.next.drain = true;
  m.settle();
  EXPECT_FALSE(m.e->done());
  m.end_all(m.net);
  m.settle();
  EXPECT_TRUE(m.e->done());
  EXPECT_EQ(log.rows.size(), 3u);
}

TEST(fleet, a_broken_log_stops_only_its_partition) {
  engine_stage m(4);
  m.attach(1).add(0, 20);
  m.attach(2).add(0, 20);
  m.settle();
  m.next.of(partition_id(1)).broken = failure{failure_kind::storage, "fenced"};
  m.settle();
  EXPECT_EQ(m.e->failed(partition_id(1))->message, "fenced");
  EXPECT_FALSE(m.e->failed(partition_id(2)));
  m.e->drop(partition_id(1));
  for (int i = 0; i < 10; ++i) {
    m.end_all(m.net);
    m.settle();
  }
  EXPECT_EQ(m.logs[2]->rows.size(), 20u);
  EXPECT_FALSE(m.e->done());
}

}  // namespace
}  // namespace spillway::sim
