// How the engine looks from outside.
#include "orchestrator/core/tally.hpp"
#include "orchestrator/engine/engine.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace spillway {
namespace {

lane_health health_of(const lane::condition& c) {
  if (c.blocked == refusal::no_credentials) return lane_health::no_credentials;
  if (c.health != breaker::state::closed) {
    switch (c.down) {
      case down_cause::auth: return lane_health::down_auth;
      case down_cause::billing: return lane_health::down_billing;
      case down_cause::missing_model: return lane_health::down_model;
      case down_cause::none: break;
    }
    return c.health == breaker::state::open ? lane_health::broken : lane_health::probing;
  }
  if (c.blocked == refusal::held || c.blocked == refusal::no_share) return lane_health::held;
  if (c.blocked == refusal::day) return lane_health::day_spent;
  return lane_health::up;
}

}  // namespace

lane_progress engine::describe(lane_id id, time_point now) const {
  const auto& lane = scheduler_->lane_at(id);
  const auto c = lane.describe(now);
  lane_progress out;
  out.pool = lane.setup().pool;
  out.lane = lane.setup().config.name();
  out.model = lane.setup().config.model;
  out.health = health_of(c);
  if (out.health != lane_health::up) {
    out.reason = c.reason;
    out.since = c.since;
    if (c.until != time_never && c.until > now) out.resumes_in = c.until - now;
  }
  out.in_flight = std::min(c.outstanding, lane.slots());
  out.concurrency = lane.setup().config.quota.concurrency;
  out.rpm_used = c.rpm_used;
  out.tpm_used = c.tpm_used;
  out.totals = lane.totals();
  return out;
}

void engine::log_lane_changes(time_point now) {
  if (now - looked_at_ < std::chrono::milliseconds(100)) return;
  looked_at_ = now;
  logged_health_.resize(scheduler_->lane_count(), lane_health::up);
  for (std::uint32_t i = 0; i < logged_health_.size(); ++i) {
    if (!scheduler_->configured(lane_id(i))) continue;
    if (routes_[i].pool->starting) continue;  // every start begins without a credential
    const auto lane = describe(lane_id(i), now);
    audit_lane(lane_id(i), lane, now);
    if (lane.health == logged_health_[i]) continue;
    // Held lanes come and go with every refusal: of interest only to those who look closely.
    const bool quiet = lane.health == lane_health::held || logged_health_[i] == lane_health::held ||
                       lane.health == lane_health::probing;
    const auto level = quiet                            ? spdlog::level::debug
                       : lane.health == lane_health::up ? spdlog::level::info
                                                        : spdlog::level::warn;
    spdlog::log(level, "lane {}/{} is {} (was {}){}{}", lane.pool, lane.lane, name_of(lane.health),
                name_of(logged_health_[i]), lane.reason.empty() ? "" : ": ", lane.reason);
    logged_health_[i] = lane.health;
  }
}

bool engine::done() const { return done_; }

run_progress engine::progress(time_point now) const {
  run_progress p;
  p.state = run_state::running;
  if (draining_) p.state = run_state::draining;
  if (stopped_ == stop_cause::finished)
    p.state = run_state::finished;
  else if (done_)
    p.state = broken_ ? run_state::failed : run_state::stopped;
  if (p.state != run_state::finished && p.state != run_state::running) p.stop_reason = stop_reason_;
  if (p.state == run_state::draining && p.stop_reason.empty())
    p.stop_reason = "letting open calls finish";
  p.input_read = true;
  std::uint64_t input_bytes = 0, indexed_bytes = 0;
  std::size_t waiting_sends = 0;
  each_partition([&](const partition_work& work) {
    p.input_read = p.input_read && work.input_read;
    p.prompts += work.done.prompts();
    input_bytes += work.input_bytes;
    indexed_bytes += work.indexed_bytes;
    p.resumed += work.resumed;
    p.in_doubt_at_start += work.in_doubt_at_start;
    p.adopted += work.adopted;
    waiting_sends += work.waiting_sends.size();
  });
  for (const auto& job : jobs(now)) {
    p.answered += job.answered;
    p.errors += job.errors;
    p.invalid += job.invalid;
    p.settled += job.settled;
    p.reserved += job.reserved;
  }
  for (const auto id : scheduler_->jobs())
    if (const auto& budget = scheduler_->job(id)->policy.budget)
      p.budget = p.budget.value_or(nano_usd{}) + *budget;
  p.input_share =
      input_bytes == 0
          ? 1.0
          : std::min(1.0, static_cast<double>(indexed_bytes) / static_cast<double>(input_bytes));
  if (p.input_read) p.input_share = 1.0;
  p.in_flight = static_cast<std::int64_t>(calls_.size() - waiting_sends);
  p.rate = recent_answers_.rate(now);
  const auto left = p.prompts - p.answered - p.errors;
  if (p.input_read && p.rate > 0 && p.state == run_state::running)
    p.eta = from_seconds(static_cast<double>(left) / p.rate);
  p.started_at = started_at_;
  p.now = now;
  p.lanes = lanes(now);
  add_retired(p.lanes);
  return p;
}

std::vector<lane_progress> engine::lanes(time_point now) const {
  std::vector<lane_progress> all;
  for (std::uint32_t i = 0; i < scheduler_->lane_count(); ++i)
    if (scheduler_->configured(lane_id(i))) all.push_back(describe(lane_id(i), now));
  return all;
}

/// Lanes that only the books remember.
void engine::add_retired(std::vector<lane_progress>& all) const {
  const auto configured = all.size();
  const auto add = [&](const named_totals& t) {
    const auto id = scheduler_->find_lane(t.pool, t.lane);
    if (id && scheduler_->configured(*id)) return;
    const auto known = std::find_if(
        all.begin() + static_cast<std::ptrdiff_t>(configured), all.end(),
        [&](const lane_progress& lane) { return lane.pool == t.pool && lane.lane == t.lane; });
    if (known != all.end()) return tally_add(known->totals, t.totals);
    lane_progress lane;
    lane.pool = t.pool;
    lane.lane = t.lane;
    lane.model = t.model;
    lane.reason = "no longer configured";
    lane.totals = t.totals;
    all.push_back(std::move(lane));
  };
  each_partition([&](const partition_work& work) {
    for (const auto job : scheduler_->jobs())
      if (const auto* books = scheduler_->books(work.owner, job))
        for (const auto& t : books->totals()) add(t);
  });
}

std::vector<job_progress> engine::jobs(time_point) const {
  std::vector<job_progress> all;
  each_partition([&](const partition_work& work) {
    for (const auto id : scheduler_->jobs()) {
      const auto counts = work.counts.find(id);
      const auto* books = scheduler_->books(work.owner, id);
      if (counts == work.counts.end() && books == nullptr) continue;
      auto& p = all.emplace_back();
      p.job = id;
      p.partition = work.id;
      if (counts != work.counts.end()) {
        p.prompts = counts->second.prompts;
        p.answered = counts->second.answered;
        p.errors = counts->second.errors;
        p.invalid = counts->second.invalid;
      }
      const auto standing = scheduler_->standing(id);
      p.condition = standing.condition;
      p.reason = standing.reason;
      if (books == nullptr) continue;
      p.in_flight = books->open;
      p.in_doubt = books->in_doubt;
      p.settled = books->money.settled();
      p.reserved = books->money.reserved();
      p.lanes = books->totals();
      for (const auto& lane : p.lanes) p.maybe_billed += lane.totals.maybe_billed;
    }
  });
  return all;
}

}  // namespace spillway
