#include "connectors/kafka/book.hpp"

#include <gtest/gtest.h>

#include <limits>

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

TEST(book, a_retry_opens_what_no_lane_took) {
  book b;
  auto refused = row(1, row_kind::refused);
  refused.code = "unknown_model";
  b.finish(refused);
  EXPECT_EQ(b.jobs().at("j").errors, 1);
  EXPECT_EQ(b.jobs().at("j").invalid, 0) << "it may be sent one day";
  const auto again = b.retried("j", {"unknown_model"});
  ASSERT_EQ(again.size(), 1u);
  b.apply({"j/r1", again});
  EXPECT_EQ(b.jobs().at("j").errors, 0);
  EXPECT_FALSE(b.done().test(row(1, row_kind::refused).where));
}

TEST(book, keeps_from_the_first_row_and_prompt_that_a_job_needs) {
  using std::chrono::days;
  const auto done = [](std::int64_t prompt, int day, const char* job) {
    auto f = row(prompt, row_kind::answered);
    f.job = job;
    f.done_at = time_point(days(day)) + std::chrono::hours(5);
    return f;
  };
  book b;
  b.locate(done(7, 3, "j"), 20);
  b.locate(done(4, 3, "j"), 21);
  b.locate(done(9, 5, "j"), 22);
  b.locate(done(2, 4, "other"), 30);
  const auto kept = [&](const retention& wanted) {
    const auto k = b.kept(wanted);
    return std::pair(k.results, k.shards);
  };
  constexpr auto all = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(kept({}), std::pair(all, all));
  EXPECT_EQ(kept({{"j", time_point::min()}}), std::pair(20l, 4l));
  EXPECT_EQ(kept({{"j", time_point::min()}, {"other", time_point::min()}}), std::pair(20l, 2l));
  EXPECT_EQ(kept({{"j", time_point(days(3)) + std::chrono::hours(23)}}), std::pair(20l, 4l))
      << "a day is kept until all of it is over";
  EXPECT_EQ(kept({{"j", time_point(days(4))}}), std::pair(22l, 9l));
  EXPECT_EQ(b.take().jobs[0].days.size(), 1u) << "days that are over are forgotten";
}

fleet_attempt call(std::int64_t offset, const std::string& job, bool in_flight) {
  fleet_attempt a;
  a.where = {offset, 0, true, 0};
  a.job = job;
  a.pool = a.lane = "p";
  a.in_flight = in_flight;
  a.sends = 1;
  a.charged = nano_usd(5);
  return a;
}

TEST(book, a_job_that_is_gone_leaves_only_what_is_done) {
  book b;
  auto other = row(3, row_kind::failed);
  other.job = "jj";
  b.finish(row(0, row_kind::answered));
  b.finish(row(1, row_kind::failed));
  b.finish(other);
  b.set_attempt(call(4, "j", false), true);
  b.apply({"j/r1", {}});
  b.apply({"jj/r1", {}});
  b.done().note({0, 4, true, false});
  ASSERT_TRUE(b.forget_job("j"));
  EXPECT_FALSE(b.jobs().contains("j"));
  EXPECT_EQ(b.jobs().at("jj").errors, 1);
  EXPECT_TRUE(b.attempts().empty());
  EXPECT_FALSE(b.was_applied("j/r1"));
  EXPECT_TRUE(b.was_applied("jj/r1"));
  EXPECT_TRUE(b.retried("j", {}).empty()) << "a later job of that name has nothing to retry";
  EXPECT_EQ(b.retried("jj", {}).size(), 1u);
  for (const std::int64_t offset : {0, 1, 3}) EXPECT_FALSE(b.wants({offset, 0, true, 0})) << offset;
  EXPECT_EQ(b.finish(row(1, row_kind::answered)), book::counted::already);
  EXPECT_FALSE(b.jobs().contains("j"));
  book again;
  again.restore(b.take());
  EXPECT_FALSE(again.jobs().contains("j"));
}

TEST(book, a_failure_below_the_watermark_takes_no_room_once_its_job_is_gone) {
  book b;
  for (std::int64_t i = 0; i < shard_prompts_max; ++i)
    b.finish(row(i, i == 7 ? row_kind::failed : row_kind::answered));
  b.done().note({0, shard_prompts_max, true, false});
  EXPECT_EQ(b.take().done.size(), 1u);
  ASSERT_TRUE(b.forget_job("j"));
  EXPECT_TRUE(b.take().done.empty());
  EXPECT_EQ(b.done().watermark(), std::int64_t{shard_prompts_max});
}

TEST(book, a_job_stays_while_a_call_of_it_may_be_answered) {
  book b;
  b.set_attempt(call(0, "j", true), true);
  EXPECT_FALSE(b.forget_job("j"));
  EXPECT_EQ(b.jobs().at("j").open_charge, nano_usd(5));
  b.set_attempt(call(0, "j", false), true);
  b.hand_over("former", {call(1, "j", true)});
  EXPECT_FALSE(b.forget_job("j")) << "its former owner may still answer";
  b.end_hand_over("former");
  EXPECT_TRUE(b.forget_job("j"));
  b.set_attempt(call(2, "j", true), false);
  EXPECT_TRUE(b.forget_job("j")) << "of an owner that died";
  EXPECT_TRUE(b.jobs().empty());
}

}  // namespace
}  // namespace spillway::kafka
