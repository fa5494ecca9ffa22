// What an owner lets the broker delete, and what a recovery then still knows.
#include "tests/sim/fleet_probe.hpp"

#include <gtest/gtest.h>

namespace spillway::sim {
namespace {

using namespace std::chrono_literals;
using namespace kafka;

struct fleet_retention : testing::Test {
  fleet_retention() {
    for (int i = 0; i < 8; ++i) stage.broker.append(topic::shards, {});
  }
  static owner_limits quick() {
    owner_limits l;
    l.commit_after = 20ms;
    l.snapshot_after = 200ms;
    return l;
  }
  static void note(probe& a, std::int64_t from, std::int64_t to) {
    for (auto at = from; at < to; ++at) a->note({at, 1, true, false});
  }
  /// Deletes what may go, as often as it takes until nothing more does.
  void trim(probe& a, const retention& wanted) {
    for (int i = 0; i < 4; ++i) {
      a->trim(wanted);
      a.step();
      stage.run(500ms);
    }
  }
  [[nodiscard]] std::int64_t start_of(topic t) { return stage.broker.offsets(t).first; }
  stage_set stage;
  const retention nothing;
};

// Rule 8: rows and prompts go once no job needs them, and what is counted of them stays known.
TEST_F(fleet_retention, what_no_job_keeps_goes_and_its_counts_stay) {
  std::string index;
  {
    probe a(stage, "a", "", quick());
    ASSERT_TRUE(a.ready());
    note(a, 0, 3);
    for (const auto at : {0, 1, 2}) {
      a.answer(line(at), nano_usd(5), at == 1 ? "bad" : "");
      ASSERT_TRUE(a.quiet());
    }
    trim(a, {{"j", time_point::min()}});
    EXPECT_EQ(start_of(topic::results), 0);
    EXPECT_EQ(start_of(topic::shards), 0);
    trim(a, {{"other", time_point::min()}});
    EXPECT_TRUE(rows(stage).empty());
    EXPECT_EQ(start_of(topic::shards), 3);
    index = a.index;
  }
  for (const auto& kept : {std::string(), index}) {
    probe b(stage, "b" + kept.substr(0, 1), kept, quick());
    ASSERT_TRUE(b.ready());
    EXPECT_EQ(b.recovered->watermark, 3);
    ASSERT_EQ(b.recovered->jobs.size(), 1u);
    EXPECT_EQ(b.recovered->jobs[0].answered, 2);
    EXPECT_EQ(b.recovered->jobs[0].errors, 1);
    EXPECT_EQ(b.recovered->jobs[0].settled(), nano_usd(15));
    b->command({"j/c" + std::to_string(kept.size()), "j", true, {}});
    ASSERT_TRUE(b.until([&] { return !b.applied.empty(); }));
    EXPECT_TRUE(b.reopened.empty()) << "what is deleted can't be sent again";
  }
}

// Rule 8, too: nothing goes that is not finished, not counted by a snapshot, or behind such a
// thing.
TEST_F(fleet_retention, nothing_goes_that_a_recovery_needs) {
  auto limits = quick();
  limits.snapshot_after = 1h;
  {
    probe a(stage, "a", "", limits);
    ASSERT_TRUE(a.ready());
    note(a, 0, 5);
    for (const auto at : {0, 1, 3}) a.answer(line(at));
    ASSERT_TRUE(a.quiet());
    trim(a, nothing);
    EXPECT_EQ(start_of(topic::results), 0) << "no snapshot counts the rows";
    EXPECT_EQ(start_of(topic::shards), 0);
    stage.run(1h);
    trim(a, nothing);
    EXPECT_TRUE(rows(stage).empty());
    EXPECT_EQ(start_of(topic::shards), 2) << "the third prompt is open";
    a.answer(line(2));
    ASSERT_TRUE(a.quiet());
  }
  probe b(stage, "b", "", quick());
  ASSERT_TRUE(b.ready());
  EXPECT_EQ(b.recovered->jobs[0].answered, 4);
  note(b, 2, 5);
  b.step();
  EXPECT_EQ(b->known().done().watermark(), 4);
  trim(b, nothing);
  EXPECT_EQ(start_of(topic::shards), 4) << "a new owner writes the snapshot that is missing";
  EXPECT_TRUE(rows(stage).empty());
  const auto snapshots = b->counters().snapshots;
  trim(b, nothing);
  EXPECT_EQ(b->counters().snapshots, snapshots) << "nothing to trim, nothing to write";
}

// A job that stays open keeps what is young; the days that are over go, whoever owns by then.
TEST_F(fleet_retention, an_open_job_keeps_its_last_days) {
  std::int64_t second_day = 0;
  {
    probe a(stage, "a", "", quick());
    ASSERT_TRUE(a.ready());
    note(a, 0, 4);
    a.answer(line(0));
    a.answer(line(2));
    ASSERT_TRUE(a.quiet());
    stage.run(48h);
    a.answer(line(1));
    ASSERT_TRUE(a.quiet());
    second_day = stage.broker.records(topic::results, 0, INT64_MAX, true).back().offset;
    a.answer(line(3));
    ASSERT_TRUE(a.quiet());
    trim(a, {{"j", stage.time.now() - 72h}});
    EXPECT_EQ(start_of(topic::results), 0);
  }
  probe b(stage, "b", "", quick());
  ASSERT_TRUE(b.ready());
  trim(b, {{"j", stage.time.now() - 24h}});
  EXPECT_EQ(start_of(topic::results), second_day);
  EXPECT_EQ(start_of(topic::shards), 1) << "the prompts behind it go with it, old or not";
  trim(b, nothing);
  EXPECT_EQ(start_of(topic::shards), 4);
}

}  // namespace
}  // namespace spillway::sim
