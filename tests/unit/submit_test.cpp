#include "connectors/kafka/submit.hpp"

#include "orchestrator/cli/submit_scan.hpp"
#include "tests/support/temp_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <algorithm>

namespace spillway::kafka {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::uint32_t partitions = 4;

submission_content content_of(std::uint64_t checksum, std::size_t shards) {
  submission_content out;
  out.files = {"a.jsonl"};
  out.checksum = checksum;
  for (std::size_t i = 0; i < shards; ++i) {
    shard_descriptor shard;
    shard.id = shard_id(static_cast<std::uint32_t>(i));
    shard.count = static_cast<std::uint32_t>(10 + i);
    out.shards.push_back(shard);
    out.prompts += shard.count;
  }
  return out;
}

job_entry job_with(std::optional<submission_record> submission,
                   std::optional<manifest_record> manifest = {}) {
  job_entry job;
  job.name = "j";
  job.submission = std::move(submission);
  job.manifest = std::move(manifest);
  job.state = job.manifest ? job_phase::active : job_phase::submitting;
  return job;
}

/// What was committed when the first `shards` were written.
submission_record written_of(const submission_content& content, std::size_t shards) {
  submission_record out;
  out.job = "j";
  out.submission = "old";
  out.checksum = content.checksum;
  const auto places = place_shards(content.shards, partitions);
  for (std::size_t i = 0; i < shards; ++i)
    count_stored(out, places[i], static_cast<std::int64_t>(100 + i), content.shards[i].count);
  return out;
}

result<submission_plan> plan(const job_entry* job, const submission_content& content) {
  return plan_submission(job, "j", content, partitions, "fresh", time_point{});
}

TEST(submit, partitions_get_alike_however_files_end) {
  std::vector<shard_descriptor> shards(64);
  for (std::size_t i = 0; i < shards.size(); ++i) shards[i].count = i % 2 == 0 ? 512 : 113;
  const auto places = place_shards(shards, 8);
  ASSERT_EQ(places.size(), shards.size());
  std::vector<std::uint32_t> prompts(8);
  for (std::size_t i = 0; i < shards.size(); ++i) prompts.at(places[i]) += shards[i].count;
  const auto [least, most] = std::minmax_element(prompts.begin(), prompts.end());
  EXPECT_LE(*most - *least, 512u);
  EXPECT_EQ(place_shards(shards, 8), places);
}

TEST(submit, a_new_name_begins) {
  const auto p = plan(nullptr, content_of(1, 6));
  ASSERT_TRUE(p);
  EXPECT_EQ(p->step, submission_step::begin);
  EXPECT_EQ(p->written.submission, "fresh");
  EXPECT_EQ(p->written.checksum, 1u);
  EXPECT_EQ(p->written.shards, 0u);
}

TEST(submit, an_interrupted_one_goes_on_behind_what_was_committed) {
  const auto content = content_of(1, 9);
  for (std::size_t shards = 0; shards <= 9; ++shards) {
    const auto job = job_with(written_of(content, shards));
    const auto p = plan(&job, content);
    ASSERT_TRUE(p);
    EXPECT_EQ(p->step, submission_step::go_on);
    EXPECT_EQ(p->written.submission, "old");
    EXPECT_EQ(p->written.shards, shards);
  }
}

TEST(submit, one_that_was_packed_differently_begins_anew) {
  const auto content = content_of(1, 9);
  auto written = written_of(content, 5);
  --written.prompts;
  auto job = job_with(written);
  EXPECT_EQ(plan(&job, content)->step, submission_step::begin);
  written = written_of(content, 5);
  written.partitions[0].prompts += 1;
  job = job_with(written);
  EXPECT_EQ(plan(&job, content)->written.submission, "fresh");
  job = job_with(written_of(content, 9));
  job.submission->shards = 10;
  EXPECT_EQ(plan(&job, content)->step, submission_step::begin);
}

TEST(submit, an_abandoned_one_begins_anew) {
  const auto content = content_of(1, 3);
  auto written = written_of(content, 2);
  written.abandoned = true;
  const auto job = job_with(written);
  EXPECT_EQ(plan(&job, content)->written.submission, "fresh");
}

TEST(submit, the_same_content_again_is_complete) {
  const auto content = content_of(1, 3);
  const auto written = written_of(content, 3);
  const auto job = job_with(written, manifest_of(written, content, {}, time_point{}));
  const auto p = plan(&job, content);
  ASSERT_TRUE(p);
  EXPECT_EQ(p->step, submission_step::complete);
  EXPECT_EQ(p->written.prompts, content.prompts);
}

TEST(submit, other_content_is_refused_with_the_remedy) {
  const auto content = content_of(1, 3);
  const auto written = written_of(content, 3);
  auto job = job_with(written, manifest_of(written, content, {}, time_point{}));
  const auto other = content_of(2, 3);
  EXPECT_THAT(plan(&job, other).error().message, HasSubstr("under another name with --job"));
  job = job_with(written);
  EXPECT_THAT(plan(&job, other).error().message, HasSubstr("spillway cancel j"));
  manifest_record open;
  open.open = true;
  job = job_with({}, open);
  EXPECT_THAT(plan(&job, other).error().message, HasSubstr("is an open one"));
}

TEST(submit, a_manifest_counts_what_was_stored) {
  const auto content = content_of(7, 6);
  const auto m = manifest_of(written_of(content, 6), content, {}, time_point{});
  EXPECT_EQ(m.shards, 6u);
  EXPECT_EQ(m.prompts, content.prompts);
  ASSERT_EQ(m.partitions.size(), 4u);
  EXPECT_EQ(m.partitions[0], (partition_count{0, 2, 10 + 14, 100, 105}));
  EXPECT_EQ(m.partitions[3], (partition_count{3, 1, 13, 103, 104}));
}

TEST(submit, the_checksum_depends_on_every_shard_and_their_order) {
  const auto sum = [](std::initializer_list<std::string> shards) {
    content_checksum out;
    for (const auto& s : shards) out.add(hash_of_bytes(s), s.size());
    return out.value();
  };
  EXPECT_EQ(sum({"a", "b"}), sum({"a", "b"}));
  EXPECT_NE(sum({"a", "b"}), sum({"b", "a"}));
  EXPECT_NE(sum({"a", "b"}), sum({"a", "b", ""}));
  EXPECT_NE(sum({"a", "b"}), sum({"a", "c"}));
}

// ---- the first pass ----

std::string line(const std::string& id, const std::string& model = "m") {
  return R"({"custom_id":")" + id +
         R"(","method":"POST","url":"/v1/embeddings","body":{"model":")" + model +
         R"(","input":"x"}})" + "\n";
}

struct scan {
  temp_folder folder;
  std::vector<std::string> inputs;
  scan_rules rules;
  unsigned threads = 2;

  void file(const std::string& name, const std::string& text) {
    inputs.push_back(folder.write(name, text));
  }
  result<scanned_content> operator()() {
    parallel_runner runner(threads);
    const stop_flag stop{0};
    return scan_inputs(inputs, rules, runner, stop, [](auto, auto) {});
  }
};

TEST(submit_scan, finds_shards_prompts_and_models) {
  scan s;
  std::string text;
  for (int i = 0; i < 3000; ++i) text += line("a" + std::to_string(i), i % 3 == 0 ? "x" : "y");
  s.file("a", text);
  s.file("b", line("b") + "\n" + line("c"));
  const auto found = s();
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->content.prompts, 3002u);
  EXPECT_EQ(found->content.shards.size(), 7u);
  EXPECT_EQ(found->models.at("x"), 1000u);
  EXPECT_EQ(found->models.at("y"), 2000u);
  s.threads = 1;
  EXPECT_EQ(s()->content.checksum, found->content.checksum);
}

TEST(submit_scan, lists_the_first_bad_lines_of_all_files) {
  scan s;
  s.file("a", line("1") + "junk\n" + line("2"));
  std::string many;
  for (int i = 0; i < 30; ++i) many += "[]\n";
  s.file("b", many);
  const auto found = s();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, failure_kind::usage);
  EXPECT_THAT(found.error().message, HasSubstr(s.inputs[0] + ":2: invalid_json"));
  EXPECT_THAT(found.error().message, HasSubstr(s.inputs[1] + ":19: not_an_object"));
  EXPECT_THAT(found.error().message, Not(HasSubstr(s.inputs[1] + ":20:")));
  EXPECT_THAT(found.error().message, HasSubstr("and 11 more"));
  EXPECT_THAT(found.error().message, HasSubstr("31 bad lines; nothing was submitted"));
  s.rules.allow_invalid = true;
  const auto taken = s();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->invalid, 31u);
  EXPECT_EQ(taken->content.prompts, 33u);
}

TEST(submit_scan, repeated_ids_are_never_taken) {
  scan s;
  s.rules.allow_invalid = true;
  s.file("a", line("1") + line("2"));
  s.file("b", line("3") + line("1"));
  const auto found = s();
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().message, HasSubstr(s.inputs[1] +
                                               ":2: duplicate_custom_id: the custom_id was used "
                                               "before, in line 1 of " +
                                               s.inputs[0]));
}

TEST(submit_scan, escapes_do_not_hide_a_repeated_id) {
  scan s;
  s.file("a", line("ab") + line("a\\u0062"));
  EXPECT_THAT(s().error().message, HasSubstr(":2: duplicate_custom_id"));
}

TEST(submit_scan, lines_that_are_too_long_are_never_taken) {
  scan s;
  s.rules.allow_invalid = true;
  s.rules.line_bytes_max = 1024;
  s.file("a", line("1") + line(std::string(2000, 'x')) + line("2"));
  EXPECT_THAT(s().error().message, HasSubstr(":2: line_too_large"));
}

TEST(submit_scan, an_input_without_prompts_is_refused) {
  scan s;
  s.file("a", "\n\n");
  EXPECT_THAT(s().error().message, HasSubstr("holds no prompt"));
}

}  // namespace
}  // namespace spillway::kafka
