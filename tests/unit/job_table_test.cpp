#include "connectors/kafka/job_progress.hpp"

#include "connectors/kafka/fleet_codec_jobs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace spillway::kafka {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

submission_record a_submission(const std::string& job, const std::string& id = "s1") {
  submission_record s;
  s.job = job;
  s.submission = id;
  s.checksum = 7;
  return s;
}

manifest_record a_manifest(const std::string& job, bool open = false) {
  manifest_record m;
  m.job = job;
  m.submission = "s1";
  m.open = open;
  m.shards = 3;
  m.prompts = 5;
  m.partitions = {{0, 1, 2, 10, 11}, {1, 2, 3, 20, 22}};
  if (open) m.shards = m.prompts = 0, m.partitions.clear();
  return m;
}

command_record a_command(const std::string& job, const std::string& id, command_kind kind) {
  command_record c;
  c.job = job;
  c.id = id;
  c.kind = kind;
  return c;
}

final_record a_final(const std::string& job) {
  final_record f;
  f.job = job;
  f.prompts = f.answered = 5;
  return f;
}

/// A log that is appended to, and the table that reads it.
struct log {
  std::vector<stored_record> records;
  job_table table{4};

  std::optional<record_fault> add(record what) {
    records.push_back({static_cast<std::int64_t>(records.size()), 0, std::move(what)});
    return table.apply(records.back());
  }
  template <class T>
  std::optional<record_fault> add(const T& value) {
    return add(record_of(value));
  }
  job_phase state(const std::string& job) const {
    const auto* entry = table.find(job);
    return entry ? entry->state : job_phase::damaged;
  }
};

TEST(job_table, a_submission_becomes_active_with_its_manifest) {
  log l;
  EXPECT_EQ(l.table.find("a"), nullptr);
  l.add(a_submission("a"));
  EXPECT_EQ(l.state("a"), job_phase::submitting);
  EXPECT_TRUE(l.table.find("a")->may_want("s1"));
  EXPECT_FALSE(l.table.find("a")->may_want("s2"));
  EXPECT_FALSE(l.table.find("a")->wants("s1"));
  l.add(a_manifest("a"));
  EXPECT_EQ(l.state("a"), job_phase::active);
  EXPECT_TRUE(l.table.find("a")->wants("s1"));
  EXPECT_FALSE(l.table.find("a")->wants("s0"));
  EXPECT_FALSE(l.table.find("a")->takes_records());
  l.add(a_final("a"));
  EXPECT_EQ(l.state("a"), job_phase::finished);
}

TEST(job_table, an_abandoned_submission_is_not_waited_for) {
  log l;
  auto s = a_submission("a");
  s.abandoned = true;
  l.add(s);
  EXPECT_FALSE(l.table.find("a")->may_want("s1"));
  l.add(a_submission("a", "s2"));
  EXPECT_TRUE(l.table.find("a")->may_want("s2"));
}

TEST(job_table, an_open_job_takes_records_until_it_is_closed) {
  log l;
  l.add(a_manifest("o", true));
  EXPECT_EQ(l.state("o"), job_phase::open);
  EXPECT_TRUE(l.table.find("o")->takes_records());
  auto close = a_command("o", "c1", command_kind::close);
  close.end_offsets = {4, 5, 6, 7};
  l.add(close);
  EXPECT_EQ(l.state("o"), job_phase::closed);
  EXPECT_THAT(*l.table.find("o")->end_offsets, ElementsAre(4, 5, 6, 7));
  close.id = "c2";
  close.end_offsets = {9, 9, 9, 9};
  l.add(close);
  EXPECT_THAT(*l.table.find("o")->end_offsets, ElementsAre(4, 5, 6, 7)) << "the first close counts";
}

TEST(job_table, commands_apply_in_the_order_of_the_log) {
  log l;
  l.add(a_manifest("a"));
  l.add(a_command("a", "z", command_kind::pause));
  EXPECT_EQ(l.state("a"), job_phase::paused);
  l.add(a_command("a", "y", command_kind::resume));
  EXPECT_EQ(l.state("a"), job_phase::active);
  auto policy = a_command("a", "x", command_kind::policy);
  policy.policy.emplace();
  policy.policy->weight = 9;
  l.add(policy);
  EXPECT_EQ(l.table.find("a")->policy.weight, 9);
  l.add(a_command("a", "w", command_kind::pause));
  l.add(a_command("a", "v", command_kind::cancel));
  EXPECT_EQ(l.state("a"), job_phase::cancelled);
  std::vector<std::string> ids;
  for (const auto& c : l.table.find("a")->commands) ids.push_back(c.what.id);
  EXPECT_THAT(ids, ElementsAre("z", "y", "x", "w", "v"));
}

TEST(job_table, a_retry_takes_a_job_up_again_until_its_next_final_record) {
  log l;
  l.add(a_manifest("a"));
  l.add(a_final("a"));
  l.add(a_command("a", "r", command_kind::retry));
  EXPECT_EQ(l.state("a"), job_phase::active);
  EXPECT_FALSE(l.table.find("a")->final);
  l.add(a_final("a"));
  EXPECT_EQ(l.state("a"), job_phase::finished);
}

TEST(job_table, a_manifest_that_does_not_add_up_is_damage) {
  log l;
  auto m = a_manifest("a");
  m.prompts = 6;
  EXPECT_FALSE(l.add(m));
  EXPECT_EQ(l.state("a"), job_phase::damaged);
  EXPECT_THAT(l.table.find("a")->reason, HasSubstr("counts 6 prompts in 3 shards"));
  m = a_manifest("b");
  m.partitions[1].partition = 4;
  l.add(m);
  EXPECT_EQ(l.state("b"), job_phase::damaged);
  EXPECT_THAT(l.table.find("b")->reason, HasSubstr("partition 4"));
  l.add(a_command("b", "c", command_kind::cancel));
  EXPECT_EQ(l.state("b"), job_phase::cancelled) << "it can be got rid of";
}

TEST(job_table, garbage_is_told_and_changes_nothing) {
  log l;
  l.add(a_manifest("a"));
  (void)l.table.take_changed();
  const auto code = [&](std::string key, std::string value) {
    const auto fault = l.add(record{std::move(key), std::move(value), false, {}});
    return fault ? fault->code : "";
  };
  EXPECT_EQ(code("", ""), "unknown_key");
  EXPECT_EQ(code("job/", encode(a_manifest("a"))), "unknown_key");
  EXPECT_EQ(code("job/a/b", encode(a_manifest("a"))), "unknown_key");
  EXPECT_EQ(code("command/a", ""), "unknown_key");
  EXPECT_EQ(code("something", "x"), "unknown_key");
  EXPECT_THAT(l.table.take_changed(), IsEmpty());
  EXPECT_EQ(code("submission/a", "\xff\xff"), "unparsable");
  EXPECT_EQ(code("submission/a", encode(a_submission("b"))), "unparsable");
  EXPECT_EQ(code("command/a/1", encode(a_command("a", "2", command_kind::pause))), "unparsable");
  EXPECT_EQ(code("final/a", ""), "unparsable");
  auto newer = encode(a_submission("a"));
  ASSERT_EQ(newer.substr(0, 2), std::string("\x08\x01"));
  newer[1] = 2;
  EXPECT_EQ(code("submission/a", newer), "unknown_version");
  EXPECT_EQ(l.state("a"), job_phase::active);
}

TEST(job_table, a_job_with_an_unreadable_manifest_is_known_and_damaged) {
  log l;
  auto newer = encode(a_manifest("a"));
  newer[1] = 3;
  const auto fault = l.add(record{"job/a", newer, false, {}});
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->code, "unknown_version");
  ASSERT_NE(l.table.find("a"), nullptr) << "its shards must not become dead letters";
  EXPECT_EQ(l.state("a"), job_phase::damaged);
}

TEST(job_table, numbers_are_never_reused) {
  log l;
  l.add(a_manifest("a"));
  const auto first = l.table.find("a")->number;
  l.add(record{"job/a", "", true, {}});
  EXPECT_EQ(l.table.find("a"), nullptr);
  EXPECT_EQ(l.table.find(first), nullptr);
  EXPECT_THAT(l.table.take_changed(), ElementsAre(first));
  l.add(a_manifest("a"));
  EXPECT_NE(l.table.find("a")->number, first);
}

/// Everything but the process-local number.
std::string told(const job_table& table) {
  std::string out;
  for (const auto* job : table.all()) {
    out += job->name + ":" + name_of(job->state) + ":" + job->reason + ":" +
           std::to_string(job->policy.weight) + ":" + std::to_string(job->last_change_of_work);
    for (const auto& c : job->commands) out += "," + std::to_string(c.offset) + c.what.id;
    if (job->submission) out += ";" + std::to_string(job->submission->shards);
    if (job->end_offsets) out += ";end";
    out += "\n";
  }
  return out;
}

TEST(job_table, compaction_changes_nothing) {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    std::mt19937 chance(seed);
    const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(chance() % n); };
    log l;
    for (int i = 0; i < 60; ++i) {
      const std::string job(1, static_cast<char>('a' + pick(3)));
      const auto id = std::to_string(pick(8));
      switch (pick(9)) {
        case 0: {
          auto s = a_submission(job);
          s.shards = pick(100);
          l.add(s);
          break;
        }
        case 1: l.add(a_manifest(job, pick(2) == 0)); break;
        case 2: l.add(a_final(job)); break;
        case 3: l.add(record{"job/" + job, "", true, {}}); break;
        case 4: l.add(record{"command/" + job + "/" + id, "", true, {}}); break;
        case 5: l.add(record{"final/" + job, "", true, {}}); break;
        case 6: l.add(record{"submission/" + job, pick(2) ? "junk" : "", pick(2) == 0, {}}); break;
        default: {
          auto c = a_command(job, id, static_cast<command_kind>(pick(6)));
          c.policy.emplace();
          c.policy->weight = 1 + static_cast<std::int64_t>(pick(5));
          l.add(c);
        }
      }
    }
    // A broker may drop any record that a later one of its key replaced, and then the tombstone.
    std::map<std::string, std::size_t> newest;
    for (std::size_t i = 0; i < l.records.size(); ++i) newest[l.records[i].what.key] = i;
    std::set<std::string> kept;
    job_table compacted(4);
    for (std::size_t i = 0; i < l.records.size(); ++i) {
      const auto& r = l.records[i];
      const bool replaced = newest[r.what.key] != i;
      const bool last_trace = r.what.tombstone && !kept.contains(r.what.key);
      if ((replaced || last_trace) && pick(3) != 0) continue;
      kept.insert(r.what.key);
      compacted.apply(r);
    }
    EXPECT_EQ(told(compacted), told(l.table)) << "seed " << seed;
  }
}

// ---- progress ----

progress_record part(std::uint32_t partition, std::int64_t prompts, std::int64_t answered,
                     std::int64_t errors = 0) {
  progress_record p;
  p.job = "a";
  p.partition = partition;
  p.prompts = prompts;
  p.answered = answered;
  p.errors = errors;
  p.jobs_to = 100;
  p.settled = nano_usd(10);
  named_totals lane{"pool", "lane", "model", {}};
  lane.totals.answered = answered;
  p.lanes = {lane};
  return p;
}

job_parts parts_of(const std::vector<progress_record>& all) {
  job_parts out;
  for (const auto& p : all) out[p.partition] = p;
  return out;
}

TEST(job_progress, sums_and_lanes_add_up) {
  auto held = part(1, 3, 1, 1);
  held.condition = "budget";
  held.reason = "the budget is spent";
  const auto sums = sum_of(parts_of({part(0, 2, 2), held}));
  EXPECT_EQ(sums.prompts, 5);
  EXPECT_EQ(sums.answered, 3);
  EXPECT_EQ(sums.errors, 1);
  EXPECT_EQ(sums.settled, nano_usd(20));
  ASSERT_EQ(sums.lanes.size(), 1u);
  EXPECT_EQ(sums.lanes[0].totals.answered, 3);
  EXPECT_THAT(sums.hindrances, ElementsAre("budget: the budget is spent (1 partition)"));
}

TEST(job_progress, a_submission_is_complete_when_every_partition_has_every_row) {
  log l;
  l.add(a_manifest("a"));
  const auto& job = *l.table.find("a");
  EXPECT_FALSE(is_complete(job, {}, 4));
  EXPECT_FALSE(is_complete(job, parts_of({part(0, 2, 2)}), 4));
  EXPECT_FALSE(is_complete(job, parts_of({part(0, 2, 2), part(1, 2, 2)}), 4)) << "one unread";
  EXPECT_FALSE(is_complete(job, parts_of({part(0, 2, 2), part(1, 3, 2)}), 4)) << "one open";
  auto flying = part(1, 3, 3);
  flying.in_flight = 1;
  EXPECT_FALSE(is_complete(job, parts_of({part(0, 2, 2), flying}), 4));
  const auto done = parts_of({part(0, 2, 2), part(1, 3, 2, 1)});
  ASSERT_TRUE(is_complete(job, done, 4));
  const auto final = final_of(job, done, 4, time_point(std::chrono::seconds(5)));
  ASSERT_TRUE(final);
  EXPECT_EQ(final->prompts, 5u);
  EXPECT_EQ(final->answered, 4u);
  EXPECT_EQ(final->errors, 1u);
  EXPECT_EQ(final->outcome, job_outcome::completed);
  l.add(*final);
  EXPECT_FALSE(final_of(*l.table.find("a"), done, 4, {})) << "once";
}

TEST(job_progress, a_cancelled_submission_ends_with_what_is_there) {
  log l;
  auto m = a_manifest("a");
  m.partitions[0].end_offset = m.partitions[1].end_offset = 7;
  l.add(m);
  l.add(a_command("a", "c", command_kind::cancel));
  const auto& job = *l.table.find("a");
  auto all = parts_of({part(0, 2, 1, 1), part(1, 1, 0, 1)});  // 3 in the manifest
  all[0].read_to = 7;
  all[1].read_to = 6;
  EXPECT_FALSE(is_complete(job, all, 4));
  all[1].read_to = 7;
  const auto final = final_of(job, all, 4, {});
  ASSERT_TRUE(final);
  EXPECT_EQ(final->prompts, 3u);
  EXPECT_EQ(final->outcome, job_outcome::cancelled);
}

TEST(job_progress, an_old_report_does_not_complete_a_job_that_is_retried) {
  log l;
  l.add(a_manifest("a"));
  l.add(a_final("a"));
  l.add(a_command("a", "r", command_kind::retry));
  auto stale = part(1, 3, 2, 1);
  stale.jobs_to = 2;
  EXPECT_FALSE(is_complete(*l.table.find("a"), parts_of({part(0, 2, 2), stale}), 4));
  stale.jobs_to = 3;
  EXPECT_TRUE(is_complete(*l.table.find("a"), parts_of({part(0, 2, 2), stale}), 4));
}

TEST(job_progress, an_open_job_is_complete_once_closed_and_read_to_the_end) {
  log l;
  l.add(a_manifest("a", true));
  auto all = parts_of({part(0, 2, 2)});
  all[0].read_to = 9;
  EXPECT_FALSE(is_complete(*l.table.find("a"), all, 2)) << "not closed";
  auto close = a_command("a", "c", command_kind::close);
  close.end_offsets = {9, 4};
  l.add(close);
  EXPECT_FALSE(is_complete(*l.table.find("a"), all, 2)) << "nothing from partition 1";
  all[1] = part(1, 0, 0);
  all[1].read_to = 3;
  EXPECT_FALSE(is_complete(*l.table.find("a"), all, 2));
  all[1].read_to = 4;
  EXPECT_TRUE(is_complete(*l.table.find("a"), all, 2));
}

TEST(job_progress, keys_and_values_must_agree) {
  progress_table table;
  auto p = part(3, 1, 1);
  EXPECT_FALSE(table.apply({0, 0, record_of(p)}));
  EXPECT_EQ(table.of("a").at(3).answered, 1);
  EXPECT_EQ(table.apply({1, 0, {"a/4", encode(p), false, {}}})->code, "unparsable");
  EXPECT_EQ(table.apply({2, 0, {"a", encode(p), false, {}}})->code, "unknown_key");
  EXPECT_EQ(table.apply({3, 0, {"a/3", "junk", false, {}}})->code, "unparsable");
  EXPECT_FALSE(table.apply({4, 0, {"a/3", "", true, {}}}));
  EXPECT_TRUE(table.of("a").empty());
}

}  // namespace
}  // namespace spillway::kafka
