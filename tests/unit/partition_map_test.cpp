#include "connectors/kafka/partition_map.hpp"

#include <gtest/gtest.h>

namespace spillway::kafka {
namespace {

constexpr partition_id partition{2};
constexpr job_number job{7};

class partition_map_test : public testing::Test {
 protected:
  static shard_data shard(std::int64_t offset, std::uint32_t count, bool lines = false) {
    shard_data d;
    d.where.partition = partition;
    d.where.job = job;
    d.where.offset = static_cast<std::uint64_t>(offset);
    d.where.count = count;
    d.where.line_records = lines;
    return d;
  }
  static place at(std::int64_t offset, std::uint32_t index) { return {offset, index, false, 0}; }
  static fleet_attempt attempt(const place& where, bool in_flight) {
    fleet_attempt a;
    a.where = where;
    a.job = "j";
    a.pool = "p";
    a.lane = "l";
    a.in_flight = in_flight;
    a.sends = 1;
    a.charged = nano_usd(100);
    a.reserved = in_flight ? nano_usd(40) : nano_usd{};
    return a;
  }
  static recovered_partition found(std::int64_t watermark) {
    recovered_partition r;
    r.watermark = watermark;
    return r;
  }
  recovered_log recover(const recovered_partition& r) {
    return map_.recovered(r, [](const std::string& name) {
      return name == "j" ? std::optional<job_number>(job) : std::nullopt;
    });
  }
  shard_data admit(std::int64_t offset, std::uint32_t count, bool lines = false) {
    auto d = shard(offset, count, lines);
    map_.admit(d, "j");
    return d;
  }
  static const auto& nothing_forgotten() {
    static const auto ignore = [](const shard_descriptor&) {};
    return ignore;
  }

  partition_map map_{partition};
};

TEST_F(partition_map_test, positions_and_places_match_for_both_kinds_of_records) {
  const auto packed = admit(10, 3);
  const auto lines = admit(600, 4, true);
  const auto& table = map_.table();
  EXPECT_EQ(table.place_of(position(partition, packed.where.id, 2)), at(10, 2));
  EXPECT_EQ(table.place_of(position(partition, lines.where.id, 3)), (place{603, 0, true, 0}));
  EXPECT_EQ(table.position_of(at(10, 2)), position(partition, packed.where.id, 2));
  EXPECT_EQ(table.position_of({602, 0, true, 0}), position(partition, lines.where.id, 2));
  EXPECT_EQ(table.position_of(at(10, 3)), std::nullopt);
  EXPECT_EQ(table.position_of(at(11, 0)), std::nullopt);
  EXPECT_EQ(table.position_of({604, 0, true, 0}), std::nullopt);
  EXPECT_EQ(table.position_of({602, 0, false, 0}), std::nullopt);
}

TEST_F(partition_map_test, another_job_of_a_name_that_was_forgotten_counts_from_nothing) {
  (void)recover(found(0));
  map_.count({10, 3, false, "j"});
  EXPECT_EQ(map_.prompts().at("j"), 3);
  map_.forget_job("j");
  EXPECT_FALSE(map_.prompts().contains("j"));
  map_.count({10, 3, false, "other"});
  EXPECT_FALSE(map_.prompts().contains("j")) << "nothing is taken off what is forgotten";
  map_.count({11, 5, false, "j"});
  EXPECT_EQ(map_.prompts().at("j"), 5);
}

TEST_F(partition_map_test, a_shard_brings_along_what_was_recovered_of_it) {
  auto r = found(10);
  r.done.push_back({10, false, {}, {}});
  r.done.back().done.set(0);
  r.attempts = {attempt(at(10, 1), true), attempt(at(10, 2), true), attempt(at(10, 3), false)};
  r.held.push_back({at(10, 2), {}});
  const auto log = recover(r);

  // The dead owner's call counts as billed at once; the one that may still be answered is reserved.
  ASSERT_EQ(log.totals.size(), 1u);
  EXPECT_EQ(log.totals[0].lane.totals.settled, nano_usd(40));
  EXPECT_EQ(log.totals[0].lane.totals.maybe_billed, 1);
  ASSERT_EQ(log.reserved.size(), 1u);
  EXPECT_EQ(log.reserved[0].second, nano_usd(40));

  const auto d = admit(10, 5);
  ASSERT_TRUE(d.past);
  EXPECT_TRUE(d.past->done.test(0));
  EXPECT_EQ(d.past->done.count(), 1u);
  ASSERT_EQ(d.past->attempts.size(), 3u);
  const auto& doubtful = d.past->attempts[0];
  EXPECT_TRUE(doubtful.ended);
  EXPECT_FALSE(doubtful.last.in_flight);
  EXPECT_EQ(doubtful.last.maybe_billed, 1u);
  EXPECT_EQ(doubtful.last.charged, nano_usd(140));
  const auto& held = d.past->attempts[1];
  EXPECT_TRUE(held.held);
  EXPECT_TRUE(held.last.in_flight);
  EXPECT_EQ(held.last.reserved, nano_usd(40));
  EXPECT_FALSE(d.past->attempts[2].ended);
  EXPECT_EQ(d.past->attempts[2].last.job, job);
}

TEST_F(partition_map_test, a_shard_without_a_past_brings_nothing) {
  (void)recover(found(0));
  EXPECT_FALSE(admit(10, 5).past);
}

TEST_F(partition_map_test, news_of_a_shard_wait_until_the_engine_has_it) {
  auto r = found(10);
  r.attempts = {attempt(at(10, 1), true)};
  r.held.push_back({at(10, 1), {}});
  (void)recover(r);
  settled_place answer;
  answer.facts.where = at(10, 1);
  answer.facts.charged = nano_usd(3);
  EXPECT_TRUE(map_.to_news({answer}, {}).empty()) << "its shard was not read yet";
  const auto d = admit(10, 2);
  EXPECT_TRUE(map_.to_news({}, {}).empty());
  const auto news = map_.taken(d.where.id);
  ASSERT_EQ(news.settled.size(), 1u);
  EXPECT_EQ(news.settled[0].where, position(partition, d.where.id, 1));
  EXPECT_EQ(news.settled[0].job, job);
  EXPECT_TRUE(map_.taken(d.where.id).empty()) << "once only";
}

TEST_F(partition_map_test, a_released_hold_leaves_the_charge_to_the_engine) {
  auto r = found(10);
  r.attempts = {attempt(at(10, 0), true)};
  r.held.push_back({at(10, 0), {}});
  (void)recover(r);
  (void)map_.taken(admit(10, 1).where.id);
  reopened_place released;
  released.history = attempt(at(10, 0), false);
  released.history.charged = nano_usd(140);  // the owner's book has charged it
  released.history.maybe_billed = 1;
  released.in_doubt = true;
  const auto news = map_.to_news({}, {released});
  ASSERT_EQ(news.reopened.size(), 1u);
  EXPECT_TRUE(news.reopened[0].in_doubt);
  EXPECT_EQ(news.reopened[0].history.reserved, nano_usd(40));
  EXPECT_EQ(news.reopened[0].history.charged, nano_usd(100));
  EXPECT_EQ(news.reopened[0].history.maybe_billed, 0u);
}

TEST_F(partition_map_test, a_retry_of_a_forgotten_shard_has_it_read_again) {
  (void)recover(found(0));
  auto d = admit(10, 3);
  (void)map_.taken(d.where.id);
  commit_group group;
  for (std::uint32_t i = 0; i < 3; ++i) {
    finished_prompt f;
    f.where = position(partition, d.where.id, i);
    f.custom_id_token = "\"x\"";
    group.finished.push_back(f);
  }
  (void)map_.to_group(std::move(group));
  int forgotten = 0;
  map_.forget_below(11, [&](const shard_descriptor&) { ++forgotten; });
  EXPECT_EQ(forgotten, 1);

  reopened_place again;
  again.history = attempt(at(10, 1).in(1), false);
  again.retried = true;
  EXPECT_TRUE(map_.to_news({}, {again}).empty());
  EXPECT_EQ(map_.take_refetch(), std::set<std::int64_t>{10});
  d = admit(10, 3);
  ASSERT_TRUE(d.past);
  EXPECT_TRUE(d.past->done.test(0));
  EXPECT_FALSE(d.past->done.test(1));
  EXPECT_TRUE(d.past->done.test(2));

  commit_group sent;
  attempt_record record;
  record.where = position(partition, d.where.id, 1);
  sent.attempts.push_back(record);
  const auto out = map_.to_group(std::move(sent));
  ASSERT_EQ(out.attempts.size(), 1u);
  EXPECT_EQ(out.attempts[0].where, at(10, 1).in(1)) << "the new generation";
}

TEST_F(partition_map_test, shards_with_open_prompts_are_not_forgotten) {
  (void)recover(found(0));
  const auto d = admit(10, 1);
  (void)map_.taken(d.where.id);
  map_.forget_below(100, nothing_forgotten());
  EXPECT_TRUE(map_.table().knows(d.where.id));
}

TEST_F(partition_map_test, counts_every_prompt_of_a_job_once) {
  auto r = found(10);
  r.jobs.push_back({});
  r.jobs.back().job = "j";
  r.jobs.back().answered = 20;  // below the watermark, and one above it
  r.done.push_back({10, false, {}, {}});
  r.done.back().done.set(0);
  (void)recover(r);
  map_.count({10, 5, false, "j"});
  EXPECT_EQ(map_.prompts().at("j"), 24);
  map_.count({11, 1, false, ""});  // waits for its job
  map_.count({11, 6, false, "j"});
  EXPECT_EQ(map_.prompts().at("j"), 30);
  map_.count({11, 0, false, "j"});  // of another submission
  EXPECT_EQ(map_.prompts().at("j"), 24);
  map_.count({5, 3, false, "j"});  // read again for a retry
  EXPECT_EQ(map_.prompts().at("j"), 24);
}

TEST_F(partition_map_test, a_repeated_id_does_not_hide_the_answer_under_its_key) {
  (void)recover(found(0));
  const auto d = admit(10, 2);
  commit_group group;
  for (std::uint32_t i = 0; i < 2; ++i) {
    finished_prompt f;
    f.where = position(partition, d.where.id, i);
    f.job = job;
    f.custom_id_token = "\"a\"";
    f.row = "{}\n";
    if (i == 1) {
      f.kind = row_kind::invalid;
      f.error_code = "duplicate_custom_id";
    }
    group.finished.push_back(std::move(f));
  }
  const auto rows = map_.to_group(std::move(group)).finished;
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].key, "j/a");
  EXPECT_EQ(rows[1].key, "j/@2-10-1");
}

TEST_F(partition_map_test, a_retry_cut_short_by_a_death_is_counted_when_its_record_is_read) {
  auto r = found(10);
  r.jobs.push_back({});
  r.jobs.back().job = "j";
  r.jobs.back().answered = 4;  // the fifth prompt was reopened
  r.reopened = {at(3, 1).in(1)};
  (void)recover(r);
  EXPECT_EQ(map_.uncounted(), 1u);
  EXPECT_EQ(map_.take_refetch(), std::set<std::int64_t>{3});
  map_.count({3, 2, false, "j"});
  EXPECT_EQ(map_.uncounted(), 0u);
  EXPECT_EQ(map_.prompts().at("j"), 5);
  const auto d = admit(3, 2);
  ASSERT_TRUE(d.past);
  EXPECT_TRUE(d.past->done.test(0));
  EXPECT_FALSE(d.past->done.test(1));
}

TEST_F(partition_map_test, results_are_keyed_by_what_the_custom_id_stands_for) {
  EXPECT_EQ(result_key("j", "\"a-1\"", partition, at(5, 1)), "j/a-1");
  EXPECT_EQ(result_key("j", R"("a\u002d\"1")", partition, at(5, 1)), "j/a-\"1");
  EXPECT_EQ(result_key("j", "null", partition, at(5, 1)), "j/@2-5-1");
  EXPECT_EQ(result_key("j", "\"\"", partition, at(5, 1)), "j/@2-5-1");
}

}  // namespace
}  // namespace spillway::kafka
