// The toolbox of commands and the topics, against the real broker.
#include "connectors/kafka/log_tools.hpp"

#include "connectors/kafka/admin.hpp"
#include "connectors/kafka/topics.hpp"
#include "tests/kafka/broker.hpp"

#include <gtest/gtest.h>

namespace spillway::kafka {
namespace {

std::unique_ptr<log_tools> tools_of(const kafka_settings& settings) {
  auto made = log_tools::connect(settings);
  EXPECT_TRUE(made) << (made ? "" : made.error().message);
  return made ? std::move(*made) : nullptr;
}

placed_record placed(topic to, std::int32_t partition, std::string key, std::string value) {
  return {to, partition, {std::move(key), std::move(value), false, {}}};
}

std::vector<placed_record> one(placed_record r) {
  std::vector<placed_record> out;
  out.push_back(std::move(r));
  return out;
}

TEST(topics, are_made_once_and_then_only_checked) {
  const auto settings = fresh_fleet();
  const auto first = create_topics(settings, {3, 1});
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->created.size(), 8u);
  EXPECT_TRUE(first->differences.empty());
  EXPECT_TRUE(first->fleet_created);
  EXPECT_EQ(first->warnings.size(), 1u) << "replication 1";
  const auto second = create_topics(settings, {3, 1});
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_TRUE(second->created.empty());
  EXPECT_TRUE(second->differences.empty());
  EXPECT_FALSE(second->fleet_created);
  EXPECT_EQ(second->fleet_uuid, first->fleet_uuid);
  const auto facts = verify_topics(settings);
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_EQ(facts->uuid, first->fleet_uuid);
  EXPECT_EQ(facts->partitions, 3);
  const auto tools = tools_of(settings);
  EXPECT_EQ(*tools->partitions_of(topic::results), 3);
  EXPECT_EQ(*tools->partitions_of(topic::jobs), 1);
}

TEST(topics, another_partition_count_is_a_difference_that_stops_serve) {
  const auto settings = fresh_fleet();
  ASSERT_TRUE(create_topics(settings, {2, 1}));
  const auto again = create_topics(settings, {4, 1});
  ASSERT_TRUE(again);
  ASSERT_EQ(again->differences.size(), 5u) << "four topics and the fleet record";
  EXPECT_EQ(again->differences[0].setting, "partitions");
  EXPECT_EQ(again->differences[0].found, "2");
  EXPECT_EQ(again->differences[0].wanted, "4");
}

TEST(topics, serve_refuses_what_would_lose_records) {
  const auto settings = fresh_fleet();
  const auto missing = verify_topics(settings);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("topics create"), std::string::npos);
  auto brokers = admin::make(settings);
  ASSERT_TRUE(brokers);
  // Somebody made two of the topics by hand, with the broker's own settings.
  ASSERT_TRUE((*brokers)->create({topic::journal, 2, 1, {{"retention.ms", "86400000"}}}));
  ASSERT_TRUE((*brokers)->create({topic::results, 3, 1, {{"cleanup.policy", "compact"}}}));
  const auto made = create_topics(settings, {2, 1});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->created.size(), 6u);
  std::vector<std::string> found;
  for (const auto& d : made->differences)
    if (d.fatal) found.push_back(std::string(name_of(d.of)) + " " + d.setting + " " + d.found);
  EXPECT_EQ(found, (std::vector<std::string>{
                       "results partitions 3", "results cleanup.policy compact",
                       "results retention.ms 604800000", "journal retention.ms 86400000"}));
  const auto refused = verify_topics(settings);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, failure_kind::usage);
  EXPECT_NE(refused.error().message.find("results: partitions is 3, must be 2"), std::string::npos)
      << refused.error().message;
}

TEST(log_tools, unreachable_brokers_and_wrong_settings_are_explained) {
  kafka_settings settings;
  settings.brokers = "127.0.0.1:1";
  const auto away = log_tools::connect(settings);
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().kind, failure_kind::storage);
  EXPECT_NE(away.error().message.find("127.0.0.1:1"), std::string::npos) << away.error().message;
  EXPECT_NE(away.error().message.find("Connection refused"), std::string::npos);
}

TEST(log_tools, missing_topics_are_named) {
  const auto tools = tools_of(fresh_fleet());
  const auto missing = tools->offsets(topic::jobs);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, failure_kind::usage);
  const auto stored = tools->store(one(placed(topic::jobs, 0, "k", "v")));
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().kind, failure_kind::usage) << stored.error().message;
  EXPECT_NE(stored.error().message.find(".jobs"), std::string::npos) << stored.error().message;
}

TEST(log_tools, tables_hold_the_last_value_of_each_key) {
  const auto tools = tools_of(fresh_fleet_with_topics());
  EXPECT_TRUE(tools->read_compacted(topic::jobs)->empty());
  std::vector<placed_record> records;
  records.push_back(placed(topic::jobs, 0, "job/a", "1"));
  records.push_back(placed(topic::jobs, 0, "job/b", "2"));
  records.push_back(placed(topic::jobs, 0, "other", "3"));
  records.push_back(placed(topic::jobs, 0, "job/a", "4"));
  records.push_back(placed(topic::jobs, 0, "job/b", ""));
  records.back().what.tombstone = true;
  const auto offsets = tools->store(std::move(records));
  ASSERT_TRUE(offsets) << offsets.error().message;
  EXPECT_EQ(*offsets, (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
  const auto table = tools->read_compacted(topic::jobs, "job/");
  ASSERT_TRUE(table);
  ASSERT_EQ(table->size(), 1u);
  EXPECT_EQ(table->at("job/a").what.value, "4");
  EXPECT_EQ(tools->read_compacted(topic::jobs)->size(), 2u);
}

TEST(log_tools, reads_spans_of_all_partitions_follows_and_ends_when_asked) {
  const auto tools = tools_of(fresh_fleet_with_topics());
  const auto large = std::string(3'500'000, 'y');
  std::vector<placed_record> records;
  for (int i = 0; i < 10; ++i)
    records.push_back(placed(topic::results, i % 2, std::to_string(i), i == 4 ? large : "v"));
  const auto offsets = tools->store(std::move(records));
  ASSERT_TRUE(offsets) << offsets.error().message;
  const auto spans = tools->whole(topic::results);
  ASSERT_TRUE(spans);
  std::vector<std::string> keys[2];
  bool whole = false;
  const auto all = tools->read(topic::results, *spans, [&](std::int32_t p, stored_record&& r) {
    keys[p].push_back(r.what.key);
    if (r.what.key == "4") whole = r.what.value == large;
    return true;
  });
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_TRUE(whole);
  EXPECT_EQ(keys[0], (std::vector<std::string>{"0", "2", "4", "6", "8"}));
  EXPECT_EQ(keys[1], (std::vector<std::string>{"1", "3", "5", "7", "9"}));
  const auto exact = tools->read_one(topic::results, 0, (*offsets)[4]);
  ASSERT_TRUE(exact && *exact);
  EXPECT_TRUE((*exact)->what.value == large);
  EXPECT_FALSE(*tools->read_one(topic::results, 0, (*offsets)[4] + 1)) << "inside a set";
  EXPECT_FALSE(*tools->read_one(topic::results, 0, 1000));
  std::size_t followed = 0;
  read_options until_asked;
  until_asked.keep_going = [&] { return followed < 5; };
  ASSERT_TRUE(tools->read(
      topic::results, {{1, 0, {}}}, [&](std::int32_t, stored_record&&) { return ++followed > 0; },
      until_asked));
  EXPECT_EQ(followed, 5u);
}

TEST(transaction_writer, shows_everything_at_once_and_fences_its_predecessor) {
  const auto settings = fresh_fleet_with_topics();
  const auto tools = tools_of(settings);
  auto first = transaction_writer::open(settings, submitter_id(settings, "job"));
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE((*first)->produce(placed(topic::shards, 0, "", "a")));
  ASSERT_TRUE((*first)->produce(placed(topic::shards, 1, "", "b")));
  const auto offsets = (*first)->wait_stored();
  ASSERT_TRUE(offsets) << offsets.error().message;
  EXPECT_EQ(*offsets, (std::vector<std::int64_t>{0, 0}));
  ASSERT_TRUE((*first)->produce(placed(topic::jobs, 0, "submission/job", "2 shards")));
  EXPECT_TRUE(tools->read_compacted(topic::jobs)->empty());
  ASSERT_TRUE((*first)->commit());
  ASSERT_TRUE((*first)->produce(placed(topic::shards, 0, "", "never seen")));
  ASSERT_TRUE((*first)->wait_stored());

  auto second = transaction_writer::open(settings, submitter_id(settings, "job"));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(tools->read_compacted(topic::jobs)->size(), 1u);
  const auto late = (*first)->commit();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, failure_kind::stopped) << late.error().message;
  std::vector<std::string> seen;
  const auto spans = tools->whole(topic::shards);
  ASSERT_TRUE(tools->read(topic::shards, *spans, [&](std::int32_t, stored_record&& r) {
    seen.push_back(r.what.value);
    return true;
  }));
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace spillway::kafka
