// A member in which everything happened, for tests of what is shown of it.
#pragma once

#include "orchestrator/service/member_metrics.hpp"
#include "orchestrator/service/process_stats.hpp"

namespace spillway::test {

inline service::process_stats sample_process() {
  service::process_stats p;
  p.resident_bytes = 123'456'789;
  p.virtual_bytes = 2'000'000'000;
  p.open_fds = 42;
  p.max_fds = 1'048'576;
  p.threads = 9;
  p.cpu = std::chrono::milliseconds(12'340);
  p.started = time_point(std::chrono::seconds(1'750'000'000));
  return p;
}

inline service::lane_metrics sample_lane(const std::string& pool, lane_health health) {
  service::lane_metrics l;
  l.now.pool = pool;
  l.now.lane = "standard";
  l.now.model = "gpt-5.4-mini";
  l.now.health = health;
  if (health != lane_health::up) {
    l.now.since = time_point(std::chrono::seconds(1'789'999'000));
    l.now.resumes_in = std::chrono::seconds(15);
  }
  l.now.in_flight = 7;
  l.now.concurrency = 64;
  l.now.rpm_used = 0.985;
  l.now.tpm_used = 0.5;
  l.quota_share = 0.375;
  auto& t = l.now.totals;
  t.calls = 1200;
  t.answered = 1000;
  t.rejected = 3;
  t.refused_429 = 150;
  t.failed = 40;
  t.retries = 190;
  t.spilled_in = 11;
  t.spilled_out = 12;
  t.maybe_billed = 5;
  t.input = tokens(300'000);
  t.cached = tokens(100'000);
  t.output = tokens(50'000);
  t.settled = from_usd(1.25);
  for (int i = 0; i < 1000; ++i) t.latency.add(std::chrono::milliseconds(100 + i));
  return l;
}

inline service::job_metrics sample_job(const std::string& name) {
  service::job_metrics j;
  j.name = name;
  j.tenant = "research";
  j.condition = "running";
  j.prompts = 100;
  j.answered = 60;
  j.errors = 4;
  j.invalid = 1;
  j.in_flight = 7;
  j.in_doubt = 2;
  j.settled = from_usd(0.5);
  j.reserved = from_usd(0.25);
  j.budget = from_usd(10);
  return j;
}

inline service::member_metrics sample_member() {
  service::member_metrics m;
  m.fleet = "spillway";
  m.member = "member-1";
  m.state = service::member_state::running;
  m.in_group = true;
  m.rebalances = 3;
  m.fleet_partitions = 8;
  for (std::uint32_t i = 0; i < 3; ++i) {
    service::partition_metrics p;
    p.partition = partition_id(i);
    p.state = service::partition_state::active;
    p.lag_records = 10 * i;
    if (i > 0) p.lag_prompts = 5120 * i;
    p.unfinished = 900;
    p.readback_records = 4;
    p.readback_bytes = 2048;
    p.readback_lag = std::chrono::milliseconds(250);
    m.partitions.push_back(p);
  }
  m.queued = 893;
  m.in_flight = 14;
  m.lanes = {sample_lane("azure-eastus", lane_health::up),
             sample_lane("onprem-a100", lane_health::down_auth)};
  m.jobs = {sample_job("nightly"), sample_job("labels")};
  m.jobs[1].condition = "paused";
  m.log = {.takeovers = 3,
           .transactions_begun = 500,
           .transactions_committed = 498,
           .transactions_ambiguous = 1,
           .fences = 1,
           .reopenings = 2,
           .snapshots = 9,
           .intents = 1200,
           .results = 1003,
           .salvaged = 17,
           .late_sent = 6,
           .late_received = 5,
           .quarantined = 1,
           .dead_letters = {{"unknown_job", 2}, {"unparsable", 1}},
           .broker_errors = {{"unauthorised", 1}, {"unreachable", 4}}};
  m.index = service::index_metrics{.disk_bytes = 64 << 20,
                                   .keys = 1'000'000,
                                   .memtable_bytes = 16 << 20,
                                   .writable = true,
                                   .rebuilds = {{"corrupt", 1}, {"stale", 2}}};
  m.config = {.reloads_ok = 2,
              .reloads_failed = 1,
              .last_success = time_point(std::chrono::seconds(1'750'000'100))};
  return m;
}

}  // namespace spillway::test
