// The lanes of a pool: which model, in which wire form, at what price and quota.
#include "orchestrator/cli/config.hpp"
#include "orchestrator/cli/config_sections.hpp"
#include "workers/providers/hosts.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace spillway {

namespace {

using namespace std::chrono_literals;

constexpr std::int64_t concurrency_max = 65535;
constexpr std::int64_t rate_max = 1'000'000'000'000;
constexpr double usd_max = 1e9;
constexpr double usd_per_million_max = 1e6;
constexpr duration timeout_max = 24h;

pico_usd_per_token price_of(double usd_per_million) {
  return pico_usd_per_token(std::llround(usd_per_million * 1e6));
}

void read_quota(yaml_map& lane_map, lane_config& lane) {
  auto map = lane_map.map("quota");
  if (!map) return;
  auto& quota = lane.quota;
  quota.rpm = map->integer("rpm", {1, rate_max});
  if (const auto tpm = map->integer("tpm", {1, rate_max})) quota.tpm = tokens(*tpm);
  quota.concurrency = map->integer("concurrency", {1, concurrency_max});
  quota.rpd = map->integer("rpd", {1, rate_max});
  if (const auto usd = map->number("usd_per_day", {0.01, usd_max}))
    quota.usd_per_day = from_usd(*usd);
  quota.headroom = map->number("headroom", {0, 1, true}).value_or(0);
  for (const char* key : {"tpd", "itpm", "otpm", "enqueued_tokens"})
    map->unsupported(key, "use rpm, tpm, concurrency, rpd and usd_per_day");
}

/// `below`: of shorter requests, whose output price goes on where the step names none.
token_prices read_token_prices(yaml_map& map, const token_prices& below = {}) {
  constexpr number_range range{0, usd_per_million_max};
  token_prices prices;
  prices.input = price_of(map.number("input", range, need::required).value_or(0));
  prices.output = below.output;
  if (const auto usd = map.number("output", range)) prices.output = price_of(*usd);
  for (const auto& [key, price] : {std::pair{"cached_input", &prices.cached_input},
                                   std::pair{"cache_write", &prices.cache_write},
                                   std::pair{"cache_write_1h", &prices.cache_write_1h}})
    if (const auto usd = map.number(key, range)) *price = price_of(*usd);
  return prices;
}

bool is_embedding_model(std::string_view id) { return id.find("embed") != id.npos; }

bool answers_vectors(const lane_config& lane) {
  return lane.surface == lane_surface::predict || lane.surface == lane_surface::invoke ||
         !lane.embedding_model.empty() || is_embedding_model(lane.model) ||
         is_embedding_model(lane.as);
}

/// The lane's own price, else the list's. Returns why the list has none.
std::string read_price(yaml_map& lane_map, const pool_config& pool, lane_config& lane,
                       const price_list* list) {
  lane.price_key = lane_map.string("price_key").value_or("");
  if (auto map = lane_map.map("price")) {
    price_config price{read_token_prices(*map), {}};
    if (!map->has("output") && !answers_vectors(lane))
      map->problem("output", "missing: USD per 1M tokens (0 when answers cost nothing)");
    for (auto& step : map->maps("above")) {
      const tokens above(step.integer("tokens", {1, rate_max}, need::required).value_or(0));
      if (!price.steps.empty() && above <= price.steps.back().above)
        step.problem("tokens", "expected more than in the step before");
      price.steps.push_back({above, read_token_prices(step, price)});
    }
    lane.price = std::move(price);
  }
  if (lane_map.has("price") || list == nullptr) return {};
  auto listed = price_of_lane(*list, pool, lane);
  if (!listed) return listed.error().message;
  lane.price = *std::move(listed);
  for (const auto tier : {lane_tier::standard, lane_tier::flex, lane_tier::priority}) {
    auto other = lane;
    other.tier = tier;
    if (tier == lane.tier) continue;
    if (auto price = price_of_lane(*list, pool, other))
      lane.other_tiers.emplace(tier, *std::move(price));
  }
  return {};
}

/// A pool's own price for another tier of a model holds for calls that are served at it.
void learn_tiers(std::vector<lane_config>& lanes) {
  for (auto& lane : lanes)
    for (const auto& other : lanes)
      if (other.as == lane.as && other.tier != lane.tier && other.price)
        lane.other_tiers.insert_or_assign(other.tier, *other.price);
}

/// The wire forms of a provider; the first one is told first in a problem.
std::vector<std::pair<std::string_view, lane_surface>> surfaces_of(provider_kind provider) {
  const auto named = [](auto... all) {
    return std::vector<std::pair<std::string_view, lane_surface>>{{name_of(all), all}...};
  };
  using enum lane_surface;
  switch (provider) {
    case provider_kind::azure_openai: return named(openai, dated, responses);
    case provider_kind::bedrock: return named(converse, invoke, openai, responses);
    case provider_kind::vertex: return named(generate_content, predict, openai, responses);
    case provider_kind::anthropic: return named(messages);
    case provider_kind::openai:
    case provider_kind::openai_compatible: break;
  }
  return named(openai, responses);
}

/// A model by its path, or a tuned one by its endpoint: what is asked in Google's own form.
bool is_vertex_resource(std::string_view id) {
  return id.starts_with("projects/") || id.starts_with("publishers/") ||
         id.starts_with("endpoints/");
}

/// Models of OpenAI's that Bedrock's runtime serves in the Responses form only.
bool lacks_chat_on_bedrock(std::string_view id) {
  return id.find("openai.gpt-5.4") != id.npos || id.find("openai.gpt-5.5") != id.npos;
}

/// The form of a lane that names none: OpenAI's where the model has it, else the cloud's own.
lane_surface default_surface(const pool_config& pool, std::string_view id) {
  using enum lane_surface;
  switch (pool.provider) {
    case provider_kind::azure_openai: return pool.api_version.empty() ? openai : dated;
    case provider_kind::bedrock:
      if (!pool.mantle && lacks_chat_on_bedrock(id)) return responses;
      if (pool.mantle || id.find("openai.") != id.npos) return openai;
      return is_embedding_model(id) ? invoke : converse;
    case provider_kind::vertex:
      // Of a full name the model is the last part; a project may be called anything.
      if (is_embedding_model(id.substr(id.rfind('/') + 1))) return predict;
      if (id.starts_with("gemini") || is_vertex_resource(id)) return generate_content;
      if (id.find('/') != id.npos || id.ends_with("-maas")) return openai;
      return responses;
    case provider_kind::anthropic: return messages;
    case provider_kind::openai:
    case provider_kind::openai_compatible: break;
  }
  return openai;
}

lane_surface read_surface(yaml_map& map, const pool_config& pool, const lane_config& lane) {
  const auto known = surfaces_of(pool.provider);
  const auto name = map.string("surface");
  if (!name) return default_surface(pool, lane.as);
  const auto it = std::find_if(known.begin(), known.end(),
                               [&](const auto& entry) { return entry.first == *name; });
  if (it != known.end()) return it->second;
  std::string names;
  for (const auto& [one, surface] : known) names.append(names.empty() ? "" : ", ").append(one);
  map.problem("surface", "expected one of " + names + " for provider " + name_of(pool.provider) +
                             ", found " + *name);
  return lane_surface::openai;
}

/// What the cloud does not have although the form alone would do.
void check_surface(yaml_map& map, const pool_config& pool, const lane_config& lane) {
  const auto as = map.has("as") ? "as" : "model";
  const std::string_view id = lane.as;
  const auto is = [&](lane_surface surface) { return lane.surface == surface; };
  if (is(lane_surface::dated) && pool.api_version.empty())
    map.problem("surface", "dated needs the pool's api_version, as in api_version: 2024-10-21");
  if (is(lane_surface::responses) && !pool.api_version.empty())
    map.problem("surface", "expected dated: chat goes out as Responses without api_version only");
  if (pool.mantle && (is(lane_surface::converse) || is(lane_surface::invoke)))
    map.problem("surface", "expected openai or responses on Bedrock's Mantle host");
  if (pool.mantle && (!bedrock_geography(id).empty() || is_bedrock_global(id)))
    map.problem(as, "expected an id without a geography on Bedrock's Mantle host, as in " +
                        std::string(id.substr(id.find('.') + 1)));
  if (pool.provider != provider_kind::vertex || map.has("surface")) return;
  if (id.starts_with("claude"))
    map.problem(as, "Claude on Vertex is not supported: use provider anthropic or bedrock");
  else if (is(lane_surface::openai) && id.find('/') == id.npos)
    map.problem(as, "expected the publisher too, as in meta/" + lane.as);
}

std::optional<lane_tier> read_tier(yaml_map& map, const pool_config& pool) {
  const auto tier = map.choice<lane_tier>("tier",
                                          {{"standard", lane_tier::standard},
                                           {"flex", lane_tier::flex},
                                           {"priority", lane_tier::priority},
                                           {"provisioned", lane_tier::provisioned},
                                           {"self-hosted", lane_tier::self_hosted}},
                                          {"batch"});
  const bool sold = pool.provider != provider_kind::openai_compatible &&
                    pool.provider != provider_kind::anthropic;
  if ((tier == lane_tier::flex || tier == lane_tier::priority) && !sold)
    map.problem("tier", std::string("provider ") + name_of(pool.provider) + " has no tier " +
                            name_of(*tier));
  return tier;
}

lane_config read_lane(yaml_map& map, const pool_config& pool, const pool_places& places,
                      const lane_rules& rules, std::set<std::string>& names) {
  lane_config lane;
  lane.model = map.string("model", need::required).value_or("");
  lane.as = map.string("as").value_or(lane.model);
  const auto tier = read_tier(map, pool);
  lane.tier = tier.value_or(lane_tier::standard);
  lane.surface = read_surface(map, pool, lane);
  check_surface(map, pool, lane);
  const bool name_known = !lane.as.empty() && (tier || !map.has("tier"));
  if (name_known && !names.insert(lane.name()).second) {
    map.problem(map.has("as") ? "as" : "model",
                "expected a lane that differs from the pool's others in `as` or `tier`, found " +
                    lane.name() + " again");
  }
  read_quota(map, lane);
  if (const auto n = map.integer("max_output_tokens", {1, rate_max}))
    lane.max_output_tokens = tokens(*n);
  lane.timeout = map.time("timeout", {1ms, timeout_max}).value_or(lane_config{}.timeout);
  lane.residency = read_lane_residency(map, pool, lane, places);
  lane.data_classes = read_data_classes(map).value_or(pool.data_classes);
  lane.embedding_model = map.string("embedding_model").value_or("");
  const auto unpriced = read_price(map, pool, lane, rules.prices);
  if (lane.quota.usd_per_day && !lane.price && !map.has("price")) {
    map.problem("price", "missing; quota.usd_per_day needs a price to count by" +
                             (unpriced.empty() ? "" : " (" + unpriced + ")"));
  }
  if (rules.budget) {
    // A key that is there but wrong has its own problem already.
    const auto [key, message] = budget_shortfall(lane, unpriced);
    if (!key.empty() && !map.has(key)) map.problem(key, message);
  } else if (lane.quota.usd_per_day && lane.price && lane.price->output > pico_usd_per_token{} &&
             !map.has("max_output_tokens")) {
    map.problem("max_output_tokens",
                "missing; quota.usd_per_day needs a bound for prompts that set no limit");
  }
  return lane;
}

}  // namespace

std::vector<lane_config> read_lanes(yaml_map& map, const pool_config& pool,
                                    const pool_places& places, const lane_rules& rules) {
  std::set<std::string> names;
  std::vector<lane_config> lanes;
  for (auto& lane : map.maps("lanes", need::required))
    lanes.push_back(read_lane(lane, pool, places, rules, names));
  learn_tiers(lanes);
  return lanes;
}

}  // namespace spillway
