#include "connectors/files/state_codec.hpp"

#include <gtest/gtest.h>

#include <random>

namespace spillway::state {
namespace {

using namespace std::chrono_literals;

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

header sample_header() {
  header h;
  h.job = "nightly";
  h.in_doubt = in_doubt_policy::hold;
  h.inputs = {{"a.jsonl", 1'234'567'890'123}, {"ä/b.jsonl", 0}};
  h.residency = {"us", "eu"};
  return h;
}

lane_totals sample_totals() {
  lane_totals t;
  std::int64_t n = 1;
  for (auto* field : {&t.calls, &t.answered, &t.rejected, &t.refused_429, &t.failed, &t.retries,
                      &t.spilled_in, &t.spilled_out, &t.maybe_billed, &t.day, &t.day_requests})
    *field = n++ * 1'000;
  t.input = tokens(90'001);
  t.cached = tokens(90'002);
  t.output = tokens(90'003);
  t.settled = nano_usd(8'000'000'000'000);
  t.day_spend = nano_usd(-7);
  t.by_day.add({20'100, 5, nano_usd(9)});
  t.by_day.add({20'099, 4, nano_usd(7'000'000'000'000)});
  t.latency.count[0] = 5;
  t.latency.count[95] = 6;
  return t;
}

progress sample_progress() {
  progress p;
  p.results = {5'000'000'000, 300, 0xdeadbeef};
  p.errors = {17, 17, 1};
  p.answered = 10'000'000;
  p.failed = 2;
  p.invalid = 3;
  p.totals = {{"azure", "mini", "gpt", sample_totals()}, {"b", "", "", {}}};
  return p;
}

shard_record sample_shard() {
  shard_record s;
  s.where = {.id = shard_id(70'000),
             .file = file_id(1),
             .offset = 99'000'000'000,
             .length = 524'288,
             .first_line = 12'345'678'901,
             .next_line = 12'345'678'905,
             .count = 3,
             .crc = 0xfedcba98};
  s.id_hashes = {0, UINT64_MAX, 42};
  return s;
}

attempt_record sample_attempt() {
  attempt_record a;
  a.where = position(shard_id(70'000), 511);
  a.file = file_id(1);
  a.line = 12'345'678'904;
  a.in_flight = true;
  a.pool = "azure";
  a.lane = "mini";
  a.sends = 4;
  a.attempts = 2;
  a.maybe_billed = 1;
  a.charged = nano_usd(450);
  a.reserved = nano_usd(900);
  a.at = time_point(1'790'000'000s + 5ns);
  return a;
}

void expect_same(const header& a, const header& b) {
  EXPECT_EQ(a.version, b.version);
  EXPECT_EQ(a.job, b.job);
  EXPECT_EQ(a.in_doubt, b.in_doubt);
  EXPECT_EQ(a.inputs, b.inputs);
  EXPECT_EQ(a.residency, b.residency);
}

void expect_same(const row_file_mark& a, const row_file_mark& b) {
  EXPECT_EQ(a.length, b.length);
  EXPECT_EQ(a.last_length, b.last_length);
  EXPECT_EQ(a.last_crc, b.last_crc);
}

void expect_same(const progress& a, const progress& b) {
  expect_same(a.results, b.results);
  expect_same(a.errors, b.errors);
  EXPECT_EQ(a.answered, b.answered);
  EXPECT_EQ(a.failed, b.failed);
  EXPECT_EQ(a.invalid, b.invalid);
  ASSERT_EQ(a.totals.size(), b.totals.size());
  for (std::size_t i = 0; i < a.totals.size(); ++i) {
    const auto &x = a.totals[i].totals, &y = b.totals[i].totals;
    EXPECT_EQ(a.totals[i].pool, b.totals[i].pool);
    EXPECT_EQ(a.totals[i].lane, b.totals[i].lane);
    EXPECT_EQ(a.totals[i].model, b.totals[i].model);
    EXPECT_EQ(x.calls, y.calls);
    EXPECT_EQ(x.answered, y.answered);
    EXPECT_EQ(x.rejected, y.rejected);
    EXPECT_EQ(x.refused_429, y.refused_429);
    EXPECT_EQ(x.failed, y.failed);
    EXPECT_EQ(x.retries, y.retries);
    EXPECT_EQ(x.spilled_in, y.spilled_in);
    EXPECT_EQ(x.spilled_out, y.spilled_out);
    EXPECT_EQ(x.maybe_billed, y.maybe_billed);
    EXPECT_EQ(x.input, y.input);
    EXPECT_EQ(x.cached, y.cached);
    EXPECT_EQ(x.output, y.output);
    EXPECT_EQ(x.settled, y.settled);
    EXPECT_EQ(x.latency.count, y.latency.count);
    EXPECT_EQ(x.day, y.day);
    EXPECT_EQ(x.day_requests, y.day_requests);
    EXPECT_EQ(x.day_spend, y.day_spend);
    EXPECT_EQ(x.by_day, y.by_day);
  }
}

void expect_same(const shard_record& a, const shard_record& b) {
  EXPECT_EQ(a.where.id, b.where.id);
  EXPECT_EQ(a.where.file, b.where.file);
  EXPECT_EQ(a.where.offset, b.where.offset);
  EXPECT_EQ(a.where.length, b.where.length);
  EXPECT_EQ(a.where.first_line, b.where.first_line);
  EXPECT_EQ(a.where.next_line, b.where.next_line);
  EXPECT_EQ(a.where.count, b.where.count);
  EXPECT_EQ(a.where.crc, b.where.crc);
  EXPECT_EQ(a.id_hashes, b.id_hashes);
}

void expect_same(const attempt_record& a, const attempt_record& b) {
  EXPECT_EQ(a.where, b.where);
  EXPECT_EQ(a.file, b.file);
  EXPECT_EQ(a.line, b.line);
  EXPECT_EQ(a.in_flight, b.in_flight);
  EXPECT_EQ(a.pool, b.pool);
  EXPECT_EQ(a.lane, b.lane);
  EXPECT_EQ(a.sends, b.sends);
  EXPECT_EQ(a.attempts, b.attempts);
  EXPECT_EQ(a.maybe_billed, b.maybe_billed);
  EXPECT_EQ(a.charged, b.charged);
  EXPECT_EQ(a.reserved, b.reserved);
  EXPECT_EQ(a.at, b.at);
}

TEST(state_codec, records_survive_their_bytes) {
  expect_same(decode_header(encode(sample_header())).value(), sample_header());
  header open;
  expect_same(decode_header(encode(open)).value(), open);
  header nowhere;
  nowhere.residency = std::vector<std::string>{};
  nowhere.job = nowhere.inputs.emplace_back("caf\xe9.jsonl", 1).first;  // names need not be UTF-8
  expect_same(decode_header(encode(nowhere)).value(), nowhere);
  expect_same(decode_progress(encode(sample_progress())).value(), sample_progress());
  expect_same(decode_progress(encode(progress{})).value(), progress{});
  expect_same(decode_shard(shard_id(70'000), encode(sample_shard())).value(), sample_shard());
  const std::vector two{sample_attempt(), attempt_record{}};
  const auto back = decode_journal(encode(two)).value();
  ASSERT_EQ(back.size(), 2u);
  expect_same(back[0], two[0]);
  expect_same(back[1], two[1]);
  EXPECT_TRUE(decode_journal("").value().empty());
  shard_bits bits;
  for (const std::uint32_t i : {0u, 63u, 64u, 511u}) bits.set(i);
  EXPECT_EQ(decode_done(encode(bits)).value().bytes(), bits.bytes());
  EXPECT_EQ(decode_done(encode(shard_bits{})).value().count(), 0u);
}

// Bytes written by the first version of the format: every later version has to read them.
/// Records of before had no costs by day.
auto progress_of_before(auto progress) {
  for (auto& entry : progress.totals) entry.totals.by_day = {};
  return progress;
}

TEST(state_codec, reads_what_earlier_versions_wrote) {
  expect_same(
      decode_header(
          from_hex(
              "080112076e696768746c791a04686f6c6422100a07612e6a736f6e6c10cb89ec8ff723220c0a0ac3a42f"
              "622e6a736f6e6c28013202757332026575"))
          .value(),
      sample_header());
  expect_same(
      decode_progress(
          from_hex(
              "0a0f0880e497d01210ac0218effdb6f50d12060811101118011880ade2042002280332b9010a05617a75"
              "726512046d696e691a0367707420e80728d00f30b81738a01f40882748f02e50d83658c03e60a8466891"
              "bf057092bf057893bf0580018080a2a9eae8018a01600500000000000000000000000000000000000000"
              "000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
              "000000000000000000000000000000000000000000000000000000000000000000069001904e9801f855"
              "a001f9ffffffffffffffff0132660a01628a016000000000000000000000000000000000000000000000"
              "000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
              "0000000000000000000000000000000000000000000000000000000000000000"))
          .value(),
      progress_of_before(sample_progress()));
  expect_same(
      decode_shard(
          shard_id(70'000),
          from_hex(
              "08011080bcf0e6f0021880802020b5b8f0fe2d28b9b8f0fe2d30033d98badcfe42180000000000000000"
              "ffffffffffffffff2a00000000000000"))
          .value(),
      sample_shard());
  const auto attempts =
      decode_journal(
          from_hex(
              "0a3208ffc38b11100118b8b8f0fe2d20012a05617a75726532046d696e6938044002480150c203588407"
              "608580cc9fc2f0d6eb18"))
          .value();
  ASSERT_EQ(attempts.size(), 1u);
  expect_same(attempts[0], sample_attempt());
  EXPECT_EQ(decode_done(from_hex("0a03010080")).value().bytes(), std::string("\1\0\x80", 3));
}

TEST(state_codec, damaged_records_are_storage_failures) {
  const std::string bad = "\xff\xff\xff";
  for (const auto kind :
       {decode_header(bad).error().kind, decode_header("").error().kind,
        decode_progress(bad).error().kind, decode_shard(shard_id(0), bad).error().kind,
        decode_done(bad).error().kind, decode_journal(bad).error().kind})
    EXPECT_EQ(kind, failure_kind::storage);

  auto hashless = sample_shard();
  hashless.id_hashes.pop_back();
  EXPECT_FALSE(decode_shard(shard_id(0), encode(hashless)));
  auto too_many = sample_shard();
  too_many.where.count = shard_prompts_max + 1;
  too_many.id_hashes.assign(shard_prompts_max + 1, 1);
  EXPECT_FALSE(decode_shard(shard_id(0), encode(too_many)));
  auto impossible = sample_progress();
  impossible.errors.last_length = 18;
  EXPECT_FALSE(decode_progress(encode(impossible)));
  EXPECT_FALSE(decode_done("\x0a\x41" + std::string(65, 'x')));
}

TEST(state_codec, cut_records_never_crash) {
  const auto journal = encode(std::vector(3, sample_attempt()));
  for (std::size_t n = 0; n < journal.size(); ++n) {
    const auto back = decode_journal(journal.substr(0, n));
    if (back) {
      EXPECT_LT(back->size(), 3u);
    }
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 5'000; ++i) {
    std::string noise(random() % 60, '\0');
    for (auto& c : noise) c = static_cast<char>(random() & 0x7f);
    (void)decode_header(noise);
    (void)decode_progress(noise);
    (void)decode_shard(shard_id(0), noise);
    (void)decode_done(noise);
    (void)decode_journal(noise);
  }
}

TEST(state_codec, keys_sort_like_their_numbers) {
  EXPECT_EQ(shard_key(shard_id(258)), std::string("s\0\0\1\2", 5));
  EXPECT_EQ(done_key(shard_id(1)), std::string("d\0\0\0\1", 5));
  std::mt19937_64 random(2);
  for (int i = 0; i < 2'000; ++i) {
    const auto a = random() >> (random() % 64), b = random() >> (random() % 64);
    EXPECT_EQ(a < b, journal_key(a) < journal_key(b));
    EXPECT_EQ(journal_sequence(journal_key(a)), a);
    const shard_id x(static_cast<std::uint32_t>(a)), y(static_cast<std::uint32_t>(b));
    EXPECT_EQ(x < y, shard_key(x) < shard_key(y));
  }
}

}  // namespace
}  // namespace spillway::state
