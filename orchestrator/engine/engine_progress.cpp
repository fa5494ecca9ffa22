// How the engine looks from outside.
#include "orchestrator/engine/engine.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace spillway {
namespace {

lane_health health_of(const lane::condition& c) {
  if (c.health != breaker::state::closed) {
    switch (c.down) {
      case down_cause::auth: return lane_health::down_auth;
      case down_cause::billing: return lane_health::down_billing;
      case down_cause::missing_model: return lane_health::down_model;
      case down_cause::none: break;
    }
    return c.health == breaker::state::open ? lane_health::broken : lane_health::probing;
  }
  if (c.blocked == refusal::held) return lane_health::held;
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
    if (c.until != time_never && c.until > now) out.resumes_in = c.until - now;
  }
  out.in_flight = std::min(c.outstanding, lane.setup().slots);
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
    const auto lane = describe(lane_id(i), now);
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
  p.input_read = input_read_;
  p.prompts = ledger_.prompts();
  p.input_share =
      input_bytes_ == 0
          ? 1.0
          : std::min(1.0, static_cast<double>(indexed_bytes_) / static_cast<double>(input_bytes_));
  if (input_read_) p.input_share = 1.0;
  p.answered = answered_;
  p.errors = errors_;
  p.invalid = invalid_;
  p.in_flight = static_cast<std::int64_t>(calls_.size() - waiting_sends_.size());
  p.resumed = resumed_;
  p.in_doubt_at_start = in_doubt_at_start_;
  p.adopted = adopted_;
  p.settled = scheduler_->money().settled();
  p.reserved = scheduler_->money().reserved();
  p.budget = scheduler_->money().cap();
  p.rate = recent_answers_.rate(now);
  const auto left = p.prompts - p.answered - p.errors;
  if (input_read_ && p.rate > 0 && p.state == run_state::running)
    p.eta = from_seconds(static_cast<double>(left) / p.rate);
  p.started_at = started_at_;
  p.now = now;
  for (std::uint32_t i = 0; i < scheduler_->lane_count(); ++i)
    p.lanes.push_back(describe(lane_id(i), now));
  for (const auto& r : retired_) {
    lane_progress lane;
    lane.pool = r.pool;
    lane.lane = r.lane;
    lane.model = r.model;
    lane.reason = "no longer configured";
    lane.totals = r.totals;
    p.lanes.push_back(std::move(lane));
  }
  return p;
}

}  // namespace spillway
