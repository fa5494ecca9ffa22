#include "connectors/files/row_file.hpp"
#include "tests/support/temp_folder.hpp"

#include <gtest/gtest.h>

#include <random>

namespace spillway {
namespace {

row_file open_in(const temp_folder& folder, const char* name = "out.jsonl") {
  auto file = row_file::open(folder / name, true);
  EXPECT_TRUE(file.has_value());
  return *std::move(file);
}

TEST(row_file, appends_whole_rows_and_notes_the_last) {
  const temp_folder folder;
  auto file = open_in(folder);
  EXPECT_EQ(file.check({}).value(), "");
  ASSERT_TRUE(file.append("one\ntwo\n"));
  EXPECT_EQ(file.mark().length, 8u);
  EXPECT_EQ(file.mark().last_length, 4u);
  ASSERT_TRUE(file.append("three\n"));
  ASSERT_TRUE(file.sync());
  EXPECT_EQ(file.mark().length, 14u);
  EXPECT_EQ(file.mark().last_length, 6u);
  EXPECT_EQ(folder.read("out.jsonl"), "one\ntwo\nthree\n");
}

TEST(row_file, a_mark_is_checked_and_the_surplus_returned) {
  const temp_folder folder;
  row_file_mark mark;
  {
    auto file = open_in(folder);
    ASSERT_TRUE(file.append("one\ntwo\n"));
    mark = file.mark();
    ASSERT_TRUE(file.append("three\nto"));
  }
  auto file = open_in(folder);
  EXPECT_EQ(file.check(mark).value(), "three\nto");
  EXPECT_EQ(file.mark().length, mark.length);
  ASSERT_TRUE(file.cut());
  EXPECT_EQ(folder.read("out.jsonl"), "one\ntwo\n");
}

struct damage {
  const char* name;
  std::string text;
};

class row_file_damage : public testing::TestWithParam<damage> {};

TEST_P(row_file_damage, is_found) {
  const temp_folder folder;
  row_file_mark mark;
  {
    auto file = open_in(folder);
    ASSERT_TRUE(file.append("one\ntwo\n"));
    mark = file.mark();
  }
  folder.write("out.jsonl", GetParam().text);
  auto file = open_in(folder);
  const auto surplus = file.check(mark);
  ASSERT_FALSE(surplus.has_value());
  EXPECT_EQ(surplus.error().kind, failure_kind::storage);
  EXPECT_NE(surplus.error().message.find("out.jsonl"), std::string::npos);
  EXPECT_NE(surplus.error().message.find("restore"), std::string::npos);
  EXPECT_EQ(folder.read("out.jsonl"), GetParam().text) << "and nothing is changed";
}

INSTANTIATE_TEST_SUITE_P(kinds, row_file_damage,
                         testing::Values(damage{"empty", ""}, damage{"shorter", "one\ntw"},
                                         damage{"last_row_differs", "one\ntwX\n"},
                                         damage{"last_row_moved", "onetwo\n\n"},
                                         damage{"longer_and_different", "one\ntoo\nthree\n"}),
                         [](const auto& i) { return i.param.name; });

TEST(row_file, a_region_is_filled_with_blank_lines) {
  const temp_folder folder;
  auto file = open_in(folder);
  ASSERT_TRUE(file.append("keep\n"));
  const auto mark = file.mark();
  ASSERT_TRUE(file.append("surplus one\nsurplus two\nto"));
  ASSERT_TRUE(file.check(mark));
  ASSERT_TRUE(file.append("two\n", 26));
  EXPECT_EQ(folder.read("out.jsonl"), "keep\ntwo\n" + std::string(22, '\n'));
  EXPECT_EQ(file.mark().length, 9u);
  ASSERT_TRUE(file.cut());
  EXPECT_EQ(folder.read("out.jsonl"), "keep\ntwo\n");
}

TEST(row_file, dropping_everything_leaves_the_mark) {
  const temp_folder folder;
  auto file = open_in(folder);
  ASSERT_TRUE(file.append("keep\n"));
  const auto mark = file.mark();
  folder.append("out.jsonl", "torn");
  ASSERT_TRUE(file.append("", 4));
  EXPECT_EQ(file.mark().length, mark.length);
  EXPECT_EQ(file.mark().last_crc, mark.last_crc);
  ASSERT_TRUE(file.cut());
  EXPECT_EQ(folder.read("out.jsonl"), "keep\n");
}

TEST(row_file, marks_hold_over_random_appends_and_reopens) {
  const temp_folder folder;
  std::mt19937_64 random(9);
  std::string expected;
  auto file = open_in(folder);
  for (int i = 0; i < 200; ++i) {
    std::string rows;
    for (auto n = 1 + random() % 3; n > 0; --n)
      rows += std::string(random() % 300, 'a' + i % 26) + "\n";
    ASSERT_TRUE(file.append(rows));
    expected += rows;
    if (random() % 5 != 0) continue;
    const auto mark = file.mark();
    file = row_file{};
    const std::string torn(random() % 50, 'z');
    folder.append("out.jsonl", torn);
    file = open_in(folder);
    ASSERT_EQ(file.check(mark).value(), torn);
    ASSERT_TRUE(file.cut());
  }
  EXPECT_EQ(folder.read("out.jsonl"), expected);
}

TEST(row_file, is_locked_while_it_is_open) {
  const temp_folder folder;
  auto file = open_in(folder);
  const auto second = row_file::open(folder / "out.jsonl", true);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind, failure_kind::usage);
  file = row_file{};
  EXPECT_TRUE(row_file::open(folder / "out.jsonl", false).has_value());
}

TEST(row_file, refuses_what_is_no_file) {
  const temp_folder folder;
  EXPECT_FALSE(row_file::open(folder / "absent", false).has_value());
  EXPECT_FALSE(row_file::open(folder.path(), false).has_value());
  EXPECT_FALSE(row_file::open(folder / "no/such/folder", true).has_value());
  EXPECT_EQ(row_file::open("/dev/null", false).error().kind, failure_kind::usage);
}

}  // namespace
}  // namespace spillway
