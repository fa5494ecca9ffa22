#include "connectors/kafka/chunks.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace spillway::kafka {
namespace {

record record_of(std::string key, std::size_t bytes, char fill = 'x') {
  return {std::move(key), std::string(bytes, fill), false, {{"job", "j"}, {"kind", "answered"}}};
}

std::vector<stored_record> stored(std::vector<record> records, std::int64_t from) {
  std::vector<stored_record> out;
  for (auto& r : records) out.push_back({from++, 1, std::move(r)});
  return out;
}

/// What comes out, as "offset:key:bytes".
std::vector<std::string> assembled(chunk_assembler& a, std::vector<stored_record> records) {
  std::vector<std::string> out;
  for (auto& r : records)
    if (const auto whole = a.add(std::move(r)))
      out.push_back(std::to_string(whole->offset) + ":" + whole->what.key + ":" +
                    std::to_string(whole->what.value.size()));
  return out;
}

TEST(chunks, a_record_within_the_limit_stays_whole) {
  const auto r = record_of("k", 1000);
  const auto out = split(r, wire_bytes(r), "s");
  ASSERT_EQ(out.size(), 1u);
  EXPECT_FALSE(out[0].header(chunk_header));
}

TEST(chunks, pieces_fit_and_carry_key_job_and_place) {
  const auto out = split(record_of("k", 10'000), 3000, "set-1");
  ASSERT_GT(out.size(), 3u);
  for (std::size_t i = 0; i < out.size(); ++i) {
    EXPECT_LE(wire_bytes(out[i]), 3000u);
    EXPECT_EQ(out[i].key, "k");
    EXPECT_EQ(out[i].header("job"), "j");
    EXPECT_EQ(out[i].header("kind").has_value(), i == 0);
    EXPECT_EQ(out[i].header(chunk_header),
              "set-1/" + std::to_string(i) + "/" + std::to_string(out.size()));
  }
}

TEST(chunks, what_cannot_be_split_stays_whole) {
  auto no_room = record_of(std::string(5000, 'k'), 10'000);
  EXPECT_EQ(split(no_room, 3000, "s").size(), 1u);
  record tombstone{std::string(5000, 'k'), "", true, {}};
  EXPECT_EQ(split(tombstone, 3000, "s").size(), 1u);
}

TEST(chunks, a_set_comes_back_as_it_was) {
  for (const auto writers : {chunk_writers::one, chunk_writers::many}) {
    chunk_assembler a(writers);
    const auto original = record_of("k", 10'000);
    auto parts = stored(split(original, 3000, "s"), 7);
    std::optional<stored_record> whole;
    for (auto& p : parts) {
      EXPECT_FALSE(whole);
      whole = a.add(std::move(p));
      EXPECT_EQ(a.open_from().has_value(), !whole.has_value());
    }
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->offset, 7);
    EXPECT_EQ(whole->what.value, original.value);
    EXPECT_EQ(whole->what.headers, original.headers);
    EXPECT_EQ(a.bytes(), 0u);
  }
}

TEST(chunks, one_writer_that_goes_on_has_given_the_set_up) {
  chunk_assembler a(chunk_writers::one);
  auto parts = split(record_of("k", 10'000), 3000, "s");
  parts.pop_back();
  auto records = stored(std::move(parts), 0);
  records.push_back({10, 1, record_of("next", 5)});
  EXPECT_EQ(assembled(a, std::move(records)), std::vector<std::string>{"10:next:5"});
  EXPECT_EQ(a.dropped(), 1u);
  EXPECT_FALSE(a.open_from());
}

TEST(chunks, a_gap_inside_a_set_of_one_writer_drops_it) {
  chunk_assembler a(chunk_writers::one);
  auto records = stored(split(record_of("k", 10'000), 3000, "s"), 0);
  for (std::size_t i = 2; i < records.size(); ++i) records[i].offset += 1;  // a marker between
  EXPECT_TRUE(assembled(a, std::move(records)).empty());
}

TEST(chunks, a_read_that_begins_inside_a_set_drops_its_rest) {
  for (const auto writers : {chunk_writers::one, chunk_writers::many}) {
    chunk_assembler a(writers);
    auto records = stored(split(record_of("k", 10'000), 3000, "s"), 0);
    records.erase(records.begin());
    records.push_back({20, 1, record_of("next", 5)});
    EXPECT_EQ(assembled(a, std::move(records)), std::vector<std::string>{"20:next:5"});
  }
}

TEST(chunks, sets_of_many_writers_interleave) {
  chunk_assembler a(chunk_writers::many);
  auto x = split(record_of("x", 5000), 3000, "sx"), y = split(record_of("y", 6000), 3000, "sy");
  std::vector<record> mixed;
  for (std::size_t i = 0; i < std::max(x.size(), y.size()); ++i) {
    if (i < x.size()) mixed.push_back(x[i]);
    if (i == 0) mixed.push_back(record_of("plain", 1));
    if (i < y.size()) mixed.push_back(y[i]);
  }
  auto out = assembled(a, stored(std::move(mixed), 0));
  std::sort(out.begin(), out.end());
  EXPECT_EQ(out, (std::vector<std::string>{"0:x:5000", "1:plain:1", "2:y:6000"}));
}

TEST(chunks, open_sets_are_bounded_in_number_bytes_and_distance) {
  chunk_assembler::limits limits{8000, 2, 100};
  chunk_assembler a(chunk_writers::many, limits);
  const auto begin = [&](const std::string& set, std::int64_t offset) {
    auto parts = split(record_of(set, 10'000), 3000, set);
    (void)a.add({offset, 1, parts[0]});
  };
  begin("a", 0);
  begin("b", 1);
  begin("c", 2);
  EXPECT_EQ(a.open_from(), 1) << "the oldest gave way";
  begin("d", 150);
  EXPECT_EQ(a.open_from(), 150) << "too far behind";
  EXPECT_EQ(a.dropped(), 3u);
  EXPECT_LE(a.bytes(), 8000u);
}

TEST(chunks, headers_that_only_look_like_ours_are_left_alone) {
  for (const char* text : {"", "s", "s/1", "/0/1", "s/2/2", "s/x/3", "s/1/2x", "s/-1/2"}) {
    chunk_assembler a(chunk_writers::many);
    const auto out = a.add({0, 1, {"k", "v", false, {{std::string(chunk_header), text}}}});
    ASSERT_TRUE(out) << text;
    EXPECT_EQ(out->what.header(chunk_header), text);
  }
}

// Any number of writers, whose sets interleave, end half-way and are stored twice: what comes out
// is exactly what was written completely, whatever happened.
TEST(chunks, random_interleavings_give_exactly_the_complete_records) {
  for (std::uint32_t seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](std::uint32_t n) { return static_cast<std::size_t>(random() % n); };
    std::vector<std::vector<record>> streams;
    std::vector<std::string> expected;
    for (std::size_t i = 0; i < 1 + below(6); ++i) {
      const auto bytes = below(12'000);
      const auto key = "k" + std::to_string(i);
      auto parts =
          split(record_of(key, bytes, static_cast<char>('a' + i)), 2000, "set" + std::to_string(i));
      if (parts.size() > 1 && below(4) == 0) {
        parts.resize(1 + below(static_cast<std::uint32_t>(parts.size() - 1)));
      } else {
        expected.push_back(key + std::string(bytes, static_cast<char>('a' + i)));
      }
      if (parts.size() > 1 && below(3) == 0) parts.insert(parts.begin() + 1, parts[0]);
      streams.push_back(std::move(parts));
    }
    chunk_assembler a(chunk_writers::many);
    std::vector<std::string> out;
    std::int64_t offset = 0;
    while (!streams.empty()) {
      auto& from = streams[below(static_cast<std::uint32_t>(streams.size()))];
      if (auto whole = a.add({offset++, 1, from.front()}))
        out.push_back(whole->what.key + whole->what.value);
      from.erase(from.begin());
      std::erase_if(streams, [](const auto& s) { return s.empty(); });
    }
    std::sort(out.begin(), out.end());
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(out, expected) << "seed " << seed;
  }
}

}  // namespace
}  // namespace spillway::kafka
