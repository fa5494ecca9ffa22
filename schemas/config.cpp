#include "schemas/config.hpp"

namespace spillway {

const char* name_of(provider_kind kind) {
  switch (kind) {
    case provider_kind::openai: return "openai";
    case provider_kind::azure_openai: return "azure-openai";
    case provider_kind::openai_compatible: return "openai-compatible";
    case provider_kind::bedrock: return "bedrock";
    case provider_kind::vertex: return "vertex";
    case provider_kind::anthropic: return "anthropic";
  }
  return "unknown";
}

const char* name_of(lane_surface surface) {
  switch (surface) {
    case lane_surface::openai: return "openai";
    case lane_surface::dated: return "dated";
    case lane_surface::converse: return "converse";
    case lane_surface::invoke: return "invoke";
    case lane_surface::generate_content: return "generate-content";
    case lane_surface::predict: return "predict";
    case lane_surface::responses: return "responses";
    case lane_surface::messages: return "messages";
  }
  return "unknown";
}

const char* name_of(lane_tier tier) {
  switch (tier) {
    case lane_tier::standard: return "standard";
    case lane_tier::flex: return "flex";
    case lane_tier::priority: return "priority";
    case lane_tier::provisioned: return "provisioned";
    case lane_tier::self_hosted: return "self-hosted";
  }
  return "unknown";
}

const char* name_of(lane_order order) {
  switch (order) {
    case lane_order::cost: return "cost";
    case lane_order::latency: return "latency";
    case lane_order::as_listed: return "as-listed";
    case lane_order::weights: return "weights";
  }
  return "unknown";
}

const char* name_of(in_doubt_policy policy) {
  switch (policy) {
    case in_doubt_policy::resend: return "resend";
    case in_doubt_policy::hold: return "hold";
  }
  return "unknown";
}

const char* name_of(unmappable_policy policy) {
  switch (policy) {
    case unmappable_policy::restrict: return "restrict";
    case unmappable_policy::drop: return "drop";
  }
  return "unknown";
}

route_policy route_policy::over(route_policy defaults) const {
  if (!models.empty()) defaults.models = models;
  for (const auto list : {&route_policy::lanes, &route_policy::pools, &route_policy::deny_lanes,
                          &route_policy::deny_pools, &route_policy::providers,
                          &route_policy::regions, &route_policy::data_classes})
    if (!(this->*list).empty()) defaults.*list = this->*list;
  if (!weights.empty()) defaults.weights = weights;
  if (unmappable) defaults.unmappable = unmappable;
  return defaults;
}

std::string lane_config::name() const {
  if (tier == lane_tier::standard) return as;
  return as + ":" + name_of(tier);
}

}  // namespace spillway
