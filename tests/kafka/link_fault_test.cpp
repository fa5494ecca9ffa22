// What a link tells when the broker is killed, stopped, slow to answer, or refuses.
#include "connectors/kafka/admin.hpp"
#include "connectors/kafka/fleet_clients.hpp"
#include "connectors/kafka/topics.hpp"
#include "tests/kafka/broker.hpp"
#include "tests/support/link_contract_records.hpp"
#include "tests/support/link_world.hpp"

#include <gtest/gtest.h>

#include <set>

namespace spillway::kafka {
namespace {

class link_fault_test : public testing::Test {
 protected:
  void connect(kafka_settings s) {
    settings = std::move(s);
    auto made = fleet_clients::connect(settings);
    ASSERT_TRUE(made) << made.error().message;
    clients = std::move(*made);
    world = link_world_over(*clients);
  }
  kafka_settings settings;
  std::unique_ptr<fleet_clients> clients;
  std::unique_ptr<link_world> world;
};

TEST_F(link_fault_test, a_killed_broker_that_comes_back_loses_nothing) {
  connect(fresh_fleet_with_topics());
  told_link link(*world);
  ASSERT_TRUE(link.open());
  ASSERT_EQ(link.produce(1, {result_of("before", "1")}).size(), 1u);
  const auto errors = clients->counts().errors.at("unreachable");
  kill_broker();
  link->produce(2, {result_of("during", "2")});
  restart_broker();
  ASSERT_TRUE(link.next_of<link_acked>());
  EXPECT_GT(clients->counts().errors.at("unreachable"), errors);
  ASSERT_TRUE(link.commit());
  const auto end = link.settled(topic::results).last_stable;
  EXPECT_EQ(keys_of(link.read_all({1, topic::results, 0, end, true})),
            (std::vector<std::string>{"before", "during"}));
}

TEST_F(link_fault_test, a_commit_during_which_the_broker_dies_is_settled_by_the_next_link) {
  connect(fresh_fleet_with_topics());
  auto first = std::make_unique<told_link>(*world);
  ASSERT_TRUE(first->open());
  ASSERT_EQ(first->produce(1, {result_of("a", "1")}).size(), 1u);
  kill_broker();
  (*first)->commit();
  first.reset();  // the outcome is not waited for
  restart_broker();
  told_link second(*world);
  ASSERT_TRUE(second.open());
  const auto end = second.settled(topic::results).high_watermark;
  const auto all = second.read_all({1, topic::results, 0, end, false});
  const auto committed = second.read_all({2, topic::results, 0, end, true});
  EXPECT_EQ(keys_of(all), std::vector<std::string>{"a"});
  EXPECT_LE(committed.size(), 1u);
}

TEST_F(link_fault_test, a_transaction_the_broker_timed_out_fails_as_fenced) {
  auto s = fresh_fleet_with_topics();
  s.properties["transaction.timeout.ms"] = "3000";
  connect(std::move(s));
  told_link link(*world);
  ASSERT_TRUE(link.open());
  ASSERT_EQ(link.produce(1, {result_of("a", "1")}).size(), 1u);
  // The broker aborts by itself: what was open becomes stable without a commit.
  (void)link.settled(topic::results);
  link->commit();
  const auto failed = link.next<link_failed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->fault, link_fault::fenced) << failed->message;
  told_link again(*world);
  EXPECT_TRUE(again.open());
}

TEST_F(link_fault_test, a_paused_broker_only_delays) {
  connect(fresh_fleet_with_topics());
  told_link link(*world);
  ASSERT_TRUE(link.open());
  pause_broker();
  link->produce(1, {result_of("a", "1")});
  link->read({1, topic::results, 0, 1, true});
  world->begin_waiting();
  for (int i = 0; i < 300; ++i) (void)world->let_pass();
  continue_broker();
  ASSERT_TRUE(link.next_of<link_acked>());
  ASSERT_TRUE(link.commit());
  for (bool end = false; !end;) {
    const auto batch = link.next_of<link_records>();
    ASSERT_TRUE(batch);
    end = batch->end;
  }
}

TEST_F(link_fault_test, a_link_closes_while_the_broker_is_away_and_tells_nothing_more) {
  connect(fresh_fleet_with_topics());
  told_link link(*world);
  ASSERT_TRUE(link.open());
  pause_broker();
  link->produce(1, {result_of("a", "1")});
  link->commit();
  const auto before = std::chrono::steady_clock::now();
  link.close();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
  continue_broker();
}

TEST_F(link_fault_test, missing_topics_are_refused_with_the_remedy) {
  connect(fresh_fleet());
  told_link link(*world);
  ASSERT_TRUE(link.open());
  link->produce(1, {result_of("a", "1")});
  const auto failed = link.next<link_failed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->fault, link_fault::refused) << failed->message;
  EXPECT_NE(failed->message.find("topics create"), std::string::npos) << failed->message;
  told_link reading(*world);
  reading->read({1, topic::results, 0, 1, true});
  const auto unread = reading.next<link_failed>();
  ASSERT_TRUE(unread);
  EXPECT_EQ(unread->fault, link_fault::refused) << unread->message;
}

TEST_F(link_fault_test, a_topic_that_takes_less_gets_smaller_chunks) {
  auto s = fresh_fleet();
  auto brokers = admin::make(s);
  ASSERT_TRUE(brokers);
  ASSERT_TRUE((*brokers)->create({topic::results, 2, 1, {{"max.message.bytes", "50000"}}}));
  ASSERT_TRUE(create_topics(s, {2, 1}));
  connect(std::move(s));
  told_link link(*world);
  ASSERT_TRUE(link.open());
  const std::string value(300'000, 'x');
  ASSERT_EQ(link.produce(1, {result_of("large", value)}).size(), 1u);
  ASSERT_TRUE(link.commit());
  const auto end = link.settled(topic::results).last_stable;
  EXPECT_GE(end, 7);
  const auto read = link.read_all({1, topic::results, 0, end, true});
  ASSERT_EQ(read.size(), 1u);
  EXPECT_TRUE(read[0].what.value == value);
}

TEST_F(link_fault_test, an_offset_behind_the_end_of_the_log_is_a_fault) {
  connect(fresh_fleet_with_topics());
  told_link link(*world);
  link->read({1, topic::journal, 1000, std::nullopt, true});
  const auto failed = link.next<link_failed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->fault, link_fault::ambiguous);
  EXPECT_NE(failed->message.find("offset 1000"), std::string::npos) << failed->message;
}

TEST_F(link_fault_test, a_reader_stops_where_nobody_takes_what_it_read) {
  connect(fresh_fleet_with_topics());
  told_link writer(*world);
  ASSERT_TRUE(writer.open());
  std::vector<outgoing_record> records;
  for (int i = 0; i < 40; ++i)
    records.push_back(result_of(std::to_string(i), std::string(50'000, 'x')));
  ASSERT_EQ(writer.produce(1, std::move(records)).size(), 40u);
  ASSERT_TRUE(writer.commit());
  const auto end = writer.settled(topic::results).last_stable;

  auto backlog = std::make_shared<read_backlog>();
  backlog->bytes_max = 100'000;
  std::atomic<std::int64_t> delivered = 0;
  std::atomic<bool> at_end = false;
  const auto link = clients->make_link({0,
                                        [&](link_event&& event) {
                                          const auto& batch = std::get<link_records>(event);
                                          delivered += bytes_in(batch);
                                          at_end = batch.end;
                                        },
                                        backlog});
  link->read({1, topic::results, 0, end, true});
  world->begin_waiting();
  while (delivered == 0 && world->let_pass()) {
  }
  for (int i = 0; i < 200; ++i) (void)world->let_pass();
  // One batch beyond the limit at most.
  EXPECT_LT(delivered, 1'500'000);
  EXPECT_FALSE(at_end);
  while (!at_end && world->let_pass()) backlog->bytes = 0;
  EXPECT_TRUE(at_end);
  EXPECT_GT(delivered, 2'000'000);
}

}  // namespace
}  // namespace spillway::kafka
