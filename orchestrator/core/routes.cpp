#include "orchestrator/core/routes.hpp"

#include <algorithm>

namespace spillway {
namespace {

using names = std::vector<std::string>;

bool has(const names& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool has_all(const names& list, const names& wanted) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](const std::string& name) { return has(list, name); });
}

/// A lane is allowed only if everything it may touch is allowed.
bool stays_within(const std::optional<names>& allowed, const names& lane) {
  return !allowed || (!lane.empty() && has_all(*allowed, lane));
}

}  // namespace

const char* name_of(route_refusal why) {
  switch (why) {
    case route_refusal::none: return "none";
    case route_refusal::not_allowed: return "not-allowed";
    case route_refusal::denied: return "denied";
    case route_refusal::provider: return "provider";
    case route_refusal::region: return "region";
    case route_refusal::residency: return "residency";
    case route_refusal::data_class: return "data-class";
    case route_refusal::endpoint: return "endpoint";
    case route_refusal::unmappable: return "unmappable";
    case route_refusal::embedding_model: return "embedding-model";
  }
  return "unknown";
}

route_refusal refusal_of(const job_config& job, const lane_setup& lane) {
  const auto& routes = job.routes;
  const auto full = lane.pool + "/" + lane.config.name();
  if (has(routes.deny_pools, lane.pool) || has(routes.deny_lanes, lane.pool) ||
      has(routes.deny_lanes, full))
    return route_refusal::denied;
  if (!routes.pools.empty() && !has(routes.pools, lane.pool)) return route_refusal::not_allowed;
  if (!routes.lanes.empty() && !has(routes.lanes, lane.pool) && !has(routes.lanes, full))
    return route_refusal::not_allowed;
  if (!routes.providers.empty() && !has(routes.providers, name_of(lane.provider)))
    return route_refusal::provider;
  if (!routes.regions.empty() && !has(routes.regions, lane.region)) return route_refusal::region;
  if (!stays_within(job.residency, lane.config.residency)) return route_refusal::residency;
  if (!has_all(lane.config.data_classes, routes.data_classes)) return route_refusal::data_class;
  return route_refusal::none;
}

route_refusal refusal_of(const job_config& job, const lane_setup& lane, endpoint_kind endpoint,
                         prompt_features features) {
  if (const auto why = refusal_of(job, lane); why != route_refusal::none) return why;
  const auto& fit = lane.takes[static_cast<std::size_t>(endpoint)];
  if (!fit.serves) return route_refusal::endpoint;
  const auto policy = job.routes.unmappable.value_or(unmappable_policy::restrict);
  return kept_off_by(fit, features, policy).empty() ? route_refusal::none
                                                    : route_refusal::unmappable;
}

prompt_features kept_off_by(const endpoint_fit& fit, prompt_features asked,
                            unmappable_policy policy) {
  const auto lost = asked & fit.unmappable;
  return policy == unmappable_policy::drop ? lost.without(droppable_features) : lost;
}

const std::string& embedding_identity(const lane_config& lane) {
  return lane.embedding_model.empty() ? lane.as : lane.embedding_model;
}

std::int64_t weight_of(const route_policy& routes, const lane_setup& lane) {
  std::int64_t of_pool = 0;
  const auto full = lane.pool + "/" + lane.config.name();
  for (const auto& w : routes.weights) {
    if (w.lane == full) return w.weight;
    if (w.lane == lane.pool) of_pool = w.weight;
  }
  return of_pool;
}

prompt_features closure(prompt_features asked, std::span<const prompt_features> limits) {
  auto all = all_features;
  for (const auto limit : limits)
    if ((asked & limit).empty()) all = all.without(limit);
  return all;
}

void add_limits(const endpoint_fit& fit, std::vector<prompt_features>& limits) {
  for (const auto limit : {fit.unmappable, fit.unmappable.without(droppable_features)})
    if (!limit.empty() && std::find(limits.begin(), limits.end(), limit) == limits.end())
      limits.push_back(limit);
}

}  // namespace spillway
