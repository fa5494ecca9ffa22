#include "connectors/kafka/fleet_codec_jobs.hpp"

#include "connectors/files/checksum.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::kafka {
namespace {

using testing::ElementsAre;

std::string unhex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    out += static_cast<char>(digit(text[i]) << 4 | digit(text[i + 1]));
  return out;
}

time_point at(std::int64_t ms) { return time_point(std::chrono::milliseconds(ms)); }

job_policy a_policy() {
  job_policy p;
  p.tenant = "t";
  p.weight = 3;
  p.priority = -2;
  p.routes.lanes = {"a", "b/c"};
  p.deadline = at(1'700'000'000'000);
  p.keep = std::chrono::hours(48);
  p.order = lane_order::latency;
  p.residency = {"eu"};
  p.budget = from_usd(2.5);
  p.in_doubt = in_doubt_policy::hold;
  p.max_attempts = 4;
  p.max_error_rate = 0.5;
  p.stall_timeout = std::chrono::minutes(5);
  return p;
}

void expect_same(const job_policy& a, const job_policy& b) {
  EXPECT_EQ(a.tenant, b.tenant);
  EXPECT_EQ(a.weight, b.weight);
  EXPECT_EQ(a.priority, b.priority);
  EXPECT_EQ(a.routes, b.routes);
  EXPECT_EQ(a.deadline, b.deadline);
  EXPECT_EQ(a.keep, b.keep);
  EXPECT_EQ(a.order, b.order);
  EXPECT_EQ(a.residency, b.residency);
  EXPECT_EQ(a.budget, b.budget);
  EXPECT_EQ(a.in_doubt, b.in_doubt);
  EXPECT_EQ(a.max_attempts, b.max_attempts);
  EXPECT_EQ(a.max_error_rate, b.max_error_rate);
  EXPECT_EQ(a.stall_timeout, b.stall_timeout);
}

manifest_record a_manifest() {
  manifest_record m;
  m.job = "night";
  m.submission = "s1";
  m.policy = a_policy();
  m.shards = 2;
  m.prompts = 5;
  m.checksum = 0x0102030405060708ull;
  m.partitions = {{1, 2, 5, 10, 12}};
  m.files = {"in.jsonl"};
  m.created = at(1'700'000'000'123);
  return m;
}

TEST(fleet_codec, manifests_and_policies_come_back) {
  const auto in = a_manifest();
  const auto out = std::get<manifest_record>(decode_manifest(encode(in)));
  EXPECT_EQ(out.job, in.job);
  EXPECT_EQ(out.submission, in.submission);
  EXPECT_EQ(out.checksum, in.checksum);
  EXPECT_EQ(out.partitions, in.partitions);
  EXPECT_EQ(out.files, in.files);
  EXPECT_EQ(out.created, in.created);
  expect_same(out.policy, in.policy);
  manifest_record empty;
  expect_same(std::get<manifest_record>(decode_manifest(encode(empty))).policy, job_policy{});
}

/// Bytes that stand on logs: what they mean must not change.
TEST(fleet_codec, stored_manifests_are_read) {
  const auto out = std::get<manifest_record>(decode_manifest(
      unhex("080112056e696768741a027331224e0a0174100318feffffffffffffffff0122076c6174656e6379"
            "2801320265753880f28ba8094204686f6c64480451000000000000e03f58e0a7126080d095ffbc31"
            "6a01616a03622f637080f0b252300238054108070605040302014a0a080110021805200a280c5208"
            "696e2e6a736f6e6c58fbd095ffbc31")));
  const auto expected = a_manifest();
  EXPECT_EQ(out.job, expected.job);
  EXPECT_EQ(out.submission, expected.submission);
  EXPECT_EQ(out.prompts, expected.prompts);
  EXPECT_EQ(out.checksum, expected.checksum);
  EXPECT_EQ(out.partitions, expected.partitions);
  EXPECT_EQ(out.files, expected.files);
  EXPECT_EQ(out.created, expected.created);
  expect_same(out.policy, expected.policy);
}

job_policy a_route_policy() {
  job_policy p;
  p.weight = 3;
  p.order = lane_order::weights;
  p.routes.lanes = {"a", "b/c"};
  p.routes.pools = {"a", "b"};
  p.routes.deny_lanes = {"b/d"};
  p.routes.deny_pools = {"z"};
  p.routes.providers = {"bedrock"};
  p.routes.regions = {"eu-west-1"};
  p.routes.data_classes = {"no-train", "on-prem-only"};
  p.routes.models = {{"fast", "gpt-5.4-mini"}};
  p.routes.unmappable = unmappable_policy::drop;
  p.routes.weights = {{"a", 7}, {"b/c", 1}};
  return p;
}

/// Written by protoc.
TEST(fleet_codec, stored_manifests_with_routes_are_read) {
  const auto out = std::get<manifest_record>(decode_manifest(
      unhex("080212056e696768741a02733122830110032207776569676874736a01616a03622f637a01617a"
            "0162820103622f648a01017a920107626564726f636b9a010965752d776573742d31a201086e6f"
            "2d747261696ea2010c6f6e2d7072656d2d6f6e6c79aa01140a0466617374120c6770742d352e34"
            "2d6d696e69b2010464726f70ba01050a01611007ba01070a03622f631001300238055805")));
  EXPECT_EQ(out.job, "night");
  expect_same(out.policy, a_route_policy());
}

TEST(fleet_codec, members_that_do_not_know_a_restriction_refuse_its_job) {
  const auto version = [](const job_policy& p) {
    manifest_record m;
    m.policy = p;
    command_record c;
    c.kind = command_kind::policy;
    c.policy = p;
    const auto manifest = encode(m), command = encode(c);
    EXPECT_EQ(manifest[1], command[1]);
    return manifest[1];  // field 1 comes first
  };
  EXPECT_EQ(version({}), 1);
  EXPECT_EQ(version(a_policy()), 1) << "lanes and residency were known from the start";
  EXPECT_EQ(version(a_route_policy()), 2);
  for (const auto list :
       {&route_policy::pools, &route_policy::deny_lanes, &route_policy::deny_pools,
        &route_policy::providers, &route_policy::regions, &route_policy::data_classes}) {
    job_policy p;
    (p.routes.*list) = {"x"};
    EXPECT_EQ(version(p), 2);
    command_record c;
    c.job = "j";
    c.id = "1";
    c.kind = command_kind::policy;
    c.policy = p;
    expect_same(*std::get<command_record>(decode_command(encode(c))).policy, p);
  }
}

TEST(fleet_codec, stored_submissions_and_commands_are_read) {
  const auto s = std::get<submission_record>(decode_submission(
      unhex("080112016a1a01732109000000000000002803301e3a061003181e280440054801")));
  EXPECT_EQ(s.checksum, 9u);
  EXPECT_EQ(s.shards, 3u);
  EXPECT_EQ(s.prompts, 30u);
  EXPECT_THAT(s.partitions, ElementsAre(partition_count{0, 3, 30, 0, 4}));
  EXPECT_EQ(s.started, at(5));
  EXPECT_TRUE(s.abandoned);
  const auto c =
      std::get<command_record>(decode_command(unhex("080112016a1a026331200428013201783201794805")));
  EXPECT_EQ(c.id, "c1");
  EXPECT_EQ(c.kind, command_kind::retry);
  EXPECT_TRUE(c.in_doubt_only);
  EXPECT_THAT(c.codes, ElementsAre("x", "y"));
}

TEST(fleet_codec, stored_finals_and_progress_are_read) {
  const auto f = std::get<final_record>(
      decode_final(unhex("080112016a1a0963616e63656c6c65642005280130043801400248115803604d")));
  EXPECT_EQ(f.outcome, job_outcome::cancelled);
  EXPECT_EQ(f.prompts, 5u);
  EXPECT_EQ(f.answered, 1u);
  EXPECT_EQ(f.errors, 4u);
  EXPECT_EQ(f.invalid, 1u);
  EXPECT_EQ(f.maybe_billed, 2u);
  EXPECT_EQ(f.settled, nano_usd(17));
  EXPECT_EQ(f.finished, at(77));
  const auto p = std::get<progress_record>(decode_progress(
      unhex("080112016a180322016d28063009380840054802500158016804701178038201066275646765748a"
            "010377687998010b")));
  EXPECT_EQ(p.partition, 3u);
  EXPECT_EQ(p.read_to, 9);
  EXPECT_EQ(p.prompts, 8);
  EXPECT_EQ(p.answered, 5);
  EXPECT_EQ(p.errors, 2);
  EXPECT_EQ(p.reserved, nano_usd(3));
  EXPECT_EQ(p.condition, "budget");
  EXPECT_EQ(p.jobs_to, 11);
}

TEST(fleet_codec, commands_finals_and_progress_come_back) {
  command_record c;
  c.job = "j";
  c.id = "c1";
  c.in_doubt_only = true;
  c.codes = {"http_500"};
  c.end_offsets = {1, 0, 7};
  c.policy = a_policy();
  c.at = at(5);
  for (const auto kind : {command_kind::pause, command_kind::resume, command_kind::cancel,
                          command_kind::retry, command_kind::close, command_kind::policy}) {
    c.kind = kind;
    const auto out = std::get<command_record>(decode_command(encode(c)));
    EXPECT_EQ(out.kind, kind);
    EXPECT_EQ(out.end_offsets, c.end_offsets);
    EXPECT_EQ(out.codes, c.codes);
    EXPECT_TRUE(out.in_doubt_only);
    expect_same(*out.policy, *c.policy);
  }
  progress_record p;
  p.job = "j";
  p.partition = 3;
  p.read_to = 9;
  p.jobs_to = 11;
  p.answered = 5;
  p.settled = nano_usd(17);
  named_totals lane{"p", "l", "m", {}};
  lane.totals.calls = 8;
  lane.totals.latency.count[4] = 2;
  p.lanes = {lane};
  const auto back = std::get<progress_record>(decode_progress(encode(p)));
  EXPECT_EQ(back.jobs_to, 11);
  EXPECT_EQ(back.settled, nano_usd(17));
  ASSERT_EQ(back.lanes.size(), 1u);
  EXPECT_EQ(back.lanes[0].totals.latency.count[4], 2);
  final_record f;
  f.job = "j";
  f.outcome = job_outcome::cancelled;
  f.errors = 4;
  f.invalid = 1;
  f.finished = at(77);
  const auto final = std::get<final_record>(decode_final(encode(f)));
  EXPECT_EQ(final.outcome, job_outcome::cancelled);
  EXPECT_EQ(final.errors, 4u);
  EXPECT_EQ(final.finished, at(77));
}

TEST(fleet_codec, keys) {
  command_record c;
  c.job = "a.b-c_d";
  c.id = "17";
  const auto key = parse_jobs_key(key_of(c));
  ASSERT_TRUE(key);
  EXPECT_EQ(key->kind, jobs_key_kind::command);
  EXPECT_EQ(key->job, c.job);
  EXPECT_EQ(key->command, "17");
  for (const char* bad : {"", "job", "job/", "jobs/a", "job/a b", "job/a/b", "command/a",
                          "command/a/", "command//x", "final/..", "submission/ä"})
    EXPECT_FALSE(parse_jobs_key(bad)) << bad;
}

TEST(fleet_codec, shards_come_back_and_damage_is_found) {
  const std::string lines = "{\"a\":1}\n{\"b\":2}\n";
  shard_lines in;
  in.job = "j";
  in.submission = "s";
  in.file = "in.jsonl";
  in.first_line = 7;
  in.next_line = 9;
  in.count = 2;
  const auto r = record_of(in, lines, crc_of(lines));
  EXPECT_EQ(r.header("spillway-format"), "shard/1");
  EXPECT_EQ(r.header("job"), "j");
  const auto out = std::get<shard_lines>(decode_shard(r.value));
  EXPECT_EQ(out.lines, lines);
  EXPECT_EQ(out.count, 2u);
  EXPECT_EQ(out.first_line, 7u);
  EXPECT_EQ(out.next_line, 9u);
  EXPECT_EQ(out.file, "in.jsonl");
  const auto code = [](const std::string& bytes) {
    const auto decoded_shard = decode_shard(bytes);
    const auto* fault = std::get_if<record_fault>(&decoded_shard);
    return fault ? fault->code : "";
  };
  auto damaged = r.value;
  damaged[damaged.size() - 3] ^= 1;
  EXPECT_EQ(code(damaged), "damaged");
  EXPECT_EQ(code("junk"), "unparsable");
  EXPECT_EQ(code(""), "unparsable");
  auto newer = r.value;
  newer[1] = 9;
  EXPECT_EQ(code(newer), "unknown_version");
  in.count = 513;
  EXPECT_EQ(code(record_of(in, lines, crc_of(lines)).value), "too_large");
}

TEST(fleet_codec, stored_shards_are_read) {
  const auto out = std::get<shard_lines>(decode_shard(
      unhex("080112016a1a01732208696e2e6a736f6e6c28073009380245c8b2ce9f4a107b2261223a317d0a7b"
            "2262223a327d0a")));
  EXPECT_EQ(out.job, "j");
  EXPECT_EQ(out.submission, "s");
  EXPECT_EQ(out.file, "in.jsonl");
  EXPECT_EQ(out.first_line, 7u);
  EXPECT_EQ(out.count, 2u);
  EXPECT_EQ(out.lines, "{\"a\":1}\n{\"b\":2}\n");
}

TEST(fleet_codec, dead_letters_keep_everything) {
  dead_letter in;
  in.from = topic::jobs;
  in.partition = 2;
  in.offset = 9;
  in.what = {
      std::string("k\0y", 3), std::string("\xff\0", 2), false, {{"job", "j"}, {"x", "\x01"}}};
  in.code = "unparsable";
  in.message = "m";
  in.member = "a";
  in.at = at(4);
  const auto out = std::get<dead_letter>(decode_dead_letter(encode(in)));
  EXPECT_EQ(out.from, topic::jobs);
  EXPECT_EQ(out.what.key, in.what.key);
  EXPECT_EQ(out.what.value, in.what.value);
  EXPECT_EQ(out.what.headers, in.what.headers);
  EXPECT_EQ(out.code, "unparsable");
}

TEST(fleet_codec, fleet) {
  const auto r = record_of(fleet_identity{"u", 8, at(1)});
  EXPECT_EQ(r.key, "fleet");
  EXPECT_EQ(std::get<fleet_identity>(decode_fleet(r.value)).partitions, 8u);
}

}  // namespace
}  // namespace spillway::kafka
