#include "tests/unit/fleet_bytes.hpp"
#include "tests/unit/fleet_samples.hpp"

#include <gtest/gtest.h>

#include <random>

namespace spillway::kafka {
namespace {

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

void expect_same(const result_facts& a, const result_facts& b) {
  EXPECT_EQ(a.where, b.where);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.job, b.job);
  EXPECT_EQ(a.pool, b.pool);
  EXPECT_EQ(a.lane, b.lane);
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.code, b.code);
  EXPECT_EQ(a.usage.known, b.usage.known);
  EXPECT_EQ(a.usage.input, b.usage.input);
  EXPECT_EQ(a.usage.cached, b.usage.cached);
  EXPECT_EQ(a.usage.output, b.usage.output);
  EXPECT_EQ(a.charged, b.charged);
  EXPECT_EQ(a.sends, b.sends);
  EXPECT_EQ(a.maybe_billed, b.maybe_billed);
  EXPECT_EQ(a.done_at, b.done_at);
}

void expect_same(const fleet_attempt& a, const fleet_attempt& b) {
  EXPECT_EQ(a.where, b.where);
  EXPECT_EQ(a.job, b.job);
  EXPECT_EQ(a.pool, b.pool);
  EXPECT_EQ(a.lane, b.lane);
  EXPECT_EQ(a.in_flight, b.in_flight);
  EXPECT_EQ(a.sends, b.sends);
  EXPECT_EQ(a.attempts, b.attempts);
  EXPECT_EQ(a.maybe_billed, b.maybe_billed);
  EXPECT_EQ(a.charged, b.charged);
  EXPECT_EQ(a.reserved, b.reserved);
  EXPECT_EQ(a.at, b.at);
  EXPECT_EQ(a.deadline, b.deadline);
  EXPECT_EQ(a.deaths, b.deaths);
}

void expect_same(const snapshot& a, const snapshot& b) {
  EXPECT_EQ(a.results_offset, b.results_offset);
  EXPECT_EQ(a.committed_offset, b.committed_offset);
  EXPECT_EQ(a.late_offset, b.late_offset);
  EXPECT_EQ(a.watermark, b.watermark);
  EXPECT_EQ(a.applied, b.applied);
  EXPECT_EQ(a.generations, b.generations);
  ASSERT_EQ(a.done.size(), b.done.size());
  for (std::size_t i = 0; i < a.done.size(); ++i) {
    EXPECT_EQ(a.done[i].base, b.done[i].base);
    EXPECT_EQ(a.done[i].line_records, b.done[i].line_records);
    EXPECT_EQ(a.done[i].done.bytes(), b.done[i].done.bytes());
    ASSERT_EQ(a.done[i].failed.size(), b.done[i].failed.size());
    for (std::size_t n = 0; n < a.done[i].failed.size(); ++n) {
      EXPECT_EQ(a.done[i].failed[n].bit, b.done[i].failed[n].bit);
      EXPECT_EQ(a.done[i].failed[n].job, b.done[i].failed[n].job);
      EXPECT_EQ(a.done[i].failed[n].code, b.done[i].failed[n].code);
    }
  }
  ASSERT_EQ(a.attempts.size(), b.attempts.size());
  for (std::size_t i = 0; i < a.attempts.size(); ++i) expect_same(a.attempts[i], b.attempts[i]);
  ASSERT_EQ(a.jobs.size(), b.jobs.size());
  for (std::size_t i = 0; i < a.jobs.size(); ++i) {
    EXPECT_EQ(a.jobs[i].job, b.jobs[i].job);
    EXPECT_EQ(a.jobs[i].answered, b.jobs[i].answered);
    EXPECT_EQ(a.jobs[i].errors, b.jobs[i].errors);
    EXPECT_EQ(a.jobs[i].invalid, b.jobs[i].invalid);
    EXPECT_EQ(a.jobs[i].finished_charge, b.jobs[i].finished_charge);
    ASSERT_EQ(a.jobs[i].lanes.size(), b.jobs[i].lanes.size());
    for (std::size_t n = 0; n < a.jobs[i].lanes.size(); ++n) {
      EXPECT_EQ(a.jobs[i].lanes[n].pool, b.jobs[i].lanes[n].pool);
      EXPECT_EQ(a.jobs[i].lanes[n].totals.calls, b.jobs[i].lanes[n].totals.calls);
      EXPECT_EQ(a.jobs[i].lanes[n].totals.settled, b.jobs[i].lanes[n].totals.settled);
    }
  }
  ASSERT_EQ(a.hand_overs.size(), b.hand_overs.size());
  for (std::size_t i = 0; i < a.hand_overs.size(); ++i) {
    EXPECT_EQ(a.hand_overs[i].session, b.hand_overs[i].session);
    ASSERT_EQ(a.hand_overs[i].open.size(), b.hand_overs[i].open.size());
    for (std::size_t n = 0; n < a.hand_overs[i].open.size(); ++n)
      expect_same(a.hand_overs[i].open[n], b.hand_overs[i].open[n]);
  }
}

template <class What>
What journal_of(std::string_view hex) {
  const auto r = decode_journal_record(from_hex(hex)).value();
  EXPECT_EQ(r.session, "s1");
  return std::get<What>(r.what);
}

TEST(fleet_codec, reads_what_the_first_version_wrote) {
  expect_same(decode_facts(from_hex(stored::facts_v1)).value(), samples::facts());
  (void)journal_of<opened_note>(stored::opened_v1);
  (void)journal_of<resumed_note>(stored::resumed_v1);
  const auto attempts = journal_of<attempts_note>(stored::attempts_v1).attempts;
  ASSERT_EQ(attempts.size(), 1u);
  expect_same(attempts[0], samples::attempt());
  expect_same(journal_of<snapshot>(stored::snapshot_v1), samples::whole());
  const auto open = journal_of<hand_over_note>(stored::hand_over_v1).open;
  ASSERT_EQ(open.size(), 1u);
  expect_same(open[0], samples::attempt());
  const auto applied = journal_of<applied_note>(stored::applied_v1);
  EXPECT_EQ(applied.command, "nightly/c1");
  EXPECT_EQ(applied.reopened, (std::vector<place>{{600, 0, true, 1}}));

  const auto late = decode_late(from_hex(stored::late_result_v1)).value();
  EXPECT_EQ(late.session, "s1");
  expect_same(std::get<result_facts>(late.what), samples::facts());
  expect_same(std::get<fleet_attempt>(decode_late(from_hex(stored::late_ended_v1)).value().what),
              samples::attempt());
  const auto end = decode_late(from_hex(stored::late_end_v1)).value();
  EXPECT_TRUE(std::holds_alternative<late_end>(end.what));

  const auto index = decode_index(from_hex(stored::index_v1)).value();
  EXPECT_EQ(index.fleet, "uuid");
  EXPECT_EQ(index.partition, 3u);
  EXPECT_EQ(index.journal_offset, 99);
  EXPECT_EQ(index.journal_crc, 0xdeadbeef);
  expect_same(index.state, samples::whole());
}

/// The records that have no values of their own: field by field, by writing them again.
template <class Message>
void expect_stored(std::string_view hex, const Message& expected) {
  Message read;
  ASSERT_TRUE(read.ParseFromString(from_hex(hex)));
  EXPECT_EQ(read.version(), 1u);
  EXPECT_EQ(read.SerializeAsString(), expected.SerializeAsString()) << read.GetTypeName();
  // Fields of later versions are skipped.
  Message more;
  ASSERT_TRUE(more.ParseFromString(from_hex(hex) + from_hex("a2bb03036e6577")));
  EXPECT_EQ(more.version(), 1u);
}

TEST(fleet_codec, reads_the_first_version_of_every_other_record) {
  expect_stored(stored::shard_v1, samples::shard());
  expect_stored(stored::dead_v1, samples::dead());
  expect_stored(stored::submission_v1, samples::submission());
  expect_stored(stored::manifest_v1, samples::manifest());
  expect_stored(stored::command_v1, samples::command());
  expect_stored(stored::final_v1, samples::final_record());
  expect_stored(stored::progress_v1, samples::progress());
  expect_stored(stored::fleet_v1, samples::fleet_record());
  expect_stored(stored::lease_v1, samples::lease());
}

TEST(fleet_codec, skips_fields_it_does_not_know) {
  const auto unknown = from_hex("a2bb03036e6577");  // field 7092, three bytes
  EXPECT_TRUE(decode_facts(from_hex(stored::facts_v1) + unknown));
  EXPECT_TRUE(decode_journal_record(from_hex(stored::snapshot_v1) + unknown));
  EXPECT_TRUE(decode_late(from_hex(stored::late_end_v1) + unknown));
  EXPECT_TRUE(decode_index(from_hex(stored::index_v1) + unknown));
}

TEST(fleet_codec, refuses_newer_versions_and_says_so) {
  const auto two = from_hex("0802");  // the last `version` counts
  for (const auto& message :
       {decode_facts(from_hex(stored::facts_v1) + two).error().message,
        decode_journal_record(from_hex(stored::attempts_v1) + two).error().message,
        decode_late(from_hex(stored::late_end_v1) + two).error().message,
        decode_index(from_hex(stored::index_v1) + two).error().message}) {
    EXPECT_NE(message.find("version 2"), std::string::npos) << message;
    EXPECT_NE(message.find("upgrade"), std::string::npos) << message;
  }
}

TEST(fleet_codec, refuses_what_makes_no_sense) {
  for (const std::string_view bad : {"", "\xff\xff", "\x08\x01"}) {
    EXPECT_FALSE(decode_journal_record(bad));
    EXPECT_FALSE(decode_late(bad));
    EXPECT_FALSE(decode_index(bad));
  }
  EXPECT_FALSE(decode_facts(""));
  auto far = samples::facts();
  far.where.index = 512;
  EXPECT_FALSE(decode_facts(encode(far)));
  auto negative = samples::facts();
  negative.where.offset = -1;
  EXPECT_FALSE(decode_facts(encode(negative)));
  auto twofold = samples::facts();
  twofold.where.line_record = true;
  EXPECT_FALSE(decode_facts(encode(twofold)));
  auto ahead = samples::whole();
  ahead.results_offset = ahead.committed_offset + 1;
  EXPECT_FALSE(decode_journal_record(encode(journal_record{"s", {ahead}})));
  auto undone = samples::whole();
  undone.done[0].done = {};
  EXPECT_FALSE(decode_journal_record(encode(journal_record{"s", {undone}})));
}

TEST(fleet_codec, a_flipped_bit_of_the_index_is_found) {
  const auto good = encode(samples::index_record());
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 4;
    const auto read = decode_index(bad);
    if (!read) continue;
    // Only what the owner compares with the log by itself may get through.
    ++accepted;
    expect_same(read->state, samples::whole());
  }
  EXPECT_LT(accepted, 30u);
}

TEST(fleet_codec, cut_and_random_bytes_never_crash) {
  const auto whole = encode(journal_record{"s", {samples::whole()}});
  for (std::size_t n = 0; n < whole.size(); ++n) (void)decode_journal_record(whole.substr(0, n));
  std::mt19937_64 random(1);
  for (int i = 0; i < 5'000; ++i) {
    std::string noise(random() % 60, '\0');
    for (auto& c : noise) c = static_cast<char>(random() & 0x7f);
    (void)decode_facts(noise);
    (void)decode_journal_record(noise);
    (void)decode_late(noise);
    (void)decode_index(noise);
  }
}

TEST(fleet_codec, result_records_can_be_read_without_spillway) {
  const auto r = result_record({"nightly/x", "{\"custom_id\":\"x\"}\n", samples::facts()});
  EXPECT_EQ(r.key, "nightly/x");
  EXPECT_EQ(r.value, "{\"custom_id\":\"x\"}\n");
  EXPECT_EQ(r.header("job"), "nightly");
  EXPECT_EQ(r.header("kind"), "failed");
  expect_same(decode_facts(*r.header(facts_header)).value(), samples::facts());
}

}  // namespace
}  // namespace spillway::kafka
