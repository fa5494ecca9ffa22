// Directed schedules, continued: fences, ambiguous ends, hangs, hand-overs, logs that were cut.
#include "tests/sim/fleet_probe.hpp"

#include <gtest/gtest.h>

namespace spillway::sim {
namespace {

using namespace std::chrono_literals;
using namespace kafka;

struct fleet_faults : testing::Test {
  fleet_faults() {
    for (int i = 0; i < 32; ++i) stage.broker.append(topic::shards, {});
  }
  stage_set stage;
};

// Rule 8: behind a transaction that hangs nothing can be trusted: wait, and say who it is.
TEST_F(fleet_faults, a_hanging_transaction_suspends_the_partition_by_name) {
  for (const auto t : {topic::journal, topic::results}) {
    stage_set alone;
    alone.broker.hang(t, {});
    probe a(alone, "a");
    ASSERT_TRUE(a.until([&] { return a.state() == owner_state::stuck; }));
    EXPECT_NE(a.last.message.find("spillway.0 hangs on topic " + std::string(name_of(t))),
              std::string::npos)
        << a.last.message;
    EXPECT_FALSE(a.recovered);
    alone.broker.abort_hanging();
    if (t == topic::results) {
      EXPECT_TRUE(a.ready());
      EXPECT_EQ(a.last.message, "");
    }
  }
}

// Rule 8 while it works: a straggler opens a transaction that hangs in front of our results.
TEST_F(fleet_faults, results_that_cannot_be_read_back_stop_the_partition) {
  probe a(stage, "a");
  ASSERT_TRUE(a.ready());
  finished_row other{"j/9", "{}\n", {}};
  other.facts.where = line(9);
  other.facts.job = "j";
  stage.broker.hang(topic::results, result_record(other));
  a.answer(line(1));
  ASSERT_TRUE(a.durable());
  ASSERT_TRUE(a.until([&] { return a.state() == owner_state::stuck; }));
  EXPECT_GT(a.last.held_bytes, 0u);
  stage.broker.abort_hanging();
  ASSERT_TRUE(a.until([&] { return a.last.held_bytes == 0; }));
  EXPECT_EQ(rows(stage).size(), 1u);
}

// Rule 9: each send has a record of its own, a second send after a refusal, too.
TEST_F(fleet_faults, every_send_has_its_own_stored_intent) {
  probe a(stage, "a");
  ASSERT_TRUE(a.ready());
  a.intend(line(1), 1);
  ASSERT_TRUE(a.durable());
  a.intend(line(1), 2);
  ASSERT_TRUE(a.durable());
  std::vector<std::uint32_t> sends;
  for (const auto& r : journal(stage))
    if (const auto* note = std::get_if<attempts_note>(&r.what))
      for (const auto& one : note->attempts) sends.push_back(one.sends);
  EXPECT_EQ(sends, (std::vector<std::uint32_t>{1, 2}));
  stage.broker.down = true;
  a.intend(line(2));
  EXPECT_FALSE(a.until([&] { return a.last.durable.has_value(); })) << "not stored, not durable";
}

// Rule 10: fenced by the broker's own time-out the owner goes on, if the partition is still its.
TEST_F(fleet_faults, a_fence_is_answered_by_what_the_group_says) {
  for (const bool assigned : {true, false}) {
    stage_set alone;
    alone.broker.append(topic::shards, {});
    alone.broker.append(topic::shards, {});
    alone.broker.faults.transaction_timeout = 300ms;
    owner_limits slow;
    slow.commit_after = 1s;
    probe a(alone, "a", "", slow);
    ASSERT_TRUE(a.ready());
    a.answer(line(1));
    ASSERT_TRUE(a.durable());
    a.assigned = assigned;
    ASSERT_TRUE(a.until([&] { return a->counters().fences > 0; }));
    alone.broker.faults.transaction_timeout = 1h;
    if (assigned) {
      ASSERT_TRUE(a.quiet());
      EXPECT_EQ(rows(alone).size(), 1u) << "published again from memory";
      EXPECT_EQ(rows(alone, false).size(), 2u);
    } else {
      EXPECT_EQ(a.state(), owner_state::dropped);
      probe b(alone, "b");
      ASSERT_TRUE(b.ready());
      EXPECT_EQ(b.recovered->salvaged, 1);
    }
  }
}

TEST_F(fleet_faults, an_owner_that_was_succeeded_finds_out_and_lets_go) {
  probe a(stage, "a");
  ASSERT_TRUE(a.ready());
  a.intend(line(1));
  ASSERT_TRUE(a.durable());
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  b.intend(line(1), 2, nano_usd(100));
  ASSERT_TRUE(b.durable());
  a.answer(line(1));
  ASSERT_TRUE(a.until([&] { return a.state() == owner_state::dropped; }));
  ASSERT_TRUE(b.ready()) << "fenced in turn, and still the owner";
  b.answer(line(1), nano_usd(130), "", 2);
  ASSERT_TRUE(b.quiet());
  EXPECT_EQ(rows(stage).size(), 1u);
}

// A predecessor that fenced us back may have stored answers that we have not seen: paid for.
TEST_F(fleet_faults, an_answer_stored_behind_the_take_over_is_not_paid_twice) {
  owner_limits slow;
  slow.commit_after = 1h;
  stage.broker.faults.transaction_timeout = 1h;
  probe a(stage, "a", "", slow);
  ASSERT_TRUE(a.ready());
  a.intend(line(1));
  ASSERT_TRUE(a.durable());
  probe c(stage, "c");
  ASSERT_TRUE(c.ready());
  ASSERT_TRUE(find(*c.recovered, line(1)));
  a.answer(line(1));
  ASSERT_TRUE(a.durable()) << "it opened again and stored it";
  c.intend(line(1), 2, nano_usd(100));
  ASSERT_TRUE(c.until([&] { return c.state() == owner_state::dropped; }));
  probe d(stage, "d");
  ASSERT_TRUE(d.ready());
  EXPECT_EQ(d.recovered->salvaged, 1);
  EXPECT_TRUE(is_done(*d.recovered, line(1)));
}

// A sleeper reads past what its successor stored and did not commit: its index must not say so.
TEST_F(fleet_faults, an_index_of_a_sleeper_leads_to_the_answers_of_its_successor) {
  stage.broker.faults.transaction_timeout = 300ms;
  probe a(stage, "a");
  ASSERT_TRUE(a.ready());
  a.intend(line(1));
  ASSERT_TRUE(a.until([&] { return a->counters().commits == 1; }));
  {
    owner_limits slow;
    slow.commit_after = 1h;
    probe b(stage, "b", "", slow);
    ASSERT_TRUE(b.ready());
    b.intend(line(1), 2, nano_usd(100));
    ASSERT_TRUE(b.durable());
    b.answer(line(1), nano_usd(130), "", 2);
    ASSERT_TRUE(b.durable());
  }
  ASSERT_TRUE(a.index.empty());
  ASSERT_TRUE(a.until([&] { return !a.index.empty(); }));
  ASSERT_EQ(a.state(), owner_state::active) << "it has not noticed";
  ASSERT_EQ(rows(stage, false).size(), 1u);
  ASSERT_GT(decode_index(a.index).value().state.committed_offset, 0) << "it has read past the row";
  probe c(stage, "c", a.index);
  ASSERT_TRUE(c.ready());
  EXPECT_EQ(c->counters().rebuilt, 0u) << "the index counts";
  EXPECT_EQ(c.recovered->salvaged, 1);
  EXPECT_TRUE(is_done(*c.recovered, line(1)));
}

// An end of unknown outcome is never followed by an abort: a new link finds out what became of it.
TEST_F(fleet_faults, an_ambiguous_commit_duplicates_nothing_and_loses_nothing) {
  for (const bool arrives : {true, false}) {
    stage_set alone;
    alone.broker.append(topic::shards, {});
    alone.broker.append(topic::shards, {});
    probe a(alone, "a");
    ASSERT_TRUE(a.ready());
    a.intend(line(1));
    a.answer(line(1));
    ASSERT_TRUE(a.durable());
    (arrives ? alone.broker.faults.lost_reply : alone.broker.faults.lost_request) = 1;
    alone.run(400ms);
    alone.broker.faults = {};
    EXPECT_EQ(rows(alone).size(), arrives ? 1u : 0u);
    ASSERT_TRUE(a.until([&] { return a->counters().reopenings == 1; }));
    ASSERT_TRUE(a.quiet());
    EXPECT_EQ(rows(alone).size(), 1u);
    EXPECT_EQ(rows(alone, false).size(), arrives ? 1u : 2u);
    EXPECT_TRUE(a.reopened.empty());
  }
}

// Rule 12: handed-over calls are waited for, up to LATE_END or 5 s behind their deadlines.
TEST_F(fleet_faults, handed_over_prompts_wait_for_their_answers_or_the_end) {
  probe a(stage, "a");
  ASSERT_TRUE(a.ready());
  for (int i = 1; i <= 4; ++i) a.intend(line(i));
  ASSERT_TRUE(a.durable());
  a->suspend();
  ASSERT_TRUE(a.until([&] { return a.last.handed_over; }));
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  a->leave();
  EXPECT_EQ(b.recovered->held.size(), 4u);
  EXPECT_EQ(find(*b.recovered, line(1))->deaths, 0u) << "nobody died";
  a.answer(line(1), nano_usd(7));
  a.end(line(2));
  ASSERT_TRUE(b.until([&] { return b.settled.size() == 1 && b.reopened.size() == 1; }));
  EXPECT_EQ(b.settled[0].facts.charged, nano_usd(7));
  EXPECT_FALSE(b.reopened[0].in_doubt) << "it ended, and everybody knows how";
  a->close();
  ASSERT_TRUE(a.until([&] { return a.state() == owner_state::closed; }));
  ASSERT_TRUE(b.until([&] { return b.reopened.size() == 3; }));
  EXPECT_TRUE(b.reopened[1].in_doubt);
  EXPECT_EQ(b.reopened[1].history.charged, nano_usd(100));
  ASSERT_TRUE(b.quiet());
  EXPECT_EQ(rows(stage).size(), 1u);
}

TEST_F(fleet_faults, without_an_end_the_deadline_counts) {
  const auto sent = stage.time.now();
  probe a(stage, "a");
  ASSERT_TRUE(a.ready());
  a.intend(line(1));
  ASSERT_TRUE(a.durable());
  a->suspend();
  ASSERT_TRUE(a.until([&] { return a.last.handed_over; }));
  a.muted = true;  // and it is never heard of again
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  const auto until = b.recovered->held.at(0).until;
  EXPECT_GE(until, sent + 10s);
  stage.run(until - stage.time.now() - 1ms);
  EXPECT_TRUE(b.reopened.empty());
  stage.run(500ms);
  ASSERT_EQ(b.reopened.size(), 1u);
  EXPECT_TRUE(b.reopened[0].in_doubt);
}

// Rules 10 and 12: who handed over does not fence its successor, and does not go on behind it.
TEST_F(fleet_faults, who_handed_over_keeps_still_until_it_is_told) {
  probe a(stage, "a");
  ASSERT_TRUE(a.ready());
  a.intend(line(1));
  ASSERT_TRUE(a.durable());
  a->suspend();
  ASSERT_TRUE(a.until([&] { return a.last.handed_over; }));
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  a.fail(link_fault::ambiguous);
  stage.run(3s);
  EXPECT_EQ(a.state(), owner_state::suspended);
  b.intend(line(2));
  ASSERT_TRUE(b.durable());
  EXPECT_EQ(b->counters().fences, 0u);
  a->leave();
  a.answer(line(1), nano_usd(7));
  ASSERT_TRUE(a.durable()) << "`late` needs no open link";
  ASSERT_TRUE(b.until([&] { return b.settled.size() == 1; }));
}

TEST_F(fleet_faults, who_was_succeeded_while_suspended_does_not_resume) {
  probe a(stage, "a");
  ASSERT_TRUE(a.ready());
  a.intend(line(1));
  ASSERT_TRUE(a.durable());
  a->suspend();
  ASSERT_TRUE(a.until([&] { return a.last.handed_over; }));
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  b.answer(line(2), nano_usd(0), "cancelled");  // leaves nothing in the journal
  ASSERT_TRUE(b.quiet());
  stage.run(1s);
  a->resume();
  a.step();
  EXPECT_EQ(a.state(), owner_state::dropped);
  EXPECT_EQ(a.last.message, taken_over);
}

TEST_F(fleet_faults, a_hand_over_that_was_taken_back_is_void) {
  {
    probe a(stage, "a");
    ASSERT_TRUE(a.ready());
    a.intend(line(1));
    ASSERT_TRUE(a.durable());
    a->suspend();
    ASSERT_TRUE(a.until([&] { return a.last.handed_over; }));
    EXPECT_EQ(a.state(), owner_state::suspended);
    a.answer(line(2));
    stage.run(1s);
    EXPECT_TRUE(rows(stage, false).empty()) << "what is appended meanwhile waits";
    a->resume();
    a.step();
    ASSERT_TRUE(a.quiet());
  }
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  EXPECT_TRUE(b.recovered->held.empty());
  EXPECT_EQ(find(*b.recovered, line(1))->deaths, 1u);
}

// Rule 14: an index that outran the log, or is of another one, is none.
TEST_F(fleet_faults, an_index_that_does_not_fit_the_log_is_rebuilt) {
  probe a(stage, "a");
  ASSERT_TRUE(a.ready());
  a.intend(line(1));
  a.answer(line(2));
  ASSERT_TRUE(a.quiet());
  stage.run(2s);
  const auto good = decode_index(a.index).value();
  auto bytes = a.index;
  bytes[bytes.size() / 2] ^= 1;
  auto foreign = good, ahead = good, other = good, results_ahead = good;
  foreign.fleet = "another";
  ahead.journal_offset += 1'000;
  other.journal_crc += 1;
  results_ahead.state.committed_offset += 1'000;
  int n = 0;
  for (const auto& bad : {bytes, encode(foreign), encode(ahead), encode(other),
                          encode(results_ahead), std::string("nonsense")}) {
    probe b(stage, "b" + std::to_string(++n), bad);
    ASSERT_TRUE(b.ready());
    EXPECT_EQ(b->counters().rebuilt, 1u) << n;
    EXPECT_TRUE(is_done(*b.recovered, line(2)));
    EXPECT_TRUE(find(*b.recovered, line(1)));
  }
  probe c(stage, "c", a.index);
  ASSERT_TRUE(c.ready());
  EXPECT_EQ(c->counters().rebuilt, 0u);
  EXPECT_TRUE(is_done(*c.recovered, line(2)));
}

TEST_F(fleet_faults, results_cut_below_a_snapshot_are_counted_anew) {
  owner_limits quick;
  quick.snapshot_after = 200ms;
  {
    probe a(stage, "a", "", quick);
    ASSERT_TRUE(a.ready());
    for (int i = 1; i <= 3; ++i) {
      a.answer(line(i), nano_usd(10));
      ASSERT_TRUE(a.quiet());
    }
    a.intend(line(5));
    stage.run(1s);
    EXPECT_GT(stage.broker.offsets(topic::journal).first, 0);
  }
  const auto second = stage.broker.records(topic::results, 0, INT64_MAX, true).at(1).offset;
  stage.broker.truncate(topic::results, second);
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  EXPECT_EQ(b->counters().rebuilt, 1u);
  EXPECT_TRUE(is_done(*b.recovered, line(1)));
  EXPECT_FALSE(is_done(*b.recovered, line(2)));
  EXPECT_FALSE(is_done(*b.recovered, line(3)));
  EXPECT_TRUE(find(*b.recovered, line(5)));
  EXPECT_EQ(b.recovered->jobs.at(0).answered, 1);
  EXPECT_EQ(b.recovered->jobs.at(0).settled(), nano_usd(10));
}

TEST_F(fleet_faults, prompts_of_shards_that_were_cut_are_forgotten) {
  {
    probe a(stage, "a");
    ASSERT_TRUE(a.ready());
    a.answer(line(3));
    a.answer(line(20));
    a.intend(line(21));
    ASSERT_TRUE(a.quiet());
  }
  stage.broker.truncate(topic::shards, 20);
  probe b(stage, "b");
  ASSERT_TRUE(b.ready());
  EXPECT_TRUE(is_done(*b.recovered, line(3)));
  EXPECT_FALSE(find(*b.recovered, line(21)));
}

TEST_F(fleet_faults, who_has_nothing_to_do_writes_nothing) {
  owner_limits quick;
  quick.snapshot_after = 200ms;
  probe a(stage, "a", "", quick);
  ASSERT_TRUE(a.ready());
  a.answer(line(1));
  ASSERT_TRUE(a.quiet());
  stage.run(5s);
  const auto before = stage.broker.transactions;
  const auto stored = stage.broker.offsets(topic::journal).high_watermark;
  stage.run(1h);
  EXPECT_EQ(stage.broker.transactions, before);
  EXPECT_EQ(stage.broker.offsets(topic::journal).high_watermark, stored);
}

TEST_F(fleet_faults, a_record_of_a_newer_version_stops_the_take_over) {
  record newer;
  newer.value = std::string("\x08\x02", 2);
  stage.broker.append(topic::journal, newer);
  probe a(stage, "a");
  ASSERT_TRUE(a.until([&] { return a.state() == owner_state::stuck; }));
  EXPECT_NE(a.last.message.find("version 2"), std::string::npos) << a.last.message;
  EXPECT_FALSE(a.recovered);
}

}  // namespace
}  // namespace spillway::sim
