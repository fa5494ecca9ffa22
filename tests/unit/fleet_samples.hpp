// One value of each of the fleet's records, with every field set.
#pragma once

#include "connectors/kafka/codec.hpp"
#include "schemas/fleet_job.pb.h"
#include "schemas/fleet_journal.pb.h"
#include "schemas/fleet_shard.pb.h"

namespace spillway::kafka::samples {

namespace pb = spillway::fleet::v1;

inline time_point at_ms(std::int64_t ms) { return time_point(std::chrono::milliseconds(ms)); }

inline result_facts facts() {
  result_facts f;
  f.where = {5'000'000'000, 511, false, 3};
  f.kind = row_kind::failed;
  f.job = "nightly";
  f.pool = "azure";
  f.lane = "mini";
  f.model = "gpt";
  f.code = "in_doubt";
  f.usage = {true, tokens(100), tokens(40), tokens(7)};
  f.charged = nano_usd(123'456'789);
  f.sends = 4;
  f.maybe_billed = 1;
  f.done_at = at_ms(1'790'000'000'123);
  return f;
}

inline fleet_attempt attempt() {
  fleet_attempt a;
  a.where = {5'000'000'001, 0, true, 0};
  a.job = "nightly";
  a.pool = "azure";
  a.lane = "mini";
  a.in_flight = true;
  a.sends = 3;
  a.attempts = 2;
  a.maybe_billed = 1;
  a.charged = nano_usd(450);
  a.reserved = nano_usd(900);
  a.at = at_ms(1'790'000'000'001);
  a.deadline = at_ms(1'790'000'600'001);
  a.deaths = 2;
  return a;
}

inline snapshot whole() {
  snapshot s;
  s.results_offset = 70;
  s.committed_offset = 77;
  s.late_offset = 8;
  s.watermark = 512;
  done_rows rows;
  rows.base = 512;
  rows.line_records = true;
  for (const std::uint32_t bit : {0u, 9u, 511u}) rows.done.set(bit);
  rows.failed = {{9, "nightly", "in_doubt"}, {511, "nightly", "bad"}};
  s.done = {rows};
  s.attempts = {attempt()};
  s.applied = {"nightly/c1"};
  job_state job{"nightly", 5, 2, 1, nano_usd(1'000), nano_usd(0), {}, {}};
  job.lanes = {{"azure", "mini", "gpt", {}}};
  job.lanes[0].totals.calls = 9;
  job.lanes[0].totals.settled = nano_usd(1'450);
  job.days = {{20'717, 3, 1}, {20'718, 70, 512}};
  s.jobs = {job};
  s.generations = {{600, 0, true, 1}};
  s.hand_overs = {{"s1", {attempt()}}};
  return s;
}

inline local_index index_record() { return {"uuid", 3, 99, 0xdeadbeef, whole()}; }

inline pb::Shard shard() {
  pb::Shard m;
  m.set_version(1);
  m.set_job("nightly");
  m.set_submission("s-1");
  m.set_file("a.jsonl");
  m.set_first_line(12'345'678'901);
  m.set_next_line(12'345'678'903);
  m.set_count(2);
  m.set_crc(0xfedcba98);
  m.set_lines("{}\n{}\n");
  m.mutable_envelope()->set_key_id("k");
  m.mutable_envelope()->set_cipher("aes-256-gcm");
  m.mutable_envelope()->set_nonce("n");
  return m;
}

inline pb::DeadLetter dead() {
  pb::DeadLetter m;
  m.set_version(1);
  m.set_topic("shards");
  m.set_partition(3);
  m.set_offset(5'000'000'000);
  m.set_key("k");
  m.set_value("\xff");
  m.add_headers()->set_name("job");
  m.mutable_headers(0)->set_value("nightly");
  m.set_code("unknown_job");
  m.set_message("no such job");
  m.set_at_unix_ms(1'790'000'000'000);
  m.set_member("a");
  return m;
}

inline void fill(pb::PartitionCount& m) {
  m.set_partition(3);
  m.set_shards(4);
  m.set_prompts(2'000);
  m.set_first_offset(10);
  m.set_end_offset(20);
}

inline pb::Submission submission() {
  pb::Submission m;
  m.set_version(1);
  m.set_job("nightly");
  m.set_submission("s-1");
  m.set_checksum(0x0123456789abcdef);
  m.set_shards(4);
  m.set_prompts(2'000);
  fill(*m.add_partitions());
  m.set_started_unix_ms(1'790'000'000'000);
  m.set_abandoned(true);
  return m;
}

inline void fill(pb::Policy& m) {
  m.set_tenant("t");
  m.set_weight(3);
  m.set_priority(-1);
  m.set_order("cost");
  m.set_residency_constrained(true);
  m.add_residency("eu");
  m.set_budget_nano_usd(5'000'000'000);
  m.set_in_doubt("hold");
  m.set_max_attempts(6);
  m.set_max_error_rate(0.5);
  m.set_stall_timeout_ms(600'000);
  m.set_deadline_unix_ms(1'790'000'000'000);
  m.add_lanes("azure/mini");
  m.set_keep_ms(604'800'000);
}

inline pb::Manifest manifest() {
  pb::Manifest m;
  m.set_version(1);
  m.set_job("nightly");
  m.set_submission("s-1");
  fill(*m.mutable_policy());
  m.set_open(true);
  m.set_shards(4);
  m.set_prompts(2'000);
  m.set_checksum(0x0123456789abcdef);
  fill(*m.add_partitions());
  m.add_files("a.jsonl");
  m.set_created_unix_ms(1'790'000'000'000);
  return m;
}

inline pb::Command command() {
  pb::Command m;
  m.set_version(1);
  m.set_job("nightly");
  m.set_id("c1");
  m.set_kind(pb::Command::KIND_RETRY);
  m.set_in_doubt_only(true);
  m.add_codes("bad");
  m.add_end_offsets(5'000'000'000);
  m.mutable_policy()->set_weight(2);
  m.set_at_unix_ms(1'790'000'000'000);
  return m;
}

inline pb::Final final_record() {
  pb::Final m;
  m.set_version(1);
  m.set_job("nightly");
  m.set_outcome("completed");
  m.set_prompts(2'000);
  m.set_answered(1'990);
  m.set_errors(7);
  m.set_invalid(3);
  m.set_maybe_billed(2);
  m.set_settled_nano_usd(1'450);
  m.add_lanes()->set_pool("azure");
  m.set_created_unix_ms(1'790'000'000'000);
  m.set_finished_unix_ms(1'790'000'000'001);
  return m;
}

inline pb::Progress progress() {
  pb::Progress m;
  m.set_version(1);
  m.set_job("nightly");
  m.set_partition(3);
  m.set_member("a");
  m.set_updated_unix_ms(1'790'000'000'000);
  m.set_read_to(20);
  m.set_prompts(2'000);
  m.set_answered(1'990);
  m.set_errors(7);
  m.set_invalid(3);
  m.set_in_flight(1);
  m.set_in_doubt(2);
  m.set_maybe_billed(3);
  m.set_settled_nano_usd(1'450);
  m.set_reserved_nano_usd(900);
  m.set_condition("paused");
  m.set_reason("by command");
  m.add_lanes()->set_pool("azure");
  return m;
}

inline pb::Fleet fleet_record() {
  pb::Fleet m;
  m.set_version(1);
  m.set_uuid("uuid");
  m.set_partitions(8);
  m.set_created_unix_ms(1'790'000'000'000);
  return m;
}

inline pb::Lease lease() {
  pb::Lease m;
  m.set_version(1);
  m.set_member("a");
  m.set_pool("azure");
  m.set_lane("mini");
  m.set_sequence(9);
  m.set_granted_unix_ms(1'790'000'000'000);
  m.set_length_ms(10'000);
  m.set_rpm(600);
  m.set_tpm(1'000'000);
  m.set_concurrency(20);
  return m;
}

}  // namespace spillway::kafka::samples
