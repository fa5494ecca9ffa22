#include "tests/unit/file_log_harness.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace spillway {
namespace {

std::vector<job_totals> totals_with(std::int64_t calls) {
  job_totals t{{}, {"pool", "lane", "m", {}}};
  t.lane.totals.calls = calls;
  return {t};
}

/// Reads and records the first shard, with an intent for each of the lines.
void begin(opened_log& o, const std::vector<std::uint64_t>& intents, job_folder& job) {
  commit_group g;
  g.shards.push_back(record_of(o.log->read_next().value().value()));
  for (const auto line : intents) g.attempts.push_back(intent(line));
  g.totals = totals_with(static_cast<std::int64_t>(intents.size()));
  o.log->append(commit_seq(1), std::move(g));
  ASSERT_TRUE(job.durable.wait(commit_seq(1)));
}

TEST(file_log, a_fresh_job_starts_with_nothing) {
  job_folder job;
  auto o = open_log(job).value();
  EXPECT_TRUE(o.found.shards.empty());
  EXPECT_TRUE(o.found.attempts.empty());
  EXPECT_EQ(o.found.input_bytes, 21u);
  EXPECT_EQ(job.folder.read("out.jsonl"), "");
  EXPECT_TRUE(std::filesystem::exists(job.options.errors));
  const auto shard = o.log->read_next().value().value();
  EXPECT_EQ(shard.where.count, 3u);
  EXPECT_FALSE(o.log->read_next().value().has_value());
  EXPECT_EQ(o.log->read(shard.where).value().bytes, shard.bytes);
  EXPECT_TRUE(o.log->close());
}

TEST(file_log, what_was_durable_is_found_again) {
  job_folder job;
  {
    auto o = open_log(job).value();
    begin(o, {1, 2, 3}, job);
    commit_group g;
    g.finished = {answer(job, 1), answer(job, 3, row_kind::failed)};
    g.totals = totals_with(17);
    o.log->append(commit_seq(2), std::move(g));
    ASSERT_TRUE(o.log->close());
  }
  EXPECT_EQ(job.durable.seen().back(), commit_seq(2)) << "close waits for what was appended";
  EXPECT_EQ(job.folder.read("out.jsonl"), row_of(job, 1));
  EXPECT_EQ(job.folder.read("out.errors.jsonl"), row_of(job, 3));

  auto o = open_log(job).value();
  ASSERT_EQ(o.found.shards.size(), 1u);
  EXPECT_TRUE(o.found.shards[0].done.test(0));
  EXPECT_FALSE(o.found.shards[0].done.test(1));
  EXPECT_TRUE(o.found.shards[0].done.test(2));
  EXPECT_EQ(o.found.shards[0].id_hashes, (std::vector<std::uint64_t>{1'000, 1'001, 1'002}));
  ASSERT_EQ(o.found.attempts.size(), 1u);
  EXPECT_EQ(o.found.attempts[0].line, 2u);
  EXPECT_TRUE(o.found.attempts[0].in_flight);
  EXPECT_EQ(o.found.attempts[0].reserved, nano_usd(1'000));
  EXPECT_EQ(o.found.totals.at(0).lane.totals.calls, 17);
  EXPECT_EQ(o.found.answered, 1);
  EXPECT_EQ(o.found.errors, 1);
  EXPECT_EQ(o.found.invalid, 0);
  EXPECT_EQ(o.found.adopted, 0);
  EXPECT_FALSE(o.log->read_next().value().has_value()) << "the input was read";
  EXPECT_TRUE(o.log->read(o.found.shards[0].where).has_value());
}

TEST(file_log, groups_become_durable_in_their_order) {
  job_folder job(500);
  auto o = open_log(job).value();
  begin(o, {}, job);
  std::string expected;
  for (std::uint64_t line = 1; line <= 500; ++line) {
    commit_group g;
    g.attempts.push_back(intent(line));
    if (line > 1) {
      g.finished.push_back(answer(job, line - 1));
      expected += row_of(job, line - 1);
    }
    o.log->append(commit_seq(1 + line), std::move(g));
  }
  ASSERT_TRUE(o.log->close());
  EXPECT_EQ(job.folder.read("out.jsonl"), expected);
  const auto seen = job.durable.seen();
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(std::set(seen.begin(), seen.end()).size(), seen.size()) << "each once";
  EXPECT_EQ(seen.back(), commit_seq(501));
}

TEST(file_log, a_durable_row_is_in_the_file) {
  job_folder job;
  auto o = open_log(job).value();
  begin(o, {1}, job);
  commit_group g;
  g.finished.push_back(answer(job, 1));
  o.log->append(commit_seq(2), std::move(g));
  ASSERT_TRUE(job.durable.wait(commit_seq(2)));
  EXPECT_EQ(job.folder.read("out.jsonl"), row_of(job, 1));
}

TEST(file_log, input_is_read_on_behind_what_was_recorded) {
  job_folder job(1'200);
  std::uint32_t first = 0;
  {
    auto o = open_log(job).value();
    begin(o, {}, job);
    first = o.log->read_next().value().value().where.id.value();  // read, but not recorded
  }
  auto o = open_log(job).value();
  ASSERT_EQ(o.found.shards.size(), 1u);
  const auto next = o.log->read_next().value().value();
  EXPECT_EQ(next.where.id.value(), first);
  EXPECT_EQ(next.where.first_line, 513u);
}

TEST(file_log, answers_written_but_not_recorded_are_adopted) {
  job_folder job;
  {
    auto o = open_log(job).value();
    begin(o, {1, 2, 3}, job);
  }
  job.folder.append("out.jsonl", row_of(job, 2) + row_of(job, 1).substr(0, 40));
  job.folder.append("out.errors.jsonl", row_of(job, 3));
  for (int restart = 0; restart < 2; ++restart) {
    auto o = open_log(job).value();
    EXPECT_EQ(o.found.adopted, restart == 0 ? 2 : 0);
    EXPECT_EQ(o.found.answered, 1);
    EXPECT_EQ(o.found.errors, 1);
    EXPECT_FALSE(o.found.shards[0].done.test(0));
    EXPECT_TRUE(o.found.shards[0].done.test(1));
    EXPECT_TRUE(o.found.shards[0].done.test(2));
    ASSERT_EQ(o.found.attempts.size(), 1u);
    EXPECT_EQ(o.found.attempts[0].line, 1u) << "its row was torn: in doubt";
    const auto& lane = o.found.totals.at(0).lane.totals;
    EXPECT_EQ(lane.answered, 1);
    EXPECT_EQ(lane.rejected, 1);
    EXPECT_EQ(lane.settled, nano_usd(900));
    EXPECT_EQ(lane.input, tokens(60));
    EXPECT_EQ(job.folder.read("out.jsonl"), row_of(job, 2)) << "the torn row is cut";
    EXPECT_EQ(job.folder.read("out.errors.jsonl"), row_of(job, 3));
  }
}

TEST(file_log, error_rows_that_will_be_written_again_are_cut) {
  job_folder job;
  { auto o = open_log(job).value(); }
  job.folder.append("out.errors.jsonl", row_of(job, 2, 0));
  auto o = open_log(job).value();
  EXPECT_EQ(o.found.adopted, 0);
  EXPECT_EQ(job.folder.read("out.errors.jsonl"), "");
}

struct refusal_case {
  const char* name;
  void (*spoil)(job_folder&);
  failure_kind kind;
  const char* says;
};

class file_log_refusal : public testing::TestWithParam<refusal_case> {};

/// All files of the job's folder, without those of the store.
std::map<std::string, std::string> files_of(const job_folder& job) {
  std::map<std::string, std::string> out;
  for (const char* name : {"in.jsonl", "out.jsonl", "out.errors.jsonl"})
    if (std::filesystem::exists(job.folder / name)) out[name] = job.folder.read(name);
  return out;
}

TEST_P(file_log_refusal, names_the_cause_and_changes_nothing) {
  job_folder job;
  {
    auto o = open_log(job).value();
    begin(o, {1, 2, 3}, job);
    commit_group g;
    g.finished = {answer(job, 1), answer(job, 2, row_kind::failed)};
    o.log->append(commit_seq(2), std::move(g));
    ASSERT_TRUE(o.log->close());
  }
  GetParam().spoil(job);
  const auto before = files_of(job);
  const auto o = open_log(job);
  ASSERT_FALSE(o.has_value());
  EXPECT_EQ(o.error().kind, GetParam().kind) << o.error().message;
  EXPECT_NE(o.error().message.find(GetParam().says), std::string::npos) << o.error().message;
  EXPECT_EQ(files_of(job), before);
}

void shorten(job_folder& job, const char* name) {
  std::filesystem::resize_file(job.folder / name, 5);
}

INSTANTIATE_TEST_SUITE_P(
    spoiled, file_log_refusal,
    testing::Values(
        refusal_case{"output_missing",
                     [](job_folder& j) { std::filesystem::remove(j.options.output); },
                     failure_kind::storage, "out.jsonl is missing"},
        refusal_case{"errors_missing",
                     [](job_folder& j) { std::filesystem::remove(j.options.errors); },
                     failure_kind::storage, "out.errors.jsonl is missing"},
        refusal_case{"output_shorter", [](job_folder& j) { shorten(j, "out.jsonl"); },
                     failure_kind::storage, "out.jsonl is shorter"},
        refusal_case{"last_row_changed",
                     [](job_folder& j) {
                       auto text = j.folder.read("out.jsonl");
                       text[10] ^= 1;
                       j.folder.write("out.jsonl", text);
                     },
                     failure_kind::storage, "its last row differs"},
        refusal_case{"foreign_row", [](job_folder& j) { j.folder.append("out.jsonl", "{}\n"); },
                     failure_kind::storage, "no open call explains"},
        refusal_case{"row_of_a_finished_prompt",
                     [](job_folder& j) { j.folder.append("out.jsonl", row_of(j, 1)); },
                     failure_kind::storage, "no open call explains"},
        refusal_case{"adoptable_then_foreign_errors",
                     [](job_folder& j) {
                       j.folder.append("out.jsonl", row_of(j, 3) + "torn");
                       j.folder.append("out.errors.jsonl", "{}\n");
                     },
                     failure_kind::storage, "no open call explains"},
        refusal_case{"state_missing",
                     [](job_folder& j) { std::filesystem::remove_all(j.options.state); },
                     failure_kind::usage, "--overwrite"},
        refusal_case{"another_job", [](job_folder& j) { j.options.job = "other"; },
                     failure_kind::usage, "job 'job', not 'other'"},
        refusal_case{"another_policy",
                     [](job_folder& j) { j.options.in_doubt = in_doubt_policy::hold; },
                     failure_kind::usage, "in-doubt policy"},
        refusal_case{"input_grew", [](job_folder& j) { j.folder.append("in.jsonl", "x\n"); },
                     failure_kind::usage, "has changed"},
        refusal_case{"another_input",
                     [](job_folder& j) { j.options.inputs = {j.folder.write("b.jsonl", "x")}; },
                     failure_kind::usage, "whose input is"},
        refusal_case{"one_more_input",
                     [](job_folder& j) { j.options.inputs.push_back(j.options.inputs[0]); },
                     failure_kind::usage, "1 input files, not 2"},
        refusal_case{"input_missing",
                     [](job_folder& j) { std::filesystem::remove(j.options.inputs[0]); },
                     failure_kind::usage, "in.jsonl"}),
    [](const auto& i) { return i.param.name; });

TEST(file_log, residency_may_only_narrow) {
  using places = std::vector<std::string>;
  job_folder job;
  const auto opens = [&](std::optional<places> residency) {
    job.options.residency = std::move(residency);
    const auto o = open_log(job);
    if (!o) {
      EXPECT_EQ(o.error().kind, failure_kind::usage);
      EXPECT_NE(o.error().message.find("narrower"), std::string::npos);
    }
    return o.has_value();
  };
  EXPECT_TRUE(opens(std::nullopt));
  EXPECT_TRUE(opens(places{"us", "eu"}));
  EXPECT_FALSE(opens(std::nullopt)) << "the narrowing was recorded";
  EXPECT_TRUE(opens(places{"eu", "us"}));
  EXPECT_FALSE(opens(places{"eu", "asia"}));
  EXPECT_TRUE(opens(places{"eu"}));
  EXPECT_FALSE(opens(places{"us", "eu"}));
}

TEST(file_log, one_owner_at_a_time) {
  job_folder job;
  auto o = open_log(job).value();
  const auto second = open_log(job);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind, failure_kind::usage);
  job.options.overwrite = true;
  const auto thief = open_log(job);
  ASSERT_FALSE(thief.has_value()) << "not even with --overwrite";
  EXPECT_EQ(thief.error().kind, failure_kind::usage);
  ASSERT_TRUE(o.log->close());
  EXPECT_TRUE(open_log(job).has_value());
}

TEST(file_log, overwrite_starts_anew) {
  job_folder job;
  {
    auto o = open_log(job).value();
    begin(o, {1}, job);
    commit_group g;
    g.finished.push_back(answer(job, 1));
    o.log->append(commit_seq(2), std::move(g));
    ASSERT_TRUE(o.log->close());
  }
  job.options.job = "other";
  job.options.overwrite = true;
  auto o = open_log(job).value();
  EXPECT_TRUE(o.found.shards.empty());
  EXPECT_EQ(job.folder.read("out.jsonl"), "");
}

TEST(file_log, an_input_is_never_an_output) {
  for (const bool overwrite : {false, true}) {
    job_folder job;
    const auto text = job.folder.read("in.jsonl");
    job.options.overwrite = overwrite;
    job.options.output = job.options.inputs[0];
    EXPECT_FALSE(open_log(job).has_value());
    std::filesystem::create_hard_link(job.options.inputs[0], job.folder / "link.jsonl");
    job.options.output = job.folder / "link.jsonl";
    EXPECT_FALSE(open_log(job).has_value());
    EXPECT_EQ(job.folder.read("in.jsonl"), text);
  }
}

TEST(file_log, a_foreign_folder_is_not_taken_for_a_state) {
  job_folder job;
  std::filesystem::create_directory(job.options.state);
  job.folder.write("out.state/photo.jpg", "x");
  for (const bool overwrite : {false, true}) {
    job.options.overwrite = overwrite;
    EXPECT_FALSE(open_log(job).has_value());
    EXPECT_EQ(job.folder.read("out.state/photo.jpg"), "x");
  }
}

TEST(file_log, a_cut_creation_is_begun_again) {
  job_folder job;
  std::filesystem::create_directories(job.options.state + "/store");
  job.folder.write("out.state/store/LOG", "");
  EXPECT_TRUE(open_log(job).has_value());
}

TEST(file_log, any_run_of_commits_and_kills_finds_what_was_durable) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    job_folder job(400);
    std::map<std::uint64_t, std::uint32_t> open;  // line -> sends
    std::set<std::uint64_t> done;
    for (int life = 0; life < 4; ++life) {
      job_folder& j = job;
      durable_watch watch;
      auto log = make_file_log(j.options, watch.sink());
      const auto found = log->take_over().value();
      std::map<std::uint64_t, std::uint32_t> found_open;
      for (const auto& a : found.attempts) found_open[a.line] = a.sends;
      ASSERT_EQ(found_open, open);
      std::set<std::uint64_t> found_done;
      for (std::uint32_t i = 0; life > 0 && i < 400; ++i)
        if (found.shards.at(0).done.test(i)) found_done.insert(i + 1);
      ASSERT_EQ(found_done, done);
      ASSERT_EQ(found.answered, static_cast<std::int64_t>(done.size()));
      std::uint64_t seq = 1;
      if (life == 0) {
        commit_group g;
        g.shards.push_back(record_of(log->read_next().value().value()));
        log->append(commit_seq(seq++), std::move(g));
      }
      for (int i = 0; i < 40; ++i) {
        commit_group g;
        for (auto n = random() % 4; n > 0; --n) {
          const auto line = 1 + random() % 400;
          if (done.contains(line)) continue;
          g.attempts.push_back(intent(line, ++open[line]));
        }
        if (!open.empty() && random() % 2 == 0) {
          const auto line = open.begin()->first;
          g.finished.push_back(answer(job, line));
          done.insert(line);
          open.erase(line);
        }
        if (!g.empty()) log->append(commit_seq(seq++), std::move(g));
      }
      ASSERT_TRUE(log->close());
      j.folder.append("out.jsonl", std::string(random() % 30, 't'));  // what a kill may leave
    }
  }
}

}  // namespace
}  // namespace spillway
