#include "orchestrator/service/health_json.hpp"

#include "connectors/rows.hpp"
#include "orchestrator/engine/progress_json.hpp"
#include "workers/providers/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <cmath>

namespace spillway::service {

namespace json = boost::json;

namespace {

/// Adds fields in order; texts become valid UTF-8, absent values are left out.
class object_writer {
 public:
  object_writer& add(const char* key, std::int64_t v) { return put(key, v); }
  object_writer& add(const char* key, bool v) { return put(key, v); }
  object_writer& add(const char* key, double v) { return put(key, std::isfinite(v) ? v : 0.0); }
  object_writer& add(const char* key, const std::string& v) { return put(key, valid_utf8(v)); }
  object_writer& add(const char* key, const char* v) { return put(key, v); }
  object_writer& add(const char* key, tokens v) { return put(key, v.count()); }
  object_writer& add(const char* key, nano_usd v) { return put(key, to_usd(v)); }
  object_writer& add(const char* key, duration v) { return put(key, seconds_of(v)); }
  object_writer& add(const char* key, json::array v) { return put(key, std::move(v)); }
  object_writer& add(const char* key, json::object v) { return put(key, std::move(v)); }
  object_writer& add(const char* key, const std::map<std::string, std::int64_t>& v) {
    json::object counts;
    for (const auto& [name, n] : v) counts[valid_utf8(name)] = n;
    return put(key, std::move(counts));
  }
  template <class T>
  object_writer& add(const char* key, const std::optional<T>& v) {
    if (v) add(key, *v);
    return *this;
  }
  /// For texts that are empty when there is nothing to say.
  object_writer& add_said(const char* key, const std::string& v) {
    if (!v.empty()) add(key, v);
    return *this;
  }
  json::object take() { return std::move(out_); }

 private:
  template <class T>
  object_writer& put(const char* key, T&& v) {
    out_[key] = std::forward<T>(v);
    return *this;
  }
  json::object out_;
};

json::object partition_json(const partition_metrics& p) {
  object_writer out;
  out.add("partition", std::int64_t{p.partition.value()})
      .add("state", name_of(p.state))
      .add_said("reason", p.reason)
      .add("lag_records", p.lag_records)
      .add("lag_prompts", p.lag_prompts)
      .add("unfinished", p.unfinished)
      .add("readback_records", p.readback_records)
      .add("readback_bytes", p.readback_bytes)
      .add("readback_lag_s", p.readback_lag);
  return out.take();
}

json::object lane_json(const lane_metrics& l) {
  const auto& t = l.now.totals;
  object_writer out;
  out.add("pool", l.now.pool)
      .add("lane", l.now.lane)
      .add("model", l.now.model)
      .add("health", name_of(l.now.health))
      .add_said("reason", l.now.reason)
      .add_said("down_since", l.now.since ? iso_time(*l.now.since) : "")
      .add("resumes_in_s", l.now.resumes_in)
      .add("in_flight", l.now.in_flight)
      .add("concurrency", l.now.concurrency)
      .add("rpm_used", l.now.rpm_used)
      .add("tpm_used", l.now.tpm_used)
      .add("quota_share", l.quota_share);
  out.add("calls", t.calls)
      .add("answered", t.answered)
      .add("rejected", t.rejected)
      .add("refused_429", t.refused_429)
      .add("failed", t.failed)
      .add("retries", t.retries)
      .add("spilled_in", t.spilled_in)
      .add("spilled_out", t.spilled_out)
      .add("maybe_billed", t.maybe_billed)
      .add("input_tokens", t.input)
      .add("cached_tokens", t.cached)
      .add("output_tokens", t.output)
      .add("cost_usd", t.settled)
      .add("latency_p50_s", t.latency.quantile(0.5))
      .add("latency_p95_s", t.latency.quantile(0.95));
  return out.take();
}

json::object job_json(const job_metrics& j) {
  object_writer out;
  out.add("job", j.name)
      .add_said("tenant", j.tenant)
      .add("condition", j.condition)
      .add_said("reason", j.reason)
      .add("finished", j.finished)
      .add("prompts", j.prompts)
      .add("answered", j.answered)
      .add("errors", j.errors)
      .add("invalid", j.invalid)
      .add("in_flight", j.in_flight)
      .add("in_doubt", j.in_doubt)
      .add("cost_usd", j.settled)
      .add("reserved_usd", j.reserved)
      .add("budget_usd", j.budget);
  return out.take();
}

json::object log_json(const log_metrics& l) {
  object_writer out;
  out.add("takeovers", l.takeovers)
      .add("transactions_begun", l.transactions_begun)
      .add("transactions_committed", l.transactions_committed)
      .add("transactions_ambiguous", l.transactions_ambiguous)
      .add("fences", l.fences)
      .add("reopenings", l.reopenings)
      .add("snapshots", l.snapshots)
      .add("intents", l.intents)
      .add("results", l.results)
      .add("salvaged", l.salvaged)
      .add("late_sent", l.late_sent)
      .add("late_received", l.late_received)
      .add("quarantined", l.quarantined)
      .add("dead_letters", l.dead_letters)
      .add("broker_errors", l.broker_errors);
  return out.take();
}

json::object index_json(const index_metrics& i) {
  object_writer out;
  out.add("disk_bytes", i.disk_bytes)
      .add("keys", i.keys)
      .add("memtable_bytes", i.memtable_bytes)
      .add("writable", i.writable)
      .add("rebuilds", i.rebuilds);
  return out.take();
}

json::object config_json(const config_metrics& c) {
  object_writer out;
  out.add("reloads_ok", c.reloads_ok).add("reloads_failed", c.reloads_failed);
  if (c.last_success != time_point{}) out.add("last_success", iso_time(c.last_success));
  return out.take();
}

template <class Item>
json::array array_of(const std::vector<Item>& items, json::object (*one)(const Item&)) {
  json::array out;
  for (const auto& item : items) out.push_back(one(item));
  return out;
}

std::string body_of(object_writer& out) { return json_line(out.take()) + "\n"; }

}  // namespace

std::string liveness_json(duration tick_age, duration tick_age_max) {
  object_writer out;
  out.add("alive", tick_age <= tick_age_max)
      .add("tick_age_s", tick_age)
      .add("tick_age_max_s", tick_age_max);
  return body_of(out);
}

std::string readiness_json(const readiness& r) {
  json::array reasons;
  for (const auto& reason : r.reasons) reasons.emplace_back(valid_utf8(reason));
  object_writer out;
  out.add("ready", r.ready).add("reasons", std::move(reasons));
  return body_of(out);
}

std::string status_json(const member_metrics& m) {
  object_writer out;
  out.add("fleet", m.fleet)
      .add("member", m.member)
      .add("version", SPILLWAY_VERSION)
      .add("state", name_of(m.state))
      .add_said("reason", m.reason)
      .add("in_group", m.in_group)
      .add("rebalances", m.rebalances)
      .add("fleet_partitions", m.fleet_partitions)
      .add("queued", m.queued)
      .add("in_flight", m.in_flight)
      .add("partitions", array_of(m.partitions, partition_json))
      .add("lanes", array_of(m.lanes, lane_json))
      .add("jobs", array_of(m.jobs, job_json))
      .add("log", log_json(m.log));
  if (m.index) out.add("index", index_json(*m.index));
  out.add("config", config_json(m.config));
  return body_of(out);
}

}  // namespace spillway::service
