#include "connectors/kafka/shard_intake.hpp"

#include "connectors/files/checksum.hpp"
#include "schemas/fleet_shard.pb.h"

#include <gtest/gtest.h>

#include <map>

namespace spillway::kafka {
namespace {

using state = job_standing::state;

class shard_intake_test : public testing::Test {
 protected:
  shard_intake_test() {
    jobs_["sent"] = {state::active, job_number(1), "s1", false, {}};
    jobs_["open"] = {state::active, job_number(2), "", true, {}};
    jobs_["other"] = {state::active, job_number(3), "", true, {}};
  }

  static stored_record line(std::int64_t offset, const std::string& job, std::string text) {
    stored_record r;
    r.offset = offset;
    r.what.value = std::move(text);
    r.what.headers.emplace_back("job", job);
    return r;
  }
  static fleet::v1::Shard shard(const std::string& lines, std::uint32_t count) {
    fleet::v1::Shard s;
    s.set_version(1);
    s.set_job("sent");
    s.set_submission("s1");
    s.set_file("in.jsonl");
    s.set_first_line(7);
    s.set_next_line(7 + count);
    s.set_count(count);
    s.set_lines(lines);
    s.set_crc(crc_of(lines));
    return s;
  }
  static stored_record packed(std::int64_t offset, const fleet::v1::Shard& s) {
    stored_record r;
    r.offset = offset;
    r.what.value = s.SerializeAsString();
    r.what.headers.emplace_back("spillway-format", "shard/1");
    return r;
  }
  static std::string text(const shard_data& d) { return d.bytes.substr(0, d.size); }
  std::vector<shard_data> all() {
    std::vector<shard_data> out;
    while (auto d = in_.next()) out.push_back(std::move(d->data));
    return out;
  }
  std::string only_death() {
    const auto dead = in_.take_dead();
    EXPECT_EQ(dead.size(), 1u);
    return dead.empty() ? "" : dead.front().code;
  }

  std::map<std::string, job_standing, std::less<>> jobs_;
  std::vector<std::string> names_;
  std::vector<std::uint64_t> stored_;
  shard_intake in_{partition_id(3),
                   "f.shards-3",
                   [this](std::string_view job) {
                     const auto it = jobs_.find(job);
                     return it == jobs_.end() ? job_standing{} : it->second;
                   },
                   [this](std::string_view name) {
                     names_.emplace_back(name);
                     return file_id(static_cast<std::uint32_t>(names_.size() - 1));
                   },
                   [this](const shard_data& d) { stored_.push_back(d.where.offset); },
                   intake_limits{1 << 20, 4096}};
};

TEST_F(shard_intake_test, a_packed_shard_keeps_its_place_in_the_file) {
  in_.feed(packed(40, shard("{\"a\":1}\n\n{\"b\":2}\n", 2)));
  const auto got = all();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(text(got[0]), "{\"a\":1}\n\n{\"b\":2}\n");
  EXPECT_EQ(got[0].where.offset, 40u);
  EXPECT_EQ(got[0].where.count, 2u);
  EXPECT_EQ(got[0].where.first_line, 7u);
  EXPECT_EQ(got[0].where.job, job_number(1));
  EXPECT_EQ(got[0].where.partition, partition_id(3));
  EXPECT_TRUE(got[0].where.ids_checked);
  EXPECT_EQ(names_[got[0].where.file.value()], "in.jsonl");
  EXPECT_GE(got[0].bytes.size(), got[0].size + read_padding);
}

TEST_F(shard_intake_test, neighbouring_lines_of_a_job_become_one_shard) {
  in_.feed(line(10, "open", "{\"a\":1}"));
  in_.feed(line(11, "open", "\n{\"b\":2}\r\n"));
  in_.feed(line(12, "open", "{\"c\":3}\n\n"));
  EXPECT_TRUE(all().empty()) << "the run is still open";
  in_.flush();
  const auto got = all();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(text(got[0]), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
  EXPECT_EQ(got[0].where.offset, 10u);
  EXPECT_EQ(got[0].where.count, 3u);
  EXPECT_EQ(got[0].where.first_line, 10u);
  EXPECT_TRUE(got[0].where.line_records);
  EXPECT_FALSE(got[0].where.ids_checked);
}

TEST_F(shard_intake_test, a_run_ends_at_a_gap_another_job_and_every_512_offsets) {
  in_.feed(line(509, "open", "{}"));
  in_.feed(line(511, "open", "{}"));
  in_.feed(line(512, "open", "{}"));
  in_.feed(line(513, "other", "{}"));
  in_.feed(line(514, "open", "{}"));
  in_.flush();
  std::vector<std::pair<std::uint64_t, std::uint32_t>> runs;
  for (const auto& d : all()) runs.emplace_back(d.where.offset, d.where.count);
  const std::vector<std::pair<std::uint64_t, std::uint32_t>> want{
      {509, 1}, {511, 1}, {512, 1}, {513, 1}, {514, 1}};
  EXPECT_EQ(runs, want);
}

TEST_F(shard_intake_test, a_record_of_several_lines_is_a_shard_of_its_own) {
  in_.feed(line(10, "open", "{\"a\":1}"));
  in_.feed(line(11, "open", "{\"b\":1}\n{\"b\":2}"));
  in_.feed(line(12, "open", "{\"c\":1}"));
  in_.flush();
  const auto got = all();
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(text(got[1]), "{\"b\":1}\n{\"b\":2}\n");
  EXPECT_FALSE(got[1].where.line_records);
  EXPECT_EQ(names_[got[1].where.file.value()], "f.shards-3@11");
}

TEST_F(shard_intake_test, bad_records_are_buried_with_their_reason_and_block_nothing) {
  stored_record junk;
  junk.offset = 1;
  junk.what.value = "\xff\xff";
  junk.what.headers.emplace_back("spillway-format", "shard/1");
  in_.feed(junk);
  EXPECT_EQ(only_death(), "unparsable");
  auto newer = shard("{}\n", 1);
  newer.set_version(2);
  in_.feed(packed(2, newer));
  EXPECT_EQ(only_death(), "unknown_version");
  auto torn = shard("{}\n", 1);
  torn.set_lines("{ }\n");
  in_.feed(packed(3, torn));
  EXPECT_EQ(only_death(), "damaged");
  in_.feed(packed(4, shard("{}\n{}\n", 3)));
  EXPECT_EQ(only_death(), "damaged");
  in_.feed(packed(5, shard(std::string(5000, ' ') + "{}\n{}\n", 2)));
  EXPECT_EQ(only_death(), "too_large");
  stored_record nobody;
  nobody.offset = 6;
  nobody.what.value = "{}";
  in_.feed(nobody);
  EXPECT_EQ(only_death(), "missing_job");
  in_.feed(line(7, "sent", "{}"));
  EXPECT_EQ(only_death(), "job_closed");
  in_.feed(packed(8, shard("{}\n", 1)));
  EXPECT_EQ(all().size(), 1u);
  std::size_t with_prompts = 0;
  for (const auto& s : in_.take_seen()) with_prompts += s.count;
  EXPECT_EQ(with_prompts, 1u);
}

TEST_F(shard_intake_test, one_large_prompt_may_pass_the_size_of_a_shard) {
  in_.feed(packed(1, shard("{\"x\":\"" + std::string(9000, 'y') + "\"}\n", 1)));
  in_.feed(line(2, "open", "{\"x\":\"" + std::string(9000, 'y') + "\"}"));
  in_.flush();
  EXPECT_EQ(all().size(), 2u);
  EXPECT_TRUE(in_.take_dead().empty());
}

TEST_F(shard_intake_test, a_closed_job_takes_what_stood_before_its_end) {
  jobs_["open"].end_offset = 11;
  in_.feed(line(10, "open", "{}"));
  in_.feed(line(11, "open", "{}"));
  in_.flush();
  EXPECT_EQ(all().size(), 1u);
  EXPECT_EQ(only_death(), "job_closed");
}

TEST_F(shard_intake_test, shards_wait_for_their_manifest_without_their_bytes) {
  jobs_["sent"].now = state::submitting;
  in_.feed(packed(5, shard("{\"a\":1}\n", 1)));
  in_.feed(line(6, "open", "{}"));
  in_.flush();
  const auto others = all();
  ASSERT_EQ(others.size(), 1u);
  EXPECT_EQ(others[0].where.offset, 6u);
  EXPECT_EQ(stored_, (std::vector<std::uint64_t>{5, 6}));
  in_.jobs_changed();
  EXPECT_TRUE(all().empty());
  jobs_["sent"].now = state::active;
  in_.jobs_changed();
  const auto got = all();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].where.offset, 5u);
  EXPECT_TRUE(got[0].bytes.empty());
  const auto again = shard_intake::cut_again(got[0].where, {packed(5, shard("{\"a\":1}\n", 1))});
  ASSERT_TRUE(again);
  EXPECT_EQ(text(*again), "{\"a\":1}\n");
}

TEST_F(shard_intake_test, shards_of_another_submission_are_skipped) {
  jobs_["sent"].submission = "s2";
  in_.feed(packed(5, shard("{}\n", 1)));
  EXPECT_TRUE(all().empty());
  const auto seen = in_.take_seen();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].count, 0u);
  EXPECT_TRUE(in_.take_dead().empty());
}

TEST_F(shard_intake_test, a_record_of_an_unknown_job_waits_until_nobody_can_know_it) {
  in_.feed(line(5, "late", "{}"));
  in_.feed(line(6, "never", "{}"));
  EXPECT_TRUE(in_.undecided());
  for (const auto& s : in_.take_seen()) EXPECT_EQ(s.count, 1u) << "it must hold the watermark";
  jobs_["late"] = {state::active, job_number(4), "", true, {}};
  in_.jobs_changed();
  EXPECT_EQ(all().size(), 1u) << "no further record has to come";
  EXPECT_TRUE(in_.undecided());
  EXPECT_TRUE(in_.take_dead().empty());
  in_.give_up_unknown(6);
  EXPECT_TRUE(in_.undecided());
  in_.give_up_unknown(7);
  EXPECT_FALSE(in_.undecided());
  EXPECT_EQ(only_death(), "unknown_job");
}

TEST_F(shard_intake_test, reading_again_finds_a_topic_that_was_made_anew) {
  in_.feed(line(10, "open", "{\"a\":1}"));
  in_.feed(line(11, "open", "{\"b\":2}"));
  in_.flush();
  const auto got = all();
  ASSERT_EQ(got.size(), 1u);
  const auto same = shard_intake::cut_again(
      got[0].where, {line(10, "open", "{\"a\":1}"), line(11, "open", "{\"b\":2}")});
  ASSERT_TRUE(same);
  EXPECT_EQ(text(*same), text(got[0]));
  EXPECT_FALSE(shard_intake::cut_again(
      got[0].where, {line(10, "open", "{\"a\":1}"), line(11, "open", "{\"x\":2}")}));
  EXPECT_FALSE(shard_intake::cut_again(got[0].where, {line(10, "open", "{\"a\":1}")}));
}

}  // namespace
}  // namespace spillway::kafka
