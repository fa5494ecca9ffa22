#include "connectors/kafka/book.hpp"

#include <gtest/gtest.h>

namespace spillway::kafka {
namespace {

result_facts row(std::int64_t offset, row_kind kind, std::uint32_t generation = 0) {
  result_facts f;
  f.where = {offset, 0, true, generation};
  f.kind = kind;
  f.job = "j";
  if (kind != row_kind::answered) f.code = "some_code";
  return f;
}

TEST(book, every_row_counts_as_an_answer_or_an_error) {
  book b;
  EXPECT_EQ(b.finish(row(0, row_kind::answered)), book::counted::newly);
  EXPECT_EQ(b.finish(row(1, row_kind::failed)), book::counted::newly);
  EXPECT_EQ(b.finish(row(2, row_kind::invalid)), book::counted::newly);
  EXPECT_EQ(b.finish(row(2, row_kind::invalid)), book::counted::already);
  const auto& job = b.jobs().at("j");
  EXPECT_EQ(job.answered, 1);
  EXPECT_EQ(job.errors, 2) << "bad lines are error rows, too: a job ends when all have a row";
  EXPECT_EQ(job.invalid, 1);
}

TEST(book, a_retry_opens_what_failed_and_not_what_could_never_be_sent) {
  book b;
  b.finish(row(1, row_kind::failed));
  b.finish(row(2, row_kind::invalid));
  const auto again = b.retried("j", {});
  ASSERT_EQ(again.size(), 1u);
  b.apply({"j/r1", again});
  EXPECT_EQ(b.jobs().at("j").errors, 1);
  b.finish(row(1, row_kind::answered, 1));
  EXPECT_EQ(b.jobs().at("j").answered, 1);
  EXPECT_EQ(b.jobs().at("j").errors, 1);
}

}  // namespace
}  // namespace spillway::kafka
