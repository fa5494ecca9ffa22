// The part of a configuration that says which lanes a job may use, and what lanes declare for it.
#include "orchestrator/cli/config.hpp"
#include "orchestrator/cli/config_sections.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace spillway {
namespace {

using names = std::vector<std::string>;

constexpr std::int64_t weight_max = 1'000'000;
constexpr std::array providers{provider_kind::openai,    provider_kind::azure_openai,
                               provider_kind::bedrock,   provider_kind::vertex,
                               provider_kind::anthropic, provider_kind::openai_compatible};

bool is_provider(const std::string& name) {
  return std::any_of(providers.begin(), providers.end(),
                     [&](provider_kind kind) { return name == name_of(kind); });
}

/// A list that is a condition: without names it would be none.
names read_names(yaml_map& map, const char* key) {
  auto list = map.strings(key);
  if (list && list->empty())
    map.problem(key, "expected at least one name; leave the key out for no constraint");
  return std::move(list).value_or(names{});
}

void read_order(yaml_map& map, job_policy& job) {
  if (map.kind("order") == yaml_kind::map) {
    auto weights = *map.map("order");
    for (const auto& lane : weights.keys())
      if (const auto weight = weights.integer(lane, {0, weight_max}))
        job.routes.weights.push_back({lane, *weight});
    job.order = lane_order::weights;
    return;
  }
  job.order = map.choice<lane_order>("order", {{"cost", lane_order::cost},
                                               {"latency", lane_order::latency},
                                               {"as-listed", lane_order::as_listed}});
}

bool names_lane(const std::vector<pool_config>& pools, const std::string& name) {
  return std::any_of(pools.begin(), pools.end(), [&](const pool_config& pool) {
    return name == pool.name ||
           std::any_of(pool.lanes.begin(), pool.lanes.end(), [&](const lane_config& lane) {
             return name == pool.name + "/" + lane.name();
           });
  });
}

bool names_model(const std::vector<pool_config>& pools, const std::string& name) {
  return std::any_of(pools.begin(), pools.end(), [&](const pool_config& pool) {
    return std::any_of(pool.lanes.begin(), pool.lanes.end(),
                       [&](const lane_config& lane) { return lane.model == name; });
  });
}

bool answers_only_embeddings(const lane_config& lane) {
  return !lane.embedding_model.empty() || lane.surface == lane_surface::predict ||
         lane.surface == lane_surface::invoke;
}

const std::string& identity(const lane_config& lane) {
  return lane.embedding_model.empty() ? lane.as : lane.embedding_model;
}

void check_embeddings(yaml_map& root, const std::vector<pool_config>& pools) {
  struct place {
    const pool_config* pool;
    const lane_config* lane;
    [[nodiscard]] std::string name() const { return pool->name + "/" + lane->name(); }
  };
  std::map<std::string, std::vector<place>> by_model;
  for (const auto& pool : pools)
    for (const auto& lane : pool.lanes) by_model[lane.model].push_back({&pool, &lane});
  for (const auto& [model, lanes] : by_model) {
    if (std::none_of(lanes.begin(), lanes.end(),
                     [](const place& p) { return answers_only_embeddings(*p.lane); }))
      continue;
    for (const auto& p : lanes)
      if (identity(*p.lane) != identity(*lanes.front().lane)) {
        root.problem("pools", "lanes " + lanes.front().name() + " and " + p.name() +
                                  " both offer " + model +
                                  ", whose vectors must not come from different models: expected "
                                  "the same `as`, or the same embedding_model for both");
        break;
      }
  }
}

}  // namespace

void read_routes(yaml_map& map, job_policy& job) {
  read_order(map, job);
  auto& routes = job.routes;
  if (auto models = map.map("models"))
    for (const auto& alias : models->keys())
      if (const auto model = models->string(alias)) routes.models.emplace(alias, *model);
  routes.lanes = read_names(map, "lanes");
  routes.pools = read_names(map, "pools");
  routes.deny_lanes = read_names(map, "deny_lanes");
  routes.deny_pools = read_names(map, "deny_pools");
  routes.regions = read_names(map, "regions");
  routes.providers = read_names(map, "providers");
  for (const auto& name : routes.providers)
    if (!is_provider(name)) map.problem("providers", "expected providers' names, found " + name);
  routes.data_classes = read_data_classes(map).value_or(names{});
  routes.unmappable = map.choice<unmappable_policy>(
      "unmappable", {{"restrict", unmappable_policy::restrict}, {"drop", unmappable_policy::drop}});
}

std::optional<names> read_data_classes(yaml_map& map) {
  auto list = map.strings("data_classes");
  if (!list) return std::nullopt;
  for (const auto& name : *list) {
    if (is_region_name(name)) continue;
    map.problem("data_classes", "expected lower-case names such as [no-train], found " + name);
    return std::nullopt;
  }
  return list;
}

std::vector<route_problem> route_problems(const route_policy& routes,
                                          const std::vector<pool_config>& pools) {
  std::vector<route_problem> out;
  if (pools.empty()) return out;
  const auto expect_lanes = [&](const char* key, const names& list) {
    for (const auto& name : list)
      if (!names_lane(pools, name))
        out.push_back({key, "expected a pool or pool/lane of the configuration, found " + name});
  };
  expect_lanes("lanes", routes.lanes);
  expect_lanes("pools", routes.pools);
  expect_lanes("deny_lanes", routes.deny_lanes);
  expect_lanes("deny_pools", routes.deny_pools);
  for (const auto& w : routes.weights) expect_lanes("order", {w.lane});
  for (const auto& [alias, model] : routes.models) {
    if (!names_model(pools, model))
      out.push_back({"models", "expected a model of some lane for " + alias + ", found " + model});
    if (names_model(pools, alias))
      out.push_back({"models", "expected a name that is no model of a lane, found " + alias});
  }
  return out;
}

void check_policy(yaml_map& root, const route_policy& routes,
                  const std::vector<pool_config>& pools) {
  if (root.kind("job") == yaml_kind::map)
    for (auto& [key, message] : route_problems(routes, pools))
      root.map("job")->problem(key, message);
  check_embeddings(root, pools);
}

}  // namespace spillway
