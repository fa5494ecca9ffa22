// One directed schedule for each rule of the log's protocol that a partition's owner keeps.
#include "tests/sim/fleet_probe.hpp"

#include <gtest/gtest.h>

namespace spillway::sim {
namespace {

using namespace std::chrono_literals;
using namespace kafka;

std::optional<snapshot> newest_snapshot(stage_set& stage) {
  std::optional<snapshot> out;
  for (const auto& r : journal(stage))
    if (const auto* found = std::get_if<snapshot>(&r.what)) out = *found;
  return out;
}

/// The input has as many line records as the tests name.
struct fleet_rules : testing::Test {
  fleet_rules() {
    for (int i = 0; i < 32; ++i) stage.broker.append(topic::shards, {});
  }
  static owner_limits patient() {
    owner_limits l;
    l.commit_after = 1h;
    l.snapshot_after = 200ms;
    return l;
  }
  stage_set stage;
};

// Rule 1: a snapshot forgets neither an open intent before it nor an answer not yet read back.
TEST_F(fleet_rules, snapshots_keep_open_intents_and_unread_answers) {
  stage.broker.faults.transaction_timeout = 1h;
  {
    probe a(stage, "a", "", patient());
    ASSERT_TRUE(a.ready());
    a.intend(line(1));
    a.intend(line(2));
    ASSERT_TRUE(a.durable());
    a.answer(line(2));
    ASSERT_TRUE(a.durable());
    stage.run(300ms);
    a.step();
    stage.run(300ms);
    EXPECT_EQ(a->counters().snapshots, 1u);
    EXPECT_GT(stage.broker.offsets(topic::journal).first, 0) << "trimmed below the snapshot";
    EXPECT_TRUE(rows(stage).empty()) << "nothing is committed";
  }
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  EXPECT_EQ(b.recovered->salvaged, 1);
  EXPECT_TRUE(is_done(*b.recovered, line(2)));
  ASSERT_TRUE(find(*b.recovered, line(1)));
  EXPECT_TRUE(find(*b.recovered, line(1))->in_flight);
  EXPECT_FALSE(find(*b.recovered, line(2)));
  ASSERT_TRUE(b.quiet());
  ASSERT_EQ(rows(stage).size(), 1u);
  EXPECT_EQ(rows(stage)[0].where, line(2));
}

// Rule 1, too: an answer whose transaction was aborted is still needed until it is stored again.
TEST_F(fleet_rules, a_snapshot_after_an_abort_still_leads_to_the_answer) {
  stage.broker.faults.transaction_timeout = 300ms;
  {
    auto limits = patient();
    limits.commit_after = 500ms;
    limits.snapshot_after = 700ms;
    probe a(stage, "a", "", limits);
    ASSERT_TRUE(a.ready());
    a.intend(line(2));
    a.answer(line(1));
    ASSERT_TRUE(a.durable());
    a.muted = true;  // until it is fenced
    stage.run(400ms);
    a.muted = false;
    stage.broker.faults.deaf = topic::results;
    ASSERT_TRUE(a.until([&] { return newest_snapshot(stage).has_value(); }));
  }
  stage.broker.faults = {};
  const auto state = newest_snapshot(stage);
  EXPECT_GT(state->committed_offset, state->results_offset);
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  EXPECT_EQ(b.recovered->salvaged, 1);
  ASSERT_TRUE(b.quiet());
  EXPECT_EQ(rows(stage).size(), 1u);
}

// Rule 1, too: `late` is read again from the first answer that is not read back.
TEST_F(fleet_rules, a_late_answer_survives_the_owner_that_took_it) {
  probe a(stage, "a");
  ASSERT_TRUE(a.ready());
  a.intend(line(1));
  ASSERT_TRUE(a.durable());
  a->suspend();
  ASSERT_TRUE(a.until([&] { return a.last.handed_over; }));
  a->leave();
  a.answer(line(1), nano_usd(7));
  ASSERT_TRUE(a.durable());
  std::string index;
  {
    auto limits = patient();
    limits.index_after = 0s;
    stage.broker.faults.deaf = topic::results;  // what it publishes is lost with it
    probe b(stage, "b", "", limits);
    ASSERT_TRUE(b.ready());
    EXPECT_EQ(b.recovered->late, 1);
    stage.run(100ms);
    index = b.index;
  }
  stage.broker.faults.deaf.reset();
  for (const auto& kept : {index, std::string()}) {
    probe c(stage, "c" + std::to_string(kept.size()), kept);
    ASSERT_TRUE(c.ready());
    EXPECT_TRUE(is_done(*c.recovered, line(1)));
    EXPECT_EQ(c.recovered->late + c.recovered->salvaged, kept.empty() ? 0 : 1);
    ASSERT_TRUE(c.quiet());
  }
  ASSERT_EQ(rows(stage).size(), 1u);
  EXPECT_EQ(rows(stage)[0].charged, nano_usd(7));
}

// Rule 2: what is published stays published; memory, `late` and salvage are one answer.
TEST_F(fleet_rules, an_answer_from_several_sides_is_published_once) {
  stage.broker.faults.transaction_timeout = 1h;
  finished_row row{"j/1", "{}\n", {}};
  {
    probe a(stage, "a", "", patient());
    ASSERT_TRUE(a.ready());
    a.intend(line(1));
    a.answer(line(1), nano_usd(7));
    ASSERT_TRUE(a.durable());
    row.facts = rows(stage, false).at(0);
  }
  stage.broker.append(topic::late, late_result("a", row));
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  EXPECT_EQ(b.recovered->salvaged, 1);
  EXPECT_EQ(b.recovered->late, 0);
  b.answer(line(1), nano_usd(90));
  ASSERT_TRUE(b.quiet());
  b.answer(line(1), nano_usd(91));
  ASSERT_TRUE(b.quiet());
  EXPECT_EQ(b->counters().ignored, 2u);
  ASSERT_EQ(rows(stage).size(), 1u);
  EXPECT_EQ(b->known().jobs().at("j").settled(), nano_usd(7));
}

// Rule 3: a prompt's charge is carried by its intents and results, doubtful sends included.
TEST_F(fleet_rules, charges_add_up_over_owners) {
  {
    probe a(stage, "a");
    ASSERT_TRUE(a.ready());
    a.intend(line(1));
    a.intend(line(2), 1);
    ASSERT_TRUE(a.durable());
    a.answer(line(2), nano_usd(30));
    ASSERT_TRUE(a.quiet());
  }
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  EXPECT_EQ(b.recovered->jobs.at(0).settled(), nano_usd(30));
  EXPECT_EQ(find(*b.recovered, line(1))->reserved, nano_usd(100));
  EXPECT_EQ(find(*b.recovered, line(1))->deaths, 1u);
  b.intend(line(1), 2, nano_usd(100));
  EXPECT_TRUE(b.durable());
  EXPECT_EQ(b->known().jobs().at("j").settled(), nano_usd(130));
  b.answer(line(1), nano_usd(120), "", 2);
  ASSERT_TRUE(b.quiet());
  const auto& job = b->known().jobs().at("j");
  EXPECT_EQ(job.settled(), nano_usd(150));
  EXPECT_EQ(job.lanes.at(0).totals.settled, nano_usd(150));
  EXPECT_EQ(job.lanes.at(0).totals.calls, 3);
  EXPECT_EQ(job.answered, 2);
}

// Rule 3, too: an answer of an earlier send does not hide that a later one may be billed.
TEST_F(fleet_rules, an_answer_of_an_earlier_send_charges_the_later_one_too) {
  probe a(stage, "a");
  ASSERT_TRUE(a.ready());
  a.intend(line(1), 2, nano_usd(100));
  ASSERT_TRUE(a.durable());
  result_facts f;
  f.where = line(1);
  f.sends = 1;
  f.charged = nano_usd(20);
  EXPECT_EQ(a->known().charge_of(f), nano_usd(200));
  f.sends = 2;
  f.charged = nano_usd(150);
  EXPECT_EQ(a->known().charge_of(f), nano_usd(150));
}

// Rule 4: the journal goes only below a snapshot that was read back as it was written.
TEST_F(fleet_rules, the_journal_is_trimmed_below_a_good_snapshot_only) {
  auto limits = patient();
  limits.commit_after = 20ms;
  probe a(stage, "a", "", limits);
  ASSERT_TRUE(a.ready());
  a.intend(line(1));
  ASSERT_TRUE(a.until([&] { return a->counters().snapshots == 1; }));
  const auto before = stage.broker.offsets(topic::journal).high_watermark;
  while (stage.broker.offsets(topic::journal).high_watermark == before) stage.time.step();
  stage.broker.flip(topic::journal, before);
  ASSERT_TRUE(a.until([&] { return a->counters().snapshots == 2; }))
      << "a spoiled snapshot is written again";
  EXPECT_EQ(stage.broker.offsets(topic::journal).first, 0);
  stage.run(100ms);
  EXPECT_GT(stage.broker.offsets(topic::journal).first, before);
}

// Rule 5: commands apply once; a retry raises generations, and only the current one counts.
TEST_F(fleet_rules, a_retry_applies_once_whoever_owns) {
  const owner_command again{"j/c1", "j", true, {"bad"}};
  {
    probe a(stage, "a");
    ASSERT_TRUE(a.ready());
    a.answer(line(1), nano_usd(5), "bad");
    a.answer(line(2), nano_usd(6), "worse");
    a.answer(line(3), nano_usd(7));
    a->command(again);  // all three are still on their way
    ASSERT_TRUE(a.until([&] { return !a.applied.empty(); }));
    ASSERT_EQ(a.reopened.size(), 1u);
    EXPECT_TRUE(a.reopened[0].retried);
    EXPECT_EQ(a.reopened[0].history.where, line(1).in(1));
    EXPECT_EQ(a->known().jobs().at("j").errors, 1);
    EXPECT_EQ(a->known().jobs().at("j").settled(), nano_usd(18)) << "paid is paid";
  }
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  EXPECT_FALSE(is_done(*b.recovered, line(1)));
  ASSERT_EQ(b.recovered->generations.size(), 1u);
  b->command(again);
  ASSERT_TRUE(b.until([&] { return !b.applied.empty(); }));
  EXPECT_TRUE(b.reopened.empty());
  b.answer(line(1), nano_usd(9));  // of the generation that is over
  b.answer(line(1).in(1), nano_usd(11));
  ASSERT_TRUE(b.quiet());
  EXPECT_EQ(b->counters().ignored, 1u);
  EXPECT_EQ(rows(stage).size(), 4u);
  EXPECT_EQ(b->known().jobs().at("j").answered, 2);
  EXPECT_EQ(b->known().jobs().at("j").settled(), nano_usd(29));
}

TEST_F(fleet_rules, an_uncommitted_answer_of_an_old_generation_is_not_salvaged) {
  stage.broker.faults.transaction_timeout = 1h;
  {
    probe a(stage, "a");
    ASSERT_TRUE(a.ready());
    a.answer(line(1), nano_usd(5), "bad");
    ASSERT_TRUE(a.quiet());
    a->command({"j/c1", "j", true, {}});
    ASSERT_TRUE(a.until([&] { return !a.applied.empty(); }));
  }
  finished_row stray{"j/1", "{}\n", rows(stage).at(0)};
  stage.broker.hang(topic::results, result_record(stray));
  stage.broker.abort_hanging();
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  EXPECT_EQ(b.recovered->salvaged, 0);
  EXPECT_FALSE(is_done(*b.recovered, line(1)));
}

// A retry reaches below the watermark, and the watermark shown goes back for it.
TEST_F(fleet_rules, the_watermark_waits_for_what_a_retry_opened_below_it) {
  probe a(stage, "a");
  ASSERT_TRUE(a.ready());
  a->note({0, 3, true, false});
  for (int i = 0; i < 3; ++i) a.answer(line(i), nano_usd(1), i == 1 ? "bad" : "");
  ASSERT_TRUE(a.quiet());
  EXPECT_EQ(a->known().done().first_unfinished(), 3);
  a->command({"j/c1", "j", true, {}});
  ASSERT_TRUE(a.until([&] { return !a.applied.empty(); }));
  EXPECT_EQ(a->known().done().first_unfinished(), 1);
  stage.run(2s);
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  EXPECT_EQ(b.recovered->watermark, 0) << "no snapshot was written";
  probe c(stage, "c", a.index);
  ASSERT_TRUE(c.ready());
  EXPECT_EQ(c.recovered->watermark, 3);
  ASSERT_EQ(c.recovered->reopened.size(), 1u);
  EXPECT_EQ(c.recovered->reopened[0], line(1).in(1));
}

// Members that lost their sessions in an outage mostly come back to what they had: answers are kept
// until the group says whose the partition is.
TEST_F(fleet_rules, a_hand_over_that_fails_waits_for_what_the_group_says) {
  for (const bool comes_back : {true, false}) {
    stage_set alone;
    alone.broker.append(topic::shards, {});
    alone.broker.append(topic::shards, {});
    probe a(alone, "a");
    ASSERT_TRUE(a.ready());
    a.intend(line(1));
    a.answer(line(1));
    ASSERT_TRUE(a.durable());
    a.assigned = false;
    alone.broker.faults.lost_request = 1;
    a->suspend();
    a.step();
    alone.run(10s);
    alone.broker.faults = {};
    EXPECT_EQ(a.state(), owner_state::suspended);
    EXPECT_TRUE(rows(alone).empty());
    if (comes_back) {
      a.assigned = true;
      a->resume();
      a.step();
      ASSERT_TRUE(a.quiet());
    } else {
      a->leave();
      a->close();
      a.step();
      ASSERT_TRUE(a.until([&] { return a.state() == owner_state::closed; }));
      probe b(alone, "b");
      ASSERT_TRUE(b.ready());
      EXPECT_EQ(b.recovered->salvaged, 1);
      ASSERT_TRUE(b.quiet());
    }
    EXPECT_EQ(rows(alone).size(), 1u);
  }
}

// A firm group is durable with its row, however long rows may wait for company: whoever takes over
// then finds that row, which keeps a death from being held against a prompt that was answered.
TEST_F(fleet_rules, a_firm_group_is_durable_with_its_rows) {
  for (const bool firm : {false, true}) {
    stage_set alone;
    for (int i = 0; i < 4; ++i) alone.broker.append(topic::shards, {});
    auto limits = patient();
    limits.publish_after = 1h;
    {
      probe a(alone, "a", "", limits);
      ASSERT_TRUE(a.ready());
      a.intend(line(0));
      a.intend(line(1));
      ASSERT_TRUE(a.told());
      a.answer(line(0));
      a.answer(line(1), nano_usd(10), "", 1, firm);
      ASSERT_TRUE(a.told());
    }
    probe b(alone, "b");
    ASSERT_TRUE(b.ready());
    EXPECT_EQ(b.recovered->salvaged, firm ? 2 : 0);
  }
}

}  // namespace
}  // namespace spillway::sim
