#include "orchestrator/engine/intake.hpp"

#include "connectors/files/input.hpp"
#include "connectors/jsonl.hpp"
#include "orchestrator/engine/strict.hpp"
#include "tests/support/temp_folder.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace spillway {
namespace {

constexpr std::size_t line_max = 20'000;

std::string line(const std::string& id, const std::string& model = "m", std::size_t padding = 0) {
  return R"({"custom_id":")" + id +
         R"(","method":"POST","url":"/v1/chat/completions","body":{"model":")" + model +
         R"(","x":")" + std::string(padding, 'p') + "\"}}\n";
}

class_verdict classes(std::string_view model, endpoint_kind, const prompt_view& view) {
  EXPECT_EQ(view.body.at(view.model_offset), '"');
  if (model == "m") return class_choice{class_id(0)};
  if (model == "n") return class_choice{class_id(1), prompt_feature::tools};
  return class_refusal{"unknown_model", "no configured lane offers the model"};
}
class_lookup classes_of(job_number) { return classes; }

/// An input and an intake over it, perhaps one that goes on behind known shards.
class session {
 public:
  session(const std::vector<std::string>& files, unsigned threads = 2,
          std::span<const recovered_shard> known = {})
      : reader_(input_reader::open(files, line_max).value()),
        runner_(threads),
        intake_(reader_, classes_of, runner_, line_max, known) {
    if (!known.empty()) reader_.resume_after(known.back().where);
  }
  std::vector<parsed_shard> read_all() {
    std::vector<parsed_shard> all;
    for (;;) {
      auto shard = intake_.next();
      EXPECT_TRUE(shard.has_value());
      if (!shard || !*shard) return all;
      all.push_back(**std::move(shard));
    }
  }
  result<std::optional<parsed_shard>> next() { return intake_.next(); }
  parsed_shard again(const shard_descriptor& where) { return intake_.again(where).value(); }

 private:
  input_reader reader_;
  parallel_runner runner_;
  intake intake_;
};

/// Line number -> error code, "" for prompts.
std::map<std::uint64_t, std::string> codes(const std::vector<parsed_shard>& shards) {
  std::map<std::uint64_t, std::string> out;
  for (const auto& s : shards) {
    EXPECT_EQ(s.prompts.size() + s.invalid.size(), s.record.where.count);
    EXPECT_EQ(s.record.id_hashes.size(), s.record.where.count);
    for (const auto& p : s.prompts) out[p.line] = "";
    for (const auto& l : s.invalid) out[l.line] = l.code;
  }
  return out;
}

std::vector<recovered_shard> recovered(const std::vector<parsed_shard>& shards) {
  std::vector<recovered_shard> out;
  for (const auto& s : shards) out.push_back({s.record.where, {}, s.record.id_hashes});
  return out;
}

using expected_codes = std::map<std::uint64_t, std::string>;

TEST(intake, prompts_know_their_place_and_parts) {
  const temp_folder folder;
  const auto file = folder.write("in", "\n" + line("a") + "\r\n" + line("b", "n"));
  const auto shards = session({file}).read_all();
  ASSERT_EQ(shards.size(), 1u);
  ASSERT_EQ(shards[0].prompts.size(), 2u);
  const auto& p = shards[0].prompts[1];
  EXPECT_EQ(p.line, 4u);
  EXPECT_EQ(p.where, position(shard_id(0), 1));
  EXPECT_EQ(p.cls, class_id(1));
  EXPECT_EQ(p.text + "\n", line("b", "n"));
  EXPECT_EQ(p.view(p.custom_id), "\"b\"");
  EXPECT_EQ(p.view(p.model), "\"n\"");
  EXPECT_EQ(p.view(p.body).front(), '{');
  EXPECT_EQ(shards[0].record.id_hashes[1], hash_custom_id("b"));
}

TEST(intake, invalid_lines_say_where_they_stand) {
  const temp_folder folder;
  const auto file = folder.write("in", line("a") + "oops\n" + line("c"));
  const auto shards = session({file}).read_all();
  ASSERT_EQ(shards[0].invalid.size(), 1u);
  const auto& bad = shards[0].invalid[0];
  EXPECT_EQ(bad.line, 2u);
  EXPECT_EQ(bad.offset, line("a").size());
  EXPECT_EQ(bad.where, position(shard_id(0), 1));
  EXPECT_EQ(bad.code, "invalid_json");
  EXPECT_EQ(shards[0].record.id_hashes[1], 0u);
}

TEST(intake, the_first_of_equal_ids_counts) {
  const temp_folder folder;
  const auto file = folder.write("in", line("a") + line("b") + line("a") + line("a"));
  const auto shards = session({file}).read_all();
  EXPECT_EQ(
      codes(shards),
      (expected_codes{{1, ""}, {2, ""}, {3, "duplicate_custom_id"}, {4, "duplicate_custom_id"}}));
  EXPECT_NE(shards[0].invalid[0].message.find("line 1"), std::string::npos);
  EXPECT_EQ(shards[0].invalid[0].custom_id_token, "\"a\"");
  EXPECT_EQ(shards[0].record.id_hashes[2], 0u);
}

TEST(intake, equal_ids_may_be_written_differently) {
  const temp_folder folder;
  const auto file = folder.write("in", line("\\u0061b") + line("ab") + line("AB"));
  EXPECT_EQ(codes(session({file}).read_all()),
            (expected_codes{{1, ""}, {2, "duplicate_custom_id"}, {3, ""}}));
}

TEST(intake, the_id_of_an_invalid_line_is_taken_too) {
  const temp_folder folder;
  const auto file =
      folder.write("in", line("a", "x") + line("a") + "{\"custom_id\":\"b\"}\n" + line("b"));
  EXPECT_EQ(codes(session({file}).read_all()), (expected_codes{{1, "unknown_model"},
                                                               {2, "duplicate_custom_id"},
                                                               {3, "invalid_method"},
                                                               {4, "duplicate_custom_id"}}));
}

TEST(intake, a_repeated_line_keeps_its_own_error) {
  const temp_folder folder;
  const auto file = folder.write("in", line("a") + line("a", "x"));
  EXPECT_EQ(codes(session({file}).read_all()), (expected_codes{{1, ""}, {2, "unknown_model"}}));
}

TEST(intake, a_line_above_the_limit_stands_alone) {
  const temp_folder folder;
  const auto file = folder.write(
      "in", line("a") + line("b", "m", line_max) + line("c") + line("d", "m", 700'000) + line("e"));
  const auto shards = session({file}).read_all();
  EXPECT_EQ(
      codes(shards),
      (expected_codes{{1, ""}, {2, "line_too_large"}, {3, ""}, {4, "line_too_large"}, {5, ""}}));
}

std::string many(std::size_t n, std::size_t first = 0) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) text += line("id-" + std::to_string(first + i));
  return text;
}

TEST(intake, equal_ids_are_found_across_shards_and_files) {
  const temp_folder folder;
  const auto a = folder.write("a", many(1'500));
  const auto b = folder.write("b", line("id-3") + line("id-1499") + line("new") + line("id-700"));
  session s({a, b});
  const auto shards = s.read_all();
  EXPECT_GE(shards.size(), 4u);
  std::vector<std::string> messages;
  for (const auto& shard : shards)
    for (const auto& l : shard.invalid) messages.push_back(l.message);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_NE(messages[0].find("line 4 of input file 1;"), std::string::npos);
  EXPECT_NE(messages[1].find("line 1500 of input file 1;"), std::string::npos);
  EXPECT_NE(messages[2].find("line 701 of input file 1;"), std::string::npos);
}

TEST(intake, reading_again_gives_the_same_and_no_duplicates_of_itself) {
  const temp_folder folder;
  const auto file = folder.write("in", many(700) + line("id-5") + many(700, 600) + "bad\n");
  session s({file});
  const auto shards = s.read_all();
  for (const auto& shard : shards) {
    const auto again = s.again(shard.record.where);
    EXPECT_EQ(codes({again}), codes({shard}));
    EXPECT_EQ(again.record.id_hashes, shard.record.id_hashes);
    ASSERT_EQ(again.prompts.size(), shard.prompts.size());
    for (std::size_t i = 0; i < again.prompts.size(); ++i) {
      EXPECT_EQ(again.prompts[i].where, shard.prompts[i].where);
      EXPECT_EQ(again.prompts[i].text, shard.prompts[i].text);
    }
  }
}

TEST(intake, known_ids_are_found_after_a_restart_without_parsing) {
  const temp_folder folder;
  const auto file =
      folder.write("in", many(1'100) + line("id-2") + line("id-1099") + line("fresh"));
  const auto whole = session({file}).read_all();
  ASSERT_EQ(whole.size(), 3u);
  for (std::size_t known = 0; known <= 3; ++known) {
    const auto before =
        recovered({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(known)});
    session s({file}, 2, before);
    auto all = codes({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(known)});
    all.merge(codes(s.read_all()));
    EXPECT_EQ(all, codes(whole)) << known << " shards known";
    for (const auto& shard : before)
      EXPECT_EQ(codes({s.again(shard.where)}), codes({whole[shard.where.id.value()]}));
  }
}

TEST(intake, equal_hashes_of_different_ids_are_told_apart) {
  const temp_folder folder;
  const auto file = folder.write("in", many(600));
  auto known = recovered(session({file}).read_all());
  known.resize(1);
  // As if an id of the first shard had the hash of one of the second.
  known[0].id_hashes[10] = hash_custom_id("id-550");
  known[0].id_hashes[11] = hash_custom_id("id-550");
  session s({file}, 2, known);
  for (const auto& [number, code] : codes(s.read_all())) EXPECT_EQ(code, "") << number;
}

TEST(intake, a_repeat_whose_first_can_not_be_read_again_is_a_failure) {
  const temp_folder folder;
  const auto text = many(1'100);
  const auto file = folder.write("in", text + line("id-2"));
  session s({file});
  ASSERT_TRUE(s.next().value().has_value());
  ASSERT_TRUE(s.next().value().has_value());
  auto changed = text;
  changed[20] = '!';
  folder.write("in", changed + line("id-2"));
  const auto shard = s.next();
  ASSERT_FALSE(shard.has_value());
  EXPECT_EQ(shard.error().kind, failure_kind::storage);
}

TEST(intake, any_number_of_threads_finds_the_same) {
  std::mt19937_64 random(12);
  const temp_folder folder;
  std::string text;
  for (int i = 0; i < 1'400; ++i) {
    const auto id = std::to_string(random() % 1'000);
    switch (random() % 10) {
      case 0: text += "bad\n"; break;
      case 1: text += line(id, "x"); break;
      case 2: text += "\n"; break;
      default: text += line(id, random() % 2 ? "m" : "n", random() % 100);
    }
  }
  const auto file = folder.write("in", text);
  const auto one = session({file}, 1).read_all();
  for (const unsigned threads : {2u, 4u}) {
    const auto more = session({file}, threads).read_all();
    EXPECT_EQ(codes(more), codes(one));
  }
  // Against the simplest means: the first line with an id has it.
  std::set<std::string> seen;
  std::size_t prompts = 0;
  for (const auto& shard : one)
    for (const auto& p : shard.prompts) {
      EXPECT_TRUE(seen.emplace(p.view(p.custom_id)).second);
      ++prompts;
    }
  EXPECT_GT(prompts, 500u);
}

TEST(strict, accepts_a_good_input_and_lists_the_bad_lines_of_another) {
  const temp_folder folder;
  parallel_runner runner(2);
  const auto good = folder.write("good", many(600));
  stop_flag stop{0};
  EXPECT_TRUE(check_all_lines({good}, classes, runner, line_max, stop).has_value());
  std::string text = many(600, 1'000) + "oops\n" + line("id-1") + line("z", "x");
  for (int i = 0; i < 30; ++i) text += "[]\n";
  const auto bad = folder.write("bad", text);
  const auto r = check_all_lines({good, bad}, classes, runner, line_max, stop);
  ASSERT_FALSE(r.has_value());
  EXPECT_EQ(r.error().kind, failure_kind::usage);
  const auto& message = r.error().message;
  EXPECT_NE(message.find(bad + ":601: invalid_json"), std::string::npos) << message;
  EXPECT_NE(message.find(bad + ":602: duplicate_custom_id"), std::string::npos);
  EXPECT_NE(message.find("more"), std::string::npos) << "the list is bounded";
  EXPECT_NE(message.find("33 bad lines"), std::string::npos) << message;
}

}  // namespace
}  // namespace spillway
