// What every partition_link promises, as tests over a factory: the broker behind it may be real or
// a fake. One file of a program includes this and instantiates `link_contract` with its worlds.
#pragma once

#include "connectors/kafka/chunks.hpp"
#include "tests/support/link_contract_records.hpp"
#include "tests/support/link_world.hpp"

#include <string>
#include <vector>

namespace spillway::kafka {

class link_contract : public testing::TestWithParam<link_world_maker> {
 protected:
  std::unique_ptr<link_world> world = GetParam()();
};

TEST_P(link_contract, committed_records_are_seen_by_committed_readers_open_ones_are_not) {
  told_link link(*world);
  ASSERT_TRUE(link.open());
  ASSERT_EQ(link.produce(1, {result_of("a", "1"), result_of("b", "2")}).size(), 2u);
  auto ends = link.offsets(topic::results);
  EXPECT_EQ(ends.last_stable, 0);
  EXPECT_EQ(ends.high_watermark, 2);
  EXPECT_EQ(keys_of(link.read_all({1, topic::results, 0, 0, true})), std::vector<std::string>{});
  EXPECT_EQ(keys_of(link.read_all({2, topic::results, 0, 2, false})),
            (std::vector<std::string>{"a", "b"}));
  ASSERT_TRUE(link.commit());
  ends = link.settled(topic::results);
  const auto read = link.read_all({3, topic::results, 0, ends.last_stable, true});
  ASSERT_EQ(keys_of(read), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read[1].what.value, "2");
  EXPECT_EQ(read[1].what.header("kind"), "answered");
  EXPECT_GT(read[1].timestamp_ms, 0);
}

TEST_P(link_contract, acks_name_the_offsets_in_the_order_given) {
  told_link link(*world);
  ASSERT_TRUE(link.open());
  const auto offsets =
      link.produce(7, {journal_of("x"), result_of("a", "1"), journal_of("y"), result_of("b", "2")});
  EXPECT_EQ(offsets, (std::vector<std::int64_t>{0, 0, 1, 1}));
  EXPECT_TRUE(link.produce(8, {}).empty());
  ASSERT_TRUE(link.commit());
}

TEST_P(link_contract, opening_fences_the_predecessor_and_aborts_its_transaction) {
  told_link first(*world);
  ASSERT_TRUE(first.open());
  ASSERT_EQ(first.produce(1, {result_of("committed", "1")}).size(), 1u);
  ASSERT_TRUE(first.commit());
  ASSERT_EQ(first.produce(2, {result_of("open", "2")}).size(), 1u);

  told_link second(*world);
  ASSERT_TRUE(second.open());
  const auto ends = second.settled(topic::results);
  EXPECT_EQ(keys_of(second.read_all({1, topic::results, 0, ends.high_watermark, true})),
            std::vector<std::string>{"committed"});
  EXPECT_EQ(keys_of(second.read_all({2, topic::results, 0, ends.high_watermark, false})),
            (std::vector<std::string>{"committed", "open"}));

  first->produce(3, {result_of("zombie", "3")});
  const auto failed = first.next<link_failed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->fault, link_fault::fenced) << failed->message;
  ASSERT_EQ(second.produce(4, {result_of("new", "4")}).size(), 1u);
  ASSERT_TRUE(second.commit());
  const auto after = second.settled(topic::results);
  EXPECT_EQ(keys_of(second.read_all({3, topic::results, 0, after.high_watermark, false})),
            (std::vector<std::string>{"committed", "open", "new"}));
}

TEST_P(link_contract, a_fenced_commit_fails_as_fenced) {
  told_link first(*world);
  ASSERT_TRUE(first.open());
  ASSERT_EQ(first.produce(1, {journal_of("1")}).size(), 1u);
  told_link second(*world);
  ASSERT_TRUE(second.open());
  first->commit();
  const auto failed = first.next<link_failed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->fault, link_fault::fenced) << failed->message;
}

TEST_P(link_contract, late_records_work_on_a_fenced_link) {
  told_link first(*world), second(*world);
  ASSERT_TRUE(first.open());
  ASSERT_TRUE(second.open());
  first->produce_late(5, {"a", "answer", false, {{"spillway", "facts"}}});
  const auto acked = first.next_of<link_late_acked>();
  ASSERT_TRUE(acked);
  EXPECT_EQ(acked->ticket, 5u);
  EXPECT_EQ(acked->error, "");
  const auto read = second.read_all({1, topic::late, 0, 1, true});
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].what.value, "answer");
  EXPECT_EQ(read[0].what.header("spillway"), "facts");
}

TEST_P(link_contract, a_read_without_end_follows_the_log) {
  told_link link(*world);
  ASSERT_TRUE(link.open());
  link->read({1, topic::results, 0, std::nullopt, true});
  for (std::uint64_t i = 0; i < 3; ++i) {
    ASSERT_EQ(link.produce(i, {result_of(std::to_string(i), "v")}).size(), 1u);
    ASSERT_TRUE(link.commit());
    for (bool seen = false; !seen;) {
      const auto batch = link.next_of<link_records>();
      ASSERT_TRUE(batch);
      EXPECT_FALSE(batch->end);
      seen = !batch->records.empty();
      if (seen) {
        EXPECT_EQ(batch->records.back().what.key, std::to_string(i));
      }
    }
  }
  link->stop_reading(1);
}

TEST_P(link_contract, a_follower_learns_the_position_behind_markers) {
  told_link link(*world);
  ASSERT_TRUE(link.open());
  link->read({1, topic::journal, 0, std::nullopt, true});
  ASSERT_EQ(link.produce(1, {journal_of("x")}).size(), 1u);
  ASSERT_TRUE(link.commit());
  const auto end = link.settled(topic::journal).high_watermark;
  for (std::int64_t next = 0; next < end;) {
    const auto batch = link.next_of<link_records>();
    ASSERT_TRUE(batch);
    next = batch->next_offset;
  }
}

TEST_P(link_contract, two_reads_of_one_topic_go_side_by_side) {
  told_link link(*world);
  ASSERT_TRUE(link.open());
  ASSERT_EQ(link.produce(1, {result_of("a", "1"), result_of("b", "2")}).size(), 2u);
  ASSERT_TRUE(link.commit());
  (void)link.settled(topic::results);
  link->read({1, topic::results, 0, 2, true});
  link->read({2, topic::results, 1, 2, true});
  std::size_t records[3] = {0, 0, 0};
  for (int ends = 0; ends < 2;) {
    const auto batch = link.next_of<link_records>();
    ASSERT_TRUE(batch);
    records[batch->read] += batch->records.size();
    if (batch->end) ++ends;
  }
  EXPECT_EQ(records[1], 2u);
  EXPECT_EQ(records[2], 1u);
}

TEST_P(link_contract, records_over_the_limit_are_split_and_come_back_whole) {
  told_link link(*world);
  ASSERT_TRUE(link.open());
  const auto large = std::string(5 * world->record_bytes_max() + 17, 'x');
  const auto offsets =
      link.produce(1, {result_of("small", "1"), result_of("large", large), result_of("end", "2")});
  ASSERT_EQ(offsets.size(), 3u);
  EXPECT_GT(offsets[2], offsets[1] + 4) << "chunks take offsets";
  ASSERT_TRUE(link.commit());
  const auto end = link.settled(topic::results).last_stable;
  const auto read = link.read_all({1, topic::results, 0, end, true});
  ASSERT_EQ(keys_of(read), (std::vector<std::string>{"small", "large", "end"}));
  EXPECT_TRUE(read[1].what.value == large);
  EXPECT_EQ(read[1].offset, offsets[1]);
  EXPECT_EQ(read[1].what.header(chunk_header), std::nullopt);
  EXPECT_EQ(read[1].what.header("kind"), "answered");
}

TEST_P(link_contract, what_was_trimmed_is_skipped) {
  told_link link(*world);
  ASSERT_TRUE(link.open());
  ASSERT_EQ(link.produce(1, {journal_of("a"), journal_of("b"), journal_of("c")}).size(), 3u);
  ASSERT_TRUE(link.commit());
  link->trim(topic::journal, 2);
  world->begin_waiting();
  while (link.offsets(topic::journal).first < 2 && world->let_pass()) {
  }
  const auto read = link.read_all({1, topic::journal, 0, 3, true});
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].offset, 2);
  EXPECT_EQ(read[0].what.value, "c");
}

TEST_P(link_contract, an_empty_commit_is_a_commit) {
  told_link link(*world);
  ASSERT_TRUE(link.open());
  ASSERT_TRUE(link.commit());
  EXPECT_EQ(link.offsets(topic::journal).high_watermark, 0);
}

}  // namespace spillway::kafka
