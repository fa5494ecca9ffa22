#include "orchestrator/service/metrics.hpp"

#include "orchestrator/service/families.hpp"

#include <algorithm>

namespace spillway::service {

namespace {

double number(std::int64_t n) { return static_cast<double>(n); }
double number(tokens n) { return static_cast<double>(n.count()); }
double number(nano_usd n) { return to_usd(n); }
double number(duration d) { return seconds_of(d); }

double unix_seconds(time_point t) { return seconds_of(t.time_since_epoch()); }

/// One family a number that all `items` have.
template <class Item>
struct column {
  const char* name;
  const char* help;
  double (*of)(const Item&);
};

void add_process(page& out, const process_stats& p) {
  out.gauge("process_resident_memory_bytes", "Resident memory of the process.")
      .add(number(p.resident_bytes));
  out.gauge("process_virtual_memory_bytes", "Virtual memory of the process.")
      .add(number(p.virtual_bytes));
  out.gauge("process_open_fds", "Open file descriptors.").add(number(p.open_fds));
  out.gauge("process_max_fds", "Limit of open file descriptors.").add(number(p.max_fds));
  out.gauge("process_threads", "Threads of the process.").add(number(p.threads));
  out.counter("process_cpu_seconds_total", "User and system time spent.").add(number(p.cpu));
  out.gauge("process_start_time_seconds", "Unix time at which the process started.")
      .add(unix_seconds(p.started));
}

void add_member(page& out, const member_metrics& m, duration since_tick) {
  out.gauge("spillway_member_info", "Always 1; the labels name the member.")
      .add(1, labels({{"fleet", m.fleet}, {"member", m.member}, {"version", SPILLWAY_VERSION}}));
  out.gauge("spillway_member_state", "1 for the state the member is in, else 0.")
      .add_state(m.state, member_state::stopped, "state");
  out.gauge("spillway_engine_tick_age_seconds", "Time since the engine's loop last ran.")
      .add(number(since_tick));
  out.gauge("spillway_group_joined", "1 while the member is in the consumer group, else 0.")
      .add(m.in_group ? 1 : 0);
  out.counter("spillway_group_rebalances_total", "Assignments the group gave to this member.")
      .add(number(m.rebalances));
  out.gauge("spillway_queued_prompts", "Prompts that wait for a permit to be sent.")
      .add(number(m.queued));
  out.gauge("spillway_in_flight_calls", "Calls under way.").add(number(m.in_flight));
}

void add_partitions(page& out, const member_metrics& m) {
  out.gauge("spillway_fleet_partitions", "Partitions of the fleet.")
      .add(number(m.fleet_partitions));
  auto& states = out.gauge("spillway_partitions", "Partitions of this member by state.");
  for (int i = 0; i <= static_cast<int>(partition_state::leaving); ++i) {
    const auto state = static_cast<partition_state>(i);
    const auto n = std::count_if(m.partitions.begin(), m.partitions.end(),
                                 [&](const auto& p) { return p.state == state; });
    states.add(number(n), labels({{"state", name_of(state)}}));
  }
  static constexpr column<partition_metrics> columns[] = {
      {"spillway_partition_lag_records", "Records on shards that were not read yet.",
       [](const auto& p) { return number(p.lag_records); }},
      {"spillway_partition_unfinished_prompts", "Prompts read that have no durable result yet.",
       [](const auto& p) { return number(p.unfinished); }},
      {"spillway_partition_readback_pending_records",
       "Results committed that were not read back yet.",
       [](const auto& p) { return number(p.readback_records); }},
      {"spillway_partition_readback_pending_bytes", "Keys and rows of those results.",
       [](const auto& p) { return number(p.readback_bytes); }},
      {"spillway_partition_readback_lag_seconds",
       "How long committed results have waited and none of them was read back.",
       [](const auto& p) { return number(p.readback_lag); }},
  };
  const auto name = [](const partition_metrics& p) {
    return labels({{"partition", std::to_string(p.partition.value())}});
  };
  for (const auto& c : columns) {
    auto& f = out.gauge(c.name, c.help);
    for (const auto& p : m.partitions) f.add(c.of(p), name(p));
  }
  auto& lag = out.gauge("spillway_partition_lag_prompts",
                        "Prompts of submitted jobs in records not read yet, as manifests say.");
  for (const auto& p : m.partitions)
    if (p.lag_prompts) lag.add(number(*p.lag_prompts), name(p));
}

constexpr column<lane_totals> lane_counters[] = {
    {"spillway_lane_calls_total", "Calls sent, retries included.",
     [](const auto& t) { return number(t.calls); }},
    {"spillway_lane_answered_prompts_total", "Prompts answered.",
     [](const auto& t) { return number(t.answered); }},
    {"spillway_lane_rejected_prompts_total", "Prompts that ended as error rows.",
     [](const auto& t) { return number(t.rejected); }},
    {"spillway_lane_rate_limited_calls_total", "Calls answered 429.",
     [](const auto& t) { return number(t.refused_429); }},
    {"spillway_lane_failed_calls_total", "Calls that ended with a 5xx, a reset or a timeout.",
     [](const auto& t) { return number(t.failed); }},
    {"spillway_lane_retried_calls_total", "Calls for prompts that had been sent before.",
     [](const auto& t) { return number(t.retries); }},
    {"spillway_lane_spilled_in_prompts_total", "Prompts taken although another lane ranked higher.",
     [](const auto& t) { return number(t.spilled_in); }},
    {"spillway_lane_spilled_out_prompts_total",
     "Prompts that went elsewhere although this lane ranked first.",
     [](const auto& t) { return number(t.spilled_out); }},
    {"spillway_lane_maybe_billed_calls_total",
     "Calls that ended in doubt: the provider may have billed them.",
     [](const auto& t) { return number(t.maybe_billed); }},
    {"spillway_lane_input_tokens_total", "Input tokens billed, cached ones included.",
     [](const auto& t) { return number(t.input); }},
    {"spillway_lane_cached_input_tokens_total", "Input tokens billed as cached.",
     [](const auto& t) { return number(t.cached); }},
    {"spillway_lane_output_tokens_total", "Output tokens billed.",
     [](const auto& t) { return number(t.output); }},
    {"spillway_lane_cost_usd_total", "US dollars billed, or charged for calls in doubt.",
     [](const auto& t) { return number(t.settled); }},
};

label_list name_of_lane(const lane_progress& l) {
  return labels({{"pool", l.pool}, {"lane", l.lane}, {"model", l.model}});
}

void add_lanes(page& out, const std::vector<lane_metrics>& lanes) {
  auto& health = out.gauge("spillway_lane_health", "1 for the health the lane has, else 0.");
  for (const auto& l : lanes)
    health.add_state(l.now.health, lane_health::no_credentials, "health", name_of_lane(l.now));
  auto& in_flight = out.gauge("spillway_lane_in_flight_calls", "Calls under way.");
  for (const auto& l : lanes) in_flight.add(number(l.now.in_flight), name_of_lane(l.now));
  auto& since = out.gauge("spillway_lane_down_since_seconds",
                          "Unix time since which the lane takes nothing; absent while it does.");
  auto& resumes = out.gauge("spillway_lane_resumes_in_seconds",
                            "Time until the lane is tried again; absent while it takes calls.");
  auto& limit =
      out.gauge("spillway_lane_concurrency_limit", "Calls that may be under way at once.");
  auto& rpm = out.gauge("spillway_lane_request_quota_used_ratio",
                        "Requests of the last 10 s to what this member's quota allows.");
  auto& tpm = out.gauge("spillway_lane_token_quota_used_ratio",
                        "Tokens of the last 10 s to what this member's quota allows.");
  auto& share = out.gauge("spillway_lane_quota_share_ratio",
                          "Part of the lane's quota that this member may use.");
  for (const auto& l : lanes) {
    if (l.now.since) since.add(unix_seconds(*l.now.since), name_of_lane(l.now));
    if (l.now.resumes_in) resumes.add(number(*l.now.resumes_in), name_of_lane(l.now));
    if (l.now.concurrency) limit.add(number(*l.now.concurrency), name_of_lane(l.now));
    if (l.now.rpm_used) rpm.add(*l.now.rpm_used, name_of_lane(l.now));
    if (l.now.tpm_used) tpm.add(*l.now.tpm_used, name_of_lane(l.now));
    if (l.quota_share) share.add(*l.quota_share, name_of_lane(l.now));
  }
  for (const auto& c : lane_counters) {
    auto& f = out.counter(c.name, c.help);
    for (const auto& l : lanes) f.add(c.of(l.now.totals), name_of_lane(l.now));
  }
  auto& latency = out.histogram("spillway_lane_call_duration_seconds",
                                "How long calls took, from the send to the whole answer.");
  for (const auto& l : lanes) latency.add(l.now.totals.latency, name_of_lane(l.now));
}

constexpr column<job_metrics> job_columns[] = {
    {"spillway_job_prompts", "Prompts read.", [](const auto& j) { return number(j.prompts); }},
    {"spillway_job_answered_prompts", "Prompts answered.",
     [](const auto& j) { return number(j.answered); }},
    {"spillway_job_error_prompts", "Prompts that ended as error rows, invalid ones included.",
     [](const auto& j) { return number(j.errors); }},
    {"spillway_job_invalid_prompts", "Lines that can never be sent.",
     [](const auto& j) { return number(j.invalid); }},
    {"spillway_job_in_flight_prompts", "Prompts whose call is under way.",
     [](const auto& j) { return number(j.in_flight); }},
    {"spillway_job_in_doubt_prompts", "Unfinished prompts one of whose calls may have been billed.",
     [](const auto& j) { return number(j.in_doubt); }},
    {"spillway_job_settled_usd", "US dollars billed, or charged for calls in doubt.",
     [](const auto& j) { return number(j.settled); }},
    {"spillway_job_reserved_usd", "US dollars at most for the calls under way.",
     [](const auto& j) { return number(j.reserved); }},
};

/// Those with series of their own, then, if there are more, one that sums the rest.
std::vector<job_metrics> shown_jobs(const std::vector<job_metrics>& jobs) {
  std::vector<job_metrics> shown;
  std::optional<job_metrics> rest;
  for (const auto& j : jobs) {
    if (j.finished) continue;
    if (shown.size() < jobs_shown_max) {
      shown.push_back(j);
      continue;
    }
    if (!rest) rest.emplace();
    rest->prompts += j.prompts;
    rest->answered += j.answered;
    rest->errors += j.errors;
    rest->invalid += j.invalid;
    rest->in_flight += j.in_flight;
    rest->in_doubt += j.in_doubt;
    rest->settled += j.settled;
    rest->reserved += j.reserved;
  }
  if (rest) shown.push_back(std::move(*rest));
  return shown;
}

void add_jobs(page& out, const std::vector<job_metrics>& jobs) {
  std::map<std::string, std::int64_t> by_condition;
  for (const auto& j : jobs)
    if (!j.finished) ++by_condition[j.condition];
  auto& conditions = out.gauge("spillway_jobs", "Unfinished jobs by condition.");
  for (const auto& [condition, n] : by_condition)
    conditions.add(number(n), labels({{"condition", condition}}));

  const auto shown = shown_jobs(jobs);
  const auto name = [](const job_metrics& j) {
    return labels({{"job", j.name}, {"tenant", j.tenant}});
  };
  for (const auto& c : job_columns) {
    auto& f = out.gauge(c.name, c.help);
    for (const auto& j : shown) f.add(c.of(j), name(j));
  }
  auto& budget = out.gauge("spillway_job_budget_usd",
                           "US dollars that this member's partitions may spend on the job.");
  auto& condition = out.gauge("spillway_job_condition", "Always 1; the label tells the condition.");
  for (const auto& j : shown) {
    if (j.budget) budget.add(number(*j.budget), name(j));
    if (!j.condition.empty())
      condition.add(1, labels({{"job", j.name}, {"tenant", j.tenant}, {"condition", j.condition}}));
  }
}

/// A counter for each key of `counts`.
void add_by(page& out, const char* name, const char* help, const char* label,
            const std::map<std::string, std::int64_t>& counts) {
  auto& f = out.counter(name, help);
  for (const auto& [key, n] : counts) f.add(number(n), labels({{label, key}}));
}

void add_log(page& out, const log_metrics& l) {
  static constexpr column<log_metrics> counters[] = {
      {"spillway_takeovers_total", "Partitions taken over.",
       [](const auto& m) { return number(m.takeovers); }},
      {"spillway_transactions_begun_total", "Kafka transactions begun.",
       [](const auto& m) { return number(m.transactions_begun); }},
      {"spillway_transactions_committed_total", "Kafka transactions known to be committed.",
       [](const auto& m) { return number(m.transactions_committed); }},
      {"spillway_transactions_ambiguous_total",
       "Kafka transactions whose outcome had to be read back.",
       [](const auto& m) { return number(m.transactions_ambiguous); }},
      {"spillway_fences_total", "Times a newer owner took a partition from this member.",
       [](const auto& m) { return number(m.fences); }},
      {"spillway_producer_reopenings_total",
       "Transactional producers replaced while the partition stayed here.",
       [](const auto& m) { return number(m.reopenings); }},
      {"spillway_snapshots_total", "Snapshots of partitions written to the journal.",
       [](const auto& m) { return number(m.snapshots); }},
      {"spillway_stored_intents_total", "Intents stored before their calls.",
       [](const auto& m) { return number(m.intents); }},
      {"spillway_stored_results_total",
       "Results that the broker acknowledged, answers and error rows alike.",
       [](const auto& m) { return number(m.results); }},
      {"spillway_salvaged_answers_total", "Paid answers found in aborted transactions and kept.",
       [](const auto& m) { return number(m.salvaged); }},
      {"spillway_late_answers_sent_total",
       "Answers stored on the topic late for a partition's new owner.",
       [](const auto& m) { return number(m.late_sent); }},
      {"spillway_late_answers_received_total", "Answers taken from a former owner.",
       [](const auto& m) { return number(m.late_received); }},
      {"spillway_quarantined_prompts_total",
       "Prompts given up because several owners died while sending them.",
       [](const auto& m) { return number(m.quarantined); }},
  };
  for (const auto& c : counters) out.counter(c.name, c.help).add(c.of(l));
  add_by(out, "spillway_dead_letters_total", "Records that could not be worked on, by code.",
         "code", l.dead_letters);
  add_by(out, "spillway_broker_errors_total", "Errors of the broker connection by kind.", "kind",
         l.broker_errors);
}

void add_index(page& out, const index_metrics& i) {
  out.gauge("spillway_index_size_bytes", "Files of the local index.").add(number(i.disk_bytes));
  out.gauge("spillway_index_keys", "Keys in the local index, estimated.").add(number(i.keys));
  out.gauge("spillway_index_memtable_bytes", "Memory of the local index's write buffers.")
      .add(number(i.memtable_bytes));
  out.gauge("spillway_index_writable", "0 while the local index can't be written, else 1.")
      .add(i.writable ? 1 : 0);
  add_by(out, "spillway_index_rebuilds_total", "Rebuilds of the local index from Kafka by cause.",
         "cause", i.rebuilds);
}

void add_config(page& out, const config_metrics& c) {
  out.counter("spillway_config_reloads_total", "Reloads of the configuration by result.")
      .add(number(c.reloads_ok), labels({{"result", "ok"}}))
      .add(number(c.reloads_failed), labels({{"result", "failed"}}));
  out.gauge("spillway_config_last_success_timestamp_seconds",
            "Unix time at which the configuration in force was accepted.")
      .add(unix_seconds(c.last_success));
}

}  // namespace

std::string metrics_page(const member_metrics& m, const process_stats& process,
                         duration since_tick) {
  page out;
  add_process(out, process);
  add_member(out, m, since_tick);
  add_partitions(out, m);
  add_lanes(out, m.lanes);
  add_jobs(out, m.jobs);
  add_log(out, m.log);
  if (m.index) add_index(out, *m.index);
  add_config(out, m.config);
  return out.text();
}

}  // namespace spillway::service
