#include "connectors/kafka/delivery_book.hpp"
#include "connectors/kafka/partition_read.hpp"

#include <gtest/gtest.h>

namespace spillway::kafka {
namespace {

using advice = partition_read::advice;

stored_record at(std::int64_t offset) {
  return {offset, 1, {"k" + std::to_string(offset), "v", false, {}}};
}

TEST(partition_read, takes_records_in_order_and_ends_before_until) {
  partition_read r(topic::results, 0, 3);
  EXPECT_EQ(r.add(at(0)), advice::taken);
  EXPECT_EQ(r.add(at(1)), advice::taken);
  EXPECT_EQ(r.add(at(2)), advice::ended);
  const auto batch = r.take();
  EXPECT_EQ(batch.records.size(), 3u);
  EXPECT_EQ(batch.next_offset, 3);
  EXPECT_TRUE(batch.end);
}

TEST(partition_read, an_empty_span_has_ended) {
  EXPECT_TRUE(partition_read(topic::results, 5, 5).ended());
}

TEST(partition_read, a_record_behind_the_end_ends_it) {
  partition_read r(topic::results, 0, 2);
  EXPECT_EQ(r.add(at(0)), advice::taken);
  EXPECT_EQ(r.add(at(2)), advice::ended) << "1 is a marker";
  const auto batch = r.take();
  EXPECT_EQ(batch.records.size(), 1u);
  EXPECT_EQ(batch.next_offset, 2);
}

TEST(partition_read, the_end_of_the_log_ends_it_and_moves_over_markers) {
  partition_read r(topic::journal, 0, 3);
  EXPECT_EQ(r.add(at(0)), advice::taken);
  EXPECT_EQ(r.add(at(1)), advice::taken);
  (void)r.take();
  EXPECT_FALSE(r.fresh());
  EXPECT_EQ(r.reached(3), advice::ended);
  EXPECT_TRUE(r.fresh());
  EXPECT_EQ(r.take().next_offset, 3);
}

TEST(partition_read, a_marker_is_no_reason_to_read_again_but_on_shards) {
  partition_read results(topic::results, 0, {});
  EXPECT_EQ(results.add(at(1)), advice::taken);
  partition_read shards(topic::shards, 0, {});
  EXPECT_EQ(shards.add(at(1)), advice::again);
  EXPECT_EQ(shards.position(), 0);
  EXPECT_EQ(shards.add(at(1)), advice::taken) << "accepted the second time";
  EXPECT_EQ(shards.gaps_checked(), 1u);
  EXPECT_EQ(shards.gaps_healed(), 0u);
}

TEST(partition_read, missing_records_that_come_after_all_are_taken) {
  partition_read r(topic::results, 0, {});
  EXPECT_EQ(r.add(at(4)), advice::again);
  for (std::int64_t i = 0; i < 5; ++i) EXPECT_EQ(r.add(at(i)), advice::taken);
  EXPECT_EQ(r.gaps_healed(), 1u);
  EXPECT_EQ(r.take().records.size(), 5u);
}

TEST(partition_read, every_gap_is_checked_once) {
  partition_read r(topic::results, 0, {});
  EXPECT_EQ(r.add(at(5)), advice::again);
  EXPECT_EQ(r.add(at(5)), advice::taken);
  EXPECT_EQ(r.reached(9), advice::again);
  EXPECT_EQ(r.reached(9), advice::taken);
  EXPECT_EQ(r.position(), 9);
}

TEST(partition_read, records_from_before_are_passed_over) {
  partition_read r(topic::results, 3, {});
  EXPECT_EQ(r.add(at(2)), advice::taken);
  EXPECT_EQ(r.add(at(3)), advice::taken);
  EXPECT_EQ(r.take().records.size(), 1u);
}

TEST(partition_read, the_position_waits_for_an_open_set) {
  partition_read r(topic::late, 0, {});
  auto parts = split({"k", std::string(5000, 'x'), false, {}}, 2000, "s");
  EXPECT_EQ(r.add(at(0)), advice::taken);
  for (std::size_t i = 0; i + 1 < parts.size(); ++i)
    EXPECT_EQ(r.add({static_cast<std::int64_t>(i + 1), 1, parts[i]}), advice::taken);
  EXPECT_EQ(r.take().next_offset, 1);
  const auto last = static_cast<std::int64_t>(parts.size());
  EXPECT_EQ(r.add({last, 1, parts.back()}), advice::taken);
  const auto batch = r.take();
  EXPECT_EQ(batch.records.size(), 1u);
  EXPECT_EQ(batch.next_offset, last + 1);
}

TEST(partition_read, deleted_records_are_passed_over) {
  partition_read r(topic::journal, 0, 100);
  r.skip_deleted(40);
  EXPECT_EQ(r.position(), 40);
  r.skip_deleted(200);
  EXPECT_TRUE(r.ended());
  EXPECT_EQ(r.take().next_offset, 100);
}

std::vector<delivery_book::addressed> records(std::initializer_list<std::size_t> bytes) {
  std::vector<delivery_book::addressed> out;
  for (const auto n : bytes)
    out.push_back({topic::results, 0, {"k", std::string(n, 'x'), false, {}}});
  return out;
}

TEST(delivery_book, a_ticket_is_complete_with_its_last_message) {
  delivery_book book("p-");
  const auto messages = book.add(1, records({10, 5000, 10}), 2000);
  ASSERT_GT(messages.size(), 4u);
  EXPECT_EQ(book.open(), messages.size());
  std::optional<delivered_ticket> done;
  for (std::size_t i = messages.size(); i-- > 0;) {
    EXPECT_FALSE(done);
    done = book.report(*messages[i], 0, 100 + static_cast<std::int64_t>(i));
  }
  ASSERT_TRUE(done);
  EXPECT_EQ(done->offsets,
            (std::vector<std::int64_t>{100, 101, 99 + static_cast<std::int64_t>(messages.size())}));
  EXPECT_EQ(done->code, 0);
  EXPECT_EQ(book.open(), 0u);
  EXPECT_EQ(book.open_bytes(), 0u);
}

TEST(delivery_book, the_first_error_is_the_tickets) {
  delivery_book book("p-");
  const auto messages = book.add(1, records({1, 1, 1}), 2000);
  EXPECT_FALSE(book.report(*messages[0], 0, 5));
  EXPECT_FALSE(book.report(*messages[1], -7, -1));
  const auto done = book.report(*messages[2], -8, -1);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, -7);
}

TEST(delivery_book, sets_have_ids_of_their_own) {
  delivery_book book("p-");
  const auto messages = book.add(1, records({3000, 3000}), 2000);
  EXPECT_EQ(messages.front()->what.header(chunk_header)->substr(0, 4), "p-0/");
  EXPECT_EQ(messages.back()->what.header(chunk_header)->substr(0, 4), "p-1/");
  EXPECT_NE(unique_set_prefix(), unique_set_prefix());
}

TEST(delivery_book, abandoned_tickets_are_named) {
  delivery_book book("p-");
  (void)book.add(1, records({1}), 2000);
  (void)book.add(2, records({1}), 2000);
  EXPECT_EQ(book.abandon(), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(book.open(), 0u);
}

}  // namespace
}  // namespace spillway::kafka
