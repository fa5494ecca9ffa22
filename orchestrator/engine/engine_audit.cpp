// What the audit log is told: jobs with what they may use, lanes that stop, and what came of it.
#include "connectors/rows.hpp"
#include "orchestrator/core/tally.hpp"
#include "orchestrator/engine/engine.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <utility>

namespace spillway {
namespace {

namespace json = boost::json;

template <class Names>
json::array array_of(const Names& names) {
  json::array out;
  for (const auto& name : names) out.emplace_back(std::string_view(name));
  return out;
}

void put_names(json::object& out, const char* key, const std::vector<std::string>& names) {
  if (!names.empty()) out[key] = array_of(names);
}

json::object event_of(const char* what, time_point now) {
  json::object out;
  out["at"] = iso_time(now);
  out["event"] = what;
  return out;
}

json::object json_of(const job_config& policy) {
  json::object out;
  const auto& r = policy.routes;
  out["order"] = name_of(policy.order);
  if (!r.weights.empty()) {
    json::object weights;
    for (const auto& w : r.weights) weights[w.lane] = w.weight;
    out["weights"] = std::move(weights);
  }
  if (policy.residency) out["residency"] = array_of(*policy.residency);
  if (!r.models.empty()) {
    json::object models;
    for (const auto& [alias, model] : r.models) models[alias] = model;
    out["models"] = std::move(models);
  }
  put_names(out, "lanes", r.lanes);
  put_names(out, "pools", r.pools);
  put_names(out, "deny_lanes", r.deny_lanes);
  put_names(out, "deny_pools", r.deny_pools);
  put_names(out, "providers", r.providers);
  put_names(out, "regions", r.regions);
  put_names(out, "data_classes", r.data_classes);
  out["unmappable"] = name_of(r.unmappable.value_or(unmappable_policy::restrict));
  out["in_doubt"] = name_of(policy.in_doubt);
  out["max_attempts"] = policy.max_attempts;
  if (policy.budget) out["budget_usd"] = to_usd(*policy.budget);
  return out;
}

json::object json_of(const lane_setup& lane, route_refusal why) {
  json::object out;
  out["pool"] = lane.pool;
  out["lane"] = lane.config.name();
  out["provider"] = name_of(lane.provider);
  if (!lane.region.empty()) out["region"] = lane.region;
  out["residency"] = array_of(lane.config.residency);
  out["data_classes"] = array_of(lane.config.data_classes);
  out["eligible"] = why == route_refusal::none;
  if (why != route_refusal::none) out["refused"] = name_of(why);
  return out;
}

json::object json_of(const named_totals& t) {
  json::object out;
  out["pool"] = t.pool;
  out["lane"] = t.lane;
  out["model"] = t.model;
  out["calls"] = t.totals.calls;
  out["answered"] = t.totals.answered;
  out["rejected"] = t.totals.rejected;
  out["maybe_billed"] = t.totals.maybe_billed;
  out["input_tokens"] = t.totals.input.count();
  out["cached_tokens"] = t.totals.cached.count();
  out["output_tokens"] = t.totals.output.count();
  out["cost_usd"] = to_usd(t.totals.settled);
  return out;
}

json::object json_of(const refused_route& r) {
  json::object out;
  out["model"] = r.model;
  out["endpoint"] = url_of(r.endpoint);
  out["pool"] = r.pool;
  out["lane"] = r.lane;
  out["refused"] = name_of(r.why);
  if (!r.features.empty()) out["features"] = array_of(names_of(r.features));
  out["prompts"] = r.prompts;
  return out;
}

bool is_down(lane_health health) {
  switch (health) {
    case lane_health::broken:
    case lane_health::down_auth:
    case lane_health::down_billing:
    case lane_health::down_model:
    case lane_health::no_credentials: return true;
    default: return false;
  }
}

}  // namespace

void engine::keep_audit(std::shared_ptr<audit_log> audit, time_point now) {
  audit_ = std::move(audit);
  for (const auto id : scheduler_->jobs()) audit_job(id, now);
}

/// What the job may use, when it begins and whenever that changes.
void engine::audit_job(job_number id, time_point now) {
  if (!audit_) return;
  const auto& job = *scheduler_->job(id);
  json::object models;
  for (const auto& model : scheduler_->models()) {
    json::array lanes;
    for (const auto lane : scheduler_->lanes_of(model)) {
      const auto& setup = scheduler_->lane_at(lane).setup();
      lanes.push_back(json_of(setup, refusal_of(job.policy, setup)));
    }
    models[model] = std::move(lanes);
  }
  json::object what;
  what["policy"] = json_of(job.policy);
  what["models"] = std::move(models);
  auto text = json::serialize(what);
  auto& known = audited_[id];
  if (known == text) return;
  auto event = event_of(known.empty() ? "job_started" : "job_changed", now);
  event["job"] = job.name;
  if (!job.tenant.empty()) event["tenant"] = job.tenant;
  for (auto& field : what) event.insert(std::move(field));
  known = std::move(text);
  audit_->write(event);
}

void engine::audit_lane(lane_id id, const lane_progress& lane, time_point now) {
  // Tried again is not yet up.
  if (!audit_ || lane.health == lane_health::probing) return;
  if (id.value() >= audited_health_.size()) audited_health_.resize(id.value() + 1, lane_health::up);
  const auto before = std::exchange(audited_health_[id.value()], lane.health);
  const bool down = is_down(lane.health);
  if (down ? lane.health == before : !is_down(before)) return;
  auto event = event_of(down ? "lane_down" : "lane_up", now);
  event["pool"] = lane.pool;
  event["lane"] = lane.lane;
  if (down) {
    event["health"] = name_of(lane.health);
    event["reason"] = lane.reason;
  }
  audit_->write(event);
}

void engine::audit_end(job_number id, std::string_view how, time_point now) {
  const auto* job = scheduler_->job(id);
  if (!audit_ || job == nullptr) return;
  std::vector<named_totals> lanes;
  std::int64_t prompts = 0, answered = 0, errors = 0, invalid = 0;
  for (const auto& part : jobs(now)) {
    if (part.job != id) continue;
    prompts += part.prompts;
    answered += part.answered;
    errors += part.errors;
    invalid += part.invalid;
    for (const auto& t : part.lanes) {
      const auto known = std::find_if(lanes.begin(), lanes.end(), [&](const named_totals& l) {
        return l.pool == t.pool && l.lane == t.lane;
      });
      if (known == lanes.end())
        lanes.push_back(t);
      else
        tally_add(known->totals, t.totals);
    }
  }
  auto event = event_of("job_ended", now);
  event["job"] = job->name;
  event["how"] = how;
  event["prompts"] = prompts;
  event["answered"] = answered;
  event["errors"] = errors;
  event["invalid"] = invalid;
  json::array totals, refused;
  for (const auto& t : lanes) totals.push_back(json_of(t));
  for (const auto& r : scheduler_->refused_routes(id)) refused.push_back(json_of(r));
  event["lanes"] = std::move(totals);
  event["refused_routes"] = std::move(refused);
  json::object refused_prompts;
  for (const auto& [key, count] : refused_prompts_)
    if (key.first == id) refused_prompts[key.second] = count;
  event["refused_prompts"] = std::move(refused_prompts);
  audit_->write(event);
  audit_->sync();
}

}  // namespace spillway
