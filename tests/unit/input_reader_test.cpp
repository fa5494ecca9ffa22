#include "connectors/files/input.hpp"
#include "connectors/jsonl.hpp"
#include "tests/support/temp_folder.hpp"

#include <gtest/gtest.h>

#include <random>

namespace spillway {
namespace {

constexpr std::size_t line_max = 600'000;

/// A line as an intake would see it.
struct seen_line {
  std::uint32_t file = 0;
  std::uint64_t number = 0, offset = 0;
  std::string text;  ///< "<too long>" for a line above the limit
  bool operator==(const seen_line&) const = default;
};

std::ostream& operator<<(std::ostream& out, const seen_line& l) {
  return out << l.file << ":" << l.number << "@" << l.offset << " " << l.text.substr(0, 40) << "("
             << l.text.size() << ")";
}

void expect_well_formed(const shard_data& s, std::uint32_t number, std::size_t limit) {
  EXPECT_EQ(s.where.id, shard_id(number));
  EXPECT_GE(s.where.count, 1u);
  EXPECT_LE(s.where.count, shard_prompts_max);
  ASSERT_EQ(s.bytes.size(), s.size + read_padding);
  for (std::size_t i = s.size; i < s.bytes.size(); ++i) EXPECT_EQ(s.bytes[i], '\0');
  if (!s.oversized) {
    EXPECT_EQ(s.where.length, s.size);
    EXPECT_LE(s.size, s.where.count == 1 ? std::max(shard_bytes_max, limit + 2) : shard_bytes_max);
  }
}

std::vector<seen_line> lines_of(const shard_data& s, std::size_t limit) {
  std::vector<seen_line> out;
  if (s.oversized) {
    out.push_back({s.where.file.value(), s.where.first_line, s.where.offset, "<too long>"});
    return out;
  }
  const std::string_view bytes(s.bytes.data(), s.size);
  for (const auto& l : split_lines(bytes, s.where.first_line))
    out.push_back(
        {s.where.file.value(), l.number, s.where.offset + l.offset,
         l.length > limit ? "<too long>" : std::string(bytes.substr(l.offset, l.length))});
  return out;
}

/// All lines of all shards; checks each shard and that reading it again gives the same.
std::vector<seen_line> read_all(const std::vector<std::string>& names,
                                std::size_t limit = line_max) {
  auto reader = input_reader::open(names, limit);
  EXPECT_TRUE(reader.has_value());
  std::vector<seen_line> all;
  std::vector<shard_data> shards;
  for (;;) {
    auto next = reader->read_next();
    EXPECT_TRUE(next.has_value());
    if (!next || !*next) break;
    expect_well_formed(**next, static_cast<std::uint32_t>(shards.size()), limit);
    const auto lines = lines_of(**next, limit);
    EXPECT_EQ(lines.size(), (*next)->where.count);
    all.insert(all.end(), lines.begin(), lines.end());
    shards.push_back(**std::move(next));
  }
  for (const auto& s : shards) {
    const auto again = reader->read(s.where);
    EXPECT_TRUE(again.has_value());
    if (!again) continue;
    EXPECT_EQ(lines_of(*again, limit), lines_of(s, limit));
    if (!s.oversized) {
      EXPECT_TRUE(again->bytes == s.bytes && again->size == s.size && !again->oversized);
    }
  }
  // Going on behind any shard continues with the next one.
  for (std::size_t i = 0; i < shards.size(); i += 1 + shards.size() / 3) {
    auto resumed = input_reader::open(names, limit);
    resumed->resume_after(shards[i].where);
    const auto next = resumed->read_next();
    EXPECT_TRUE(next.has_value());
    EXPECT_EQ(next->has_value(), i + 1 < shards.size());
    if (!*next || i + 1 == shards.size()) continue;
    EXPECT_EQ((*next)->where.id, shards[i + 1].where.id);
    EXPECT_EQ((*next)->where.offset, shards[i + 1].where.offset);
    EXPECT_EQ((*next)->where.first_line, shards[i + 1].where.first_line);
    EXPECT_TRUE((*next)->bytes == shards[i + 1].bytes);
  }
  return all;
}

/// The same by the simplest means.
std::vector<seen_line> model(const std::vector<std::string>& texts, std::size_t limit = line_max) {
  std::vector<seen_line> out;
  for (std::uint32_t file = 0; file < texts.size(); ++file) {
    const auto& text = texts[file];
    std::uint64_t number = 0;
    for (std::size_t at = text.starts_with("\xEF\xBB\xBF") ? 3 : 0; at < text.size();) {
      auto end = text.find('\n', at);
      const auto next = end == std::string::npos ? text.size() : end + 1;
      if (end == std::string::npos) end = text.size();
      ++number;
      auto line = text.substr(at, end - at);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (line.find_first_not_of(" \t\r") != std::string::npos)
        out.push_back({file, number, at, line.size() > limit ? "<too long>" : line});
      at = next;
    }
  }
  return out;
}

void expect_like_model(const std::vector<std::string>& texts, std::size_t limit = line_max) {
  const temp_folder folder;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < texts.size(); ++i)
    names.push_back(folder.write(std::to_string(i) + ".jsonl", texts[i]));
  const auto seen = read_all(names, limit);
  const auto expected = model(texts, limit);
  ASSERT_EQ(seen.size(), expected.size());
  for (std::size_t i = 0; i < seen.size(); ++i) ASSERT_EQ(seen[i], expected[i]) << "line " << i;
}

struct text_case {
  const char* name;
  std::vector<std::string> texts;
};

class input_reader_table : public testing::TestWithParam<text_case> {};

TEST_P(input_reader_table, reads_like_the_model) { expect_like_model(GetParam().texts); }

std::string many(const std::string& line, std::size_t n) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out += line;
  return out;
}

INSTANTIATE_TEST_SUITE_P(
    texts, input_reader_table,
    testing::Values(
        text_case{"empty", {""}}, text_case{"blank", {"\n\r\n  \n\t"}}, text_case{"one", {"a\n"}},
        text_case{"no_newline_at_the_end", {"a\nb"}}, text_case{"crlf", {"a\r\nb\r\n\r\nc"}},
        text_case{"bom", {"\xEF\xBB\xBFone\ntwo\n"}}, text_case{"only_bom", {"\xEF\xBB\xBF"}},
        text_case{"half_a_bom", {"\xEF\xBB"}},
        text_case{"bom_in_the_middle", {"a\n\xEF\xBB\xBFz\n"}},
        text_case{"boms_of_each_file", {"\xEF\xBB\xBFx\n", "\xEF\xBB\xBFy"}},
        text_case{"files_without_newline", {"a", "b", "", "c\n\n"}},
        text_case{"full_shard", {many("x\n", 512)}}, text_case{"one_more", {many("x\n", 513)}},
        text_case{"many_shards", {many("xyz\n\n", 3'000)}},
        text_case{"blank_megabyte", {"a\n" + std::string(1'200'000, '\n') + "b\n"}},
        text_case{"spaces_longer_than_a_shard", {std::string(590'000, ' ') + "\nb\n"}},
        text_case{"as_long_as_a_shard", {std::string(shard_bytes_max - 1, 'x') + "\ny\n"}},
        text_case{"a_byte_longer", {std::string(shard_bytes_max, 'x') + "\ny\n"}},
        text_case{"long_without_newline", {"a\n" + std::string(shard_bytes_max + 9, 'x')}},
        text_case{"at_the_limit", {std::string(line_max, 'x') + "\r\ny\n"}},
        text_case{"above_the_limit", {std::string(line_max + 1, 'x') + "\r\ny\n"}},
        text_case{"far_above", {"a\n" + std::string(3'000'000, 'x') + "\ny\n"}},
        text_case{"far_above_at_the_end", {"a\n" + std::string(3'000'000, 'x')}},
        text_case{"two_long_ones", {std::string(590'000, 'x') + "\n" + std::string(590'000, 'y')}}),
    [](const auto& i) { return i.param.name; });

TEST(input_reader, a_small_limit_isolates_long_lines) {
  expect_like_model({"a\n" + std::string(51, 'x') + "\nb\n" + std::string(50, 'y') + "\nc\n" +
                     std::string(700'000, 'z') + "\nd"},
                    50);
  expect_like_model({std::string(51, 'x') + "\r\n" + std::string(51, 'x') + "\n"}, 50);
}

TEST(input_reader, random_files_read_like_the_model) {
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    std::vector<std::string> texts(1 + random() % 3);
    for (auto& text : texts) {
      if (random() % 4 == 0) text = "\xEF\xBB\xBF";
      const std::size_t usual = std::size_t{1} << (random() % 16);
      for (auto n = random() % 900; n > 0 && text.size() < 2'000'000; --n) {
        std::size_t length = random() % (usual + 1);
        if (random() % 300 == 0) length = 300'000 + random() % 900'000;
        switch (random() % 10) {
          case 0: break;
          case 1: text += std::string(random() % 4, ' '); break;
          default: text += std::string(length, static_cast<char>('a' + random() % 26));
        }
        text += random() % 5 == 0 ? "\r\n" : "\n";
      }
      if (random() % 2 == 0) text += "end";
    }
    expect_like_model(texts, random() % 2 == 0 ? line_max : 40'000);
  }
}

TEST(input_reader, a_changed_file_is_told) {
  const temp_folder folder;
  const auto name = folder.write("in.jsonl", many("abc\n", 2'000));
  auto reader = input_reader::open({name}, line_max);
  const auto first = reader->read_next().value().value();
  const auto second = reader->read_next().value().value();
  auto text = many("abc\n", 2'000);
  text[second.where.offset + 1] = 'X';
  folder.write("in.jsonl", text);
  EXPECT_TRUE(reader->read(first.where).has_value());
  const auto changed = reader->read(second.where);
  ASSERT_FALSE(changed.has_value());
  EXPECT_EQ(changed.error().kind, failure_kind::storage);
  EXPECT_NE(changed.error().message.find("in.jsonl"), std::string::npos);
  EXPECT_NE(changed.error().message.find("line 513"), std::string::npos);
}

TEST(input_reader, a_change_behind_the_limit_of_a_long_line_is_told) {
  const temp_folder folder;
  std::string text(3'000'000, 'x');
  const auto name = folder.write("in.jsonl", text + "\n");
  auto reader = input_reader::open({name}, line_max);
  const auto shard = reader->read_next().value().value();
  ASSERT_TRUE(shard.oversized);
  text[2'999'999] = 'y';
  folder.write("in.jsonl", text + "\n");
  EXPECT_FALSE(reader->read(shard.where).has_value());
}

TEST(input_reader, a_file_that_became_shorter_is_told) {
  const temp_folder folder;
  const auto name = folder.write("in.jsonl", many("abc\n", 200'000));
  auto reader = input_reader::open({name}, line_max);
  const auto first = reader->read_next().value().value();
  std::filesystem::resize_file(name, 100);
  EXPECT_FALSE(reader->read_next().has_value());
  EXPECT_FALSE(reader->read(first.where).has_value());
}

TEST(input_reader, what_is_appended_later_is_not_read) {
  const temp_folder folder;
  const auto name = folder.write("in.jsonl", "a\nb");
  auto reader = input_reader::open({name}, line_max);
  folder.append("in.jsonl", "c\nd\n");
  const auto shard = reader->read_next().value().value();
  EXPECT_EQ(shard.where.count, 2u);
  EXPECT_EQ(shard.bytes.substr(0, shard.size), "a\nb");
  EXPECT_FALSE(reader->read_next().value().has_value());
  EXPECT_EQ(reader->total_bytes(), 3u);
}

TEST(input_reader, refuses_what_it_cannot_read) {
  const temp_folder folder;
  for (const auto& name : {folder / "absent", folder.path(), std::string("/dev/null")}) {
    const auto reader = input_reader::open({name}, line_max);
    ASSERT_FALSE(reader.has_value());
    EXPECT_EQ(reader.error().kind, failure_kind::usage);
    EXPECT_NE(reader.error().message.find(name), std::string::npos);
  }
}

}  // namespace
}  // namespace spillway
