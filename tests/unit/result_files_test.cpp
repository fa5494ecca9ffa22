#include "orchestrator/cli/result_files.hpp"

#include "tests/support/temp_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace spillway {
namespace {

using kafka::place;
using kafka::row_tracker;

TEST(row_tracker, keeps_the_highest_generation) {
  row_tracker t;
  using verdict = row_tracker::verdict;
  const place p{1000, 7, false, 0};
  EXPECT_EQ(t.note(3, p), verdict::first);
  EXPECT_EQ(t.note(3, p), verdict::stale);
  EXPECT_EQ(t.note(3, p.in(2)), verdict::supersedes);
  EXPECT_EQ(t.note(3, p.in(1)), verdict::stale);
  EXPECT_FALSE(t.is_current(3, p.in(1)));
  EXPECT_TRUE(t.is_current(3, p.in(2)));
  EXPECT_EQ(t.note(4, p), verdict::first) << "another partition";
  EXPECT_EQ(t.note(3, {1001, 7, false, 0}), verdict::first) << "another record";
  EXPECT_EQ(t.note(3, {1000, 0, true, 0}), verdict::first) << "a line of its own";
  EXPECT_EQ(t.note(3, {1001, 0, true, 0}), verdict::first) << "the next line in the block";
  EXPECT_EQ(t.prompts(), 5u);
}

std::string row_of(const std::string& file, int line, const std::string& note = "") {
  return R"({"custom_id":"x","note":")" + note + R"(","spillway":{"file":")" + file +
         R"(","line":)" + std::to_string(line) + "}}\n";
}

fetched_row row(std::uint32_t partition, place where, row_kind kind, std::string text) {
  return {partition, where, kind, std::move(text)};
}

void add(row_sink& sink, fetched_row r) {
  const auto ok = sink.add(std::move(r));
  ASSERT_TRUE(ok) << ok.error().message;
}

TEST(result_files, rows_go_to_their_files_as_they_come) {
  const temp_folder folder;
  auto sink = make_row_files(folder / "out", folder / "err");
  ASSERT_TRUE(sink);
  add(**sink, row(0, {1, 0, false, 0}, row_kind::answered, "a\n"));
  add(**sink, row(0, {1, 1, false, 0}, row_kind::failed, "b\n"));
  add(**sink, row(0, {1, 0, false, 0}, row_kind::answered, "a again\n"));
  ASSERT_TRUE((*sink)->flush());
  EXPECT_EQ(folder.read("out"), "a\n");
  EXPECT_EQ(folder.read("err"), "b\n");
  add(**sink, row(1, {1, 0, false, 0}, row_kind::invalid, "c\n"));
  const auto counts = (*sink)->finish();
  EXPECT_EQ(counts->answered, 1u);
  EXPECT_EQ(counts->errors, 2u);
  EXPECT_EQ(folder.read("err"), "b\nc\n");
}

TEST(result_files, a_retry_takes_the_error_row_away) {
  const temp_folder folder;
  auto sink = make_row_files(folder / "out", folder / "err");
  ASSERT_TRUE(sink);
  for (std::uint32_t i = 0; i < 4; ++i)
    add(**sink, row(0, {1, i, false, 0}, row_kind::failed, "e" + std::to_string(i) + "\n"));
  add(**sink, row(0, {1, 1, false, 1}, row_kind::answered, "a1\n"));
  add(**sink, row(0, {1, 2, false, 1}, row_kind::failed, "e2 again\n"));
  add(**sink, row(0, {1, 2, false, 2}, row_kind::failed, "e2 last\n"));
  const auto counts = (*sink)->finish();
  EXPECT_EQ(counts->answered, 1u);
  EXPECT_EQ(counts->errors, 3u);
  EXPECT_EQ(folder.read("out"), "a1\n");
  EXPECT_EQ(folder.read("err"), "e0\ne3\ne2 last\n");
}

TEST(result_files, a_folder_that_is_not_there_is_named) {
  const temp_folder folder;
  const auto sink = make_row_files(folder / "no/out", folder / "err");
  ASSERT_FALSE(sink);
  EXPECT_EQ(sink.error().kind, failure_kind::storage);
  EXPECT_NE(sink.error().message.find("no/out"), std::string::npos);
}

TEST(result_files, sorted_rows_come_in_the_order_of_the_input_whatever_the_runs) {
  std::mt19937 chance(11);
  for (const std::size_t run_bytes : {std::size_t{1}, std::size_t{4000}, std::size_t{1} << 20}) {
    const temp_folder folder;
    std::vector<fetched_row> rows;
    std::string answers, errors;
    for (const std::string file : {"z.jsonl", "a.jsonl", "not-in-the-manifest"}) {
      for (int line = 1; line <= 300; ++line) {
        const place where{static_cast<std::int64_t>(line / 10 + 1000 * file[0]),
                          static_cast<std::uint32_t>(line % 10), false, 0};
        const auto partition = static_cast<std::uint32_t>(line % 3);
        const bool failed = line % 7 == 0;
        auto text = row_of(file, line, "last");
        (failed ? errors : answers) += text;
        rows.push_back(row(partition, where.in(line % 5 == 0 ? 3 : 0),
                           failed ? row_kind::failed : row_kind::answered, text));
        if (line % 5 == 0) {
          rows.push_back(row(partition, where.in(1), row_kind::failed, row_of(file, line, "old")));
          rows.push_back(rows[rows.size() - 2]);
        }
      }
    }
    const auto no_line = std::string("{\"custom_id\":\"q\"}\n");
    rows.push_back(row(0, {5, 0, true, 0}, row_kind::answered, no_line));
    answers += no_line;
    std::shuffle(rows.begin(), rows.end(), chance);
    auto sink = make_sorted_row_files(folder / "out", folder / "err", folder.path(),
                                      {"z.jsonl", "a.jsonl"}, run_bytes);
    ASSERT_TRUE(sink);
    for (auto& r : rows) add(**sink, r);
    const auto counts = (*sink)->finish();
    ASSERT_TRUE(counts);
    EXPECT_EQ(counts->answered + counts->errors, 901u);
    EXPECT_EQ(folder.read("out"), answers);
    EXPECT_EQ(folder.read("err"), errors);
  }
}

}  // namespace
}  // namespace spillway
