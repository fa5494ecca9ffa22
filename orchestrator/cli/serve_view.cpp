#include "orchestrator/cli/serve_view.hpp"

#include <algorithm>
#include <map>

namespace spillway {
namespace {

service::partition_metrics metrics_of(const partition_view& p, bool index_full) {
  service::partition_metrics out;
  out.partition = p.id;
  switch (p.phase) {
    case partition_phase::taking_over: out.state = service::partition_state::taking_over; break;
    case partition_phase::active: out.state = service::partition_state::active; break;
    case partition_phase::suspended: out.state = service::partition_state::suspended; break;
    case partition_phase::leaving: out.state = service::partition_state::leaving; break;
  }
  out.reason = p.reason;
  if (p.phase == partition_phase::active && index_full) {
    out.state = service::partition_state::blocked;
    out.reason = "no room for the local index";
  } else if (p.phase == partition_phase::active && p.log.state == kafka::owner_state::stuck) {
    out.state = service::partition_state::blocked;
  }
  out.lag_records = std::max<std::int64_t>(0, p.log.end - p.log.read_to);
  if (p.phase != partition_phase::taking_over) out.lag_prompts = p.unread_prompts;
  out.readback_records = p.log.unread.records;
  out.readback_bytes = p.log.unread.bytes;
  out.readback_lag = p.log.unread_for;
  for (const auto& job : p.log.jobs)
    out.unfinished += std::max<std::int64_t>(0, job.prompts - job.answered - job.errors);
  return out;
}

void add(service::log_metrics& out, const kafka::kafka_log_counts& log) {
  const auto count = [](std::uint64_t n) { return static_cast<std::int64_t>(n); };
  const auto& c = log.owner;
  out.transactions_begun += count(c.transactions);
  out.transactions_committed += count(c.commits);
  out.fences += count(c.fences);
  out.reopenings += count(c.reopenings);
  out.transactions_ambiguous += count(c.reopenings);
  out.salvaged += count(c.salvaged);
  out.late_received += count(c.late);
  out.snapshots += count(c.snapshots);
  out.intents += log.intents;
  out.results += count(c.published);
  out.quarantined += log.quarantined;
  for (const auto& [code, n] : log.dead) out.dead_letters[code] += n;
}

/// Kinds of which there was none are shown, too: else the first one would not look like an
/// increase.
service::log_metrics log_of(const member_view& v) {
  service::log_metrics out;
  out.takeovers = v.takeovers;
  out.late_sent = static_cast<std::int64_t>(v.clients.late_answers);
  out.broker_errors = v.clients.errors;
  for (const auto* code : kafka::dead_codes) out.dead_letters[code] = 0;
  add(out, v.past);
  for (const auto& p : v.partitions) add(out, p.log.counts);
  return out;
}

std::int64_t stale_indexes(const member_view& v) {
  auto n = v.past.owner.rebuilt;
  for (const auto& p : v.partitions) n += p.log.counts.owner.rebuilt;
  return static_cast<std::int64_t>(n);
}

/// The parts of one job in all partitions of this member.
void add(service::job_metrics& out, const member_job_view& j) {
  const auto& p = j.progress;
  out.name = p.job;
  out.tenant = j.tenant;
  if (out.condition.empty() || p.condition != "running") {
    out.condition = p.condition;
    out.reason = p.reason;
  }
  out.finished = j.finished;
  out.prompts += p.prompts;
  out.answered += p.answered;
  out.errors += p.errors;
  out.invalid += p.invalid;
  out.in_flight += p.in_flight;
  out.in_doubt += p.in_doubt;
  out.settled += p.settled;
  out.reserved += p.reserved;
  if (j.budget) out.budget = out.budget.value_or(nano_usd{}) + *j.budget;
}

}  // namespace

void serve_view::count_lanes(const member_view& v) {
  std::set<service::totals_source> now;
  for (const auto& j : v.jobs) {
    const service::totals_source source{partition_id(j.progress.partition), j.number};
    now.insert(source);
    if (!known_.contains(source)) meter_.begin(source, j.found);
    meter_.update(source, j.progress.lanes);
  }
  std::set<partition_id> partitions;
  for (const auto& source : now) partitions.insert(source.partition);
  for (const auto& source : known_)
    if (!partitions.contains(source.partition)) meter_.end(source.partition);
  known_ = std::move(now);
}

service::member_metrics serve_view::metrics(const member_view& v) {
  count_lanes(v);
  service::member_metrics m;
  m.fleet = fleet_;
  m.member = member_;
  m.state = v.draining ? service::member_state::draining : service::member_state::running;
  m.reason = v.draining ? "asked to stop" : v.trouble;
  m.in_group = v.in_group;
  m.rebalances = v.rebalances;
  m.fleet_partitions = v.fleet_partitions;
  m.queued = v.queued;
  m.in_flight = v.in_flight;
  m.log = log_of(v);
  for (const auto& p : v.partitions) m.partitions.push_back(metrics_of(p, v.index_full));
  for (auto lane : v.lanes) {
    lane.totals = meter_.of(lane.pool, lane.lane, lane.model);
    service::lane_metrics l;
    l.now = std::move(lane);
    if (v.fleet_partitions > 0)
      l.quota_share = static_cast<double>(v.owned) / static_cast<double>(v.fleet_partitions);
    m.lanes.push_back(std::move(l));
  }
  std::map<job_number, service::job_metrics> jobs;
  for (const auto& j : v.jobs) add(jobs[j.number], j);
  for (auto& [number, j] : jobs)
    if (!j.finished) m.jobs.push_back(std::move(j));
  m.index.emplace();
  m.index->writable = !v.index_full;
  m.index->disk_bytes = v.index_bytes;
  m.index->keys = v.index.keys;
  m.index->memtable_bytes = v.index.memtable_bytes;
  m.index->rebuilds["corrupt"] = v.index_rebuilds;
  m.index->rebuilds["stale"] = stale_indexes(v);
  m.config = {v.reloads_ok, v.reloads_failed, v.configured_at};
  return m;
}

}  // namespace spillway
