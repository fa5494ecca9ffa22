#include "orchestrator/cli/config.hpp"

#include "orchestrator/cli/config_sections.hpp"
#include "workers/http.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

namespace spillway {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view openai_endpoint = "https://api.openai.com/v1";
constexpr std::int64_t connections_max = 65535;
constexpr std::int64_t attempts_max = 1000;
constexpr std::int64_t priority_max = 1'000'000;
constexpr std::int64_t rate_max = 1'000'000'000'000;
constexpr double usd_max = 1e9;
constexpr double usd_per_million_max = 1e6;
constexpr duration timeout_max = 24h;

pico_usd_per_token price_of(double usd_per_million) {
  return pico_usd_per_token(std::llround(usd_per_million * 1e6));
}

std::optional<std::vector<std::string>> read_residency(yaml_map& map) {
  const auto names = map.strings("residency");
  if (!names) return std::nullopt;
  for (const auto& name : *names) {
    if (is_region_name(name)) continue;
    map.problem("residency", "expected lower-case names such as [eu, us], found " + name);
    return std::nullopt;
  }
  return names;
}

// ---- pools ----

void read_endpoint(yaml_map& map, pool_config& pool, bool provider_known) {
  const bool has_default = !provider_known || pool.provider == provider_kind::openai;
  pool.endpoint = map.string("endpoint", has_default ? need::optional : need::required)
                      .value_or(std::string(has_default ? openai_endpoint : ""));
  if (pool.endpoint.empty()) return;
  while (pool.endpoint.ends_with('/')) pool.endpoint.pop_back();
  const auto url = parse_endpoint(pool.endpoint);
  if (!url) {
    map.problem("endpoint", url.error().message);
  } else if (!url->tls && !url->is_loopback() && map.has("auth")) {
    map.problem("endpoint",
                "expected https://: a key is sent over plain http only to this machine itself");
  }
}

void read_quota(yaml_map& lane_map, lane_config& lane) {
  auto map = lane_map.map("quota");
  if (!map) return;
  auto& quota = lane.quota;
  quota.rpm = map->integer("rpm", {1, rate_max});
  if (const auto tpm = map->integer("tpm", {1, rate_max})) quota.tpm = tokens(*tpm);
  quota.concurrency = map->integer("concurrency", {1, connections_max});
  quota.rpd = map->integer("rpd", {1, rate_max});
  if (const auto usd = map->number("usd_per_day", {0.01, usd_max}))
    quota.usd_per_day = from_usd(*usd);
  quota.headroom = map->number("headroom", {0, 1, true}).value_or(0);
  for (const char* key : {"tpd", "itpm", "otpm", "enqueued_tokens"})
    map->unsupported(key, "use rpm, tpm, concurrency, rpd and usd_per_day");
  if (map->has("usd_per_day") && !lane_map.has("price"))
    lane_map.problem("price", "missing; quota.usd_per_day needs a price to count by");
}

void read_price(yaml_map& lane_map, lane_config& lane) {
  auto map = lane_map.map("price");
  if (!map) return;
  constexpr number_range range{0, usd_per_million_max};
  price_config price;
  price.input = price_of(map->number("input", range, need::required).value_or(0));
  price.output = price_of(map->number("output", range).value_or(0));
  if (const auto cached = map->number("cached_input", range))
    price.cached_input = price_of(*cached);
  lane.price = price;
}

lane_config read_lane(yaml_map& map, const std::vector<std::string>& pool_residency, bool budget,
                      std::set<std::string>& names) {
  lane_config lane;
  lane.model = map.string("model", need::required).value_or("");
  lane.as = map.string("as").value_or(lane.model);
  const auto tier = map.choice<lane_tier>("tier",
                                          {{"standard", lane_tier::standard},
                                           {"provisioned", lane_tier::provisioned},
                                           {"self-hosted", lane_tier::self_hosted}},
                                          {"flex", "batch"});
  lane.tier = tier.value_or(lane_tier::standard);
  const bool name_known = !lane.as.empty() && (tier || !map.has("tier"));
  if (name_known && !names.insert(lane.name()).second) {
    map.problem(map.has("as") ? "as" : "model",
                "expected a lane that differs from the pool's others in `as` or `tier`, found " +
                    lane.name() + " again");
  }
  read_quota(map, lane);
  read_price(map, lane);
  if (const auto n = map.integer("max_output_tokens", {1, rate_max}))
    lane.max_output_tokens = tokens(*n);
  lane.timeout = map.time("timeout", {1ms, timeout_max}).value_or(lane_config{}.timeout);
  lane.residency = read_residency(map).value_or(pool_residency);
  lane.data_classes = read_data_classes(map).value_or(std::vector<std::string>{});
  lane.embedding_model = map.string("embedding_model").value_or("");
  map.unsupported("surface", "the provider's own form is used");
  if (budget) {
    // A key that is there but wrong has its own problem already.
    const auto [key, message] = budget_shortfall(lane);
    if (!key.empty() && !map.has(key)) map.problem(key, message);
  } else if (lane.quota.usd_per_day && lane.price && lane.price->output > pico_usd_per_token{} &&
             !map.has("max_output_tokens")) {
    map.problem("max_output_tokens",
                "missing; quota.usd_per_day needs a bound for prompts that set no limit");
  }
  return lane;
}

pool_config read_pool(yaml_map& map, bool budget) {
  pool_config pool;
  pool.name = map.string("name", need::required).value_or("");
  if (!pool.name.empty() && !is_plain_name(pool.name)) map.problem("name", plain_name_expected);
  const auto provider =
      map.choice<provider_kind>("provider",
                                {{"openai", provider_kind::openai},
                                 {"azure-openai", provider_kind::azure_openai},
                                 {"openai-compatible", provider_kind::openai_compatible}},
                                {"bedrock", "vertex", "anthropic"}, need::required);
  pool.provider = provider.value_or(provider_kind::openai_compatible);
  read_endpoint(map, pool, provider.has_value());
  pool.auth = read_auth(map, pool.provider, provider.has_value());
  if (auto tls = map.map("tls")) pool.ca_file = tls->string("ca_file", need::required).value_or("");
  pool.region = map.string("region").value_or("");
  const auto residency = read_residency(map).value_or(std::vector<std::string>{});
  const auto data_classes = read_data_classes(map).value_or(std::vector<std::string>{});
  pool.connections = map.integer("connections", {1, connections_max});
  map.unsupported("api_version", "the version is part of the endpoint, as in .../openai/v1");
  map.unsupported("project", "it belongs to provider vertex");
  map.unsupported("location", "it belongs to provider vertex");
  std::set<std::string> lane_names;
  for (auto& lane : map.maps("lanes", need::required)) {
    pool.lanes.push_back(read_lane(lane, residency, budget, lane_names));
    auto& made = pool.lanes.back();
    if (made.data_classes.empty() && !lane.has("data_classes")) made.data_classes = data_classes;
  }
  return pool;
}

// ---- job ----

job_policy read_job(yaml_map& map) {
  job_policy job;
  read_routes(map, job);
  job.residency = read_residency(map);
  if (job.residency && job.residency->empty())
    map.problem("residency", "expected at least one name; leave the key out for no constraint");
  if (const auto usd = map.number("budget_usd", {0, usd_max})) job.budget = from_usd(*usd);
  job.in_doubt = map.choice<in_doubt_policy>(
      "in_doubt", {{"resend", in_doubt_policy::resend}, {"hold", in_doubt_policy::hold}});
  job.max_attempts = map.integer("max_attempts", {1, attempts_max});
  job.max_error_rate = map.number("max_error_rate", {0, 1});
  job.stall_timeout = map.time("stall_timeout", {1ms});
  return job;
}

/// The keys that only jobs of a fleet have.
void refuse_fleet_keys(yaml_map& job) {
  job.unsupported("deadline", "a run sends as fast as the quotas allow");
  for (const char* key : {"tenant", "weight", "priority", "keep"})
    job.unsupported(key, "it belongs to the jobs of a fleet");
}

void read_fleet_keys(yaml_map& map, fleet_config& config) {
  config.job.tenant = map.string("tenant").value_or("");
  config.job.weight = map.integer("weight", {1, job_weight_max}).value_or(config.job.weight);
  config.job.priority =
      static_cast<std::int32_t>(map.integer("priority", {-priority_max, priority_max}).value_or(0));
  config.job.keep = map.time("keep", {1s}).value_or(config.job.keep);
  config.deadline = map.time("deadline", {1s});
}

std::vector<pool_config> read_pools(yaml_map& root, need required, bool budget) {
  std::vector<pool_config> pools;
  std::set<std::string> names;
  for (auto& map : root.maps("pools", required)) {
    auto pool = read_pool(map, budget);
    if (!pool.name.empty() && !names.insert(pool.name).second)
      map.problem("name", "expected a name of its own, found " + pool.name + " again");
    pools.push_back(std::move(pool));
  }
  return pools;
}

result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  // Reading a directory opens fine and fails at the first byte.
  if (file && file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (file.bad() || !file.is_open()) {
    return failure{failure_kind::usage, path + ": cannot read the configuration (" +
                                            std::strerror(errno) +
                                            "); name a readable file with -c"};
  }
  return text.str();
}

}  // namespace

bool is_region_name(std::string_view name) {
  return !name.empty() &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string_view::npos;
}

lane_shortfall budget_shortfall(const lane_config& lane) {
  if (!lane.price) {
    return {"price",
            "missing; with a budget every lane needs price: { input: USD, output: USD } "
            "per 1M tokens (0 when it costs nothing)"};
  }
  if (lane.price->output > pico_usd_per_token(0) && !lane.max_output_tokens) {
    return {"max_output_tokens",
            "missing; with a budget it bounds what a prompt without "
            "max_tokens can cost"};
  }
  return {};
}

result<void> validate_for_budget(const run_config& config) {
  std::string text;
  for (const auto& pool : config.pools) {
    for (const auto& lane : pool.lanes) {
      const auto [key, message] = budget_shortfall(lane);
      if (key.empty()) continue;
      if (!text.empty()) text += "\n";
      text += "lane " + pool.name + "/" + lane.name() + ": " + std::string(key) + ": " + message;
    }
  }
  if (!text.empty()) return failure{failure_kind::usage, std::move(text)};
  return {};
}

result<run_config> parse_run_config(std::string_view text, std::string name, config_rules rules) {
  auto document = yaml_document::parse(text, std::move(name));
  auto root = document.root();
  run_config config;
  if (auto job = root.map("job")) {
    config.job = read_job(*job).over(config.job);
    refuse_fleet_keys(*job);
  }
  const bool budget = rules.budget_by_flag || config.job.budget.has_value();
  config.pools = read_pools(root, need::required, budget);
  check_policy(root, config.job.routes, config.pools);
  // A fleet's file serves for a run, too: its sections must be right, and mean nothing here.
  if (auto kafka = root.map("kafka")) read_kafka(*kafka);
  if (auto member = root.map("member")) read_member(*member);
  if (auto problems = document.check()) return std::move(*problems);
  return config;
}

result<run_config> load_run_config(const std::string& path, config_rules rules) {
  auto text = read_file(path);
  if (!text) return text.error();
  return parse_run_config(*text, path, rules);
}

result<fleet_config> parse_fleet_config(std::string_view text, std::string name,
                                        config_rules rules) {
  auto document = yaml_document::parse(text, std::move(name));
  auto root = document.root();
  fleet_config config;
  if (auto job = root.map("job")) {
    config.job = read_job(*job);
    read_fleet_keys(*job, config);
  }
  const bool budget = rules.budget_by_flag || config.job.budget.has_value();
  config.pools = read_pools(root, rules.pools_required ? need::required : need::optional, budget);
  check_policy(root, config.job.routes, config.pools);
  if (auto kafka = root.map("kafka", need::required)) config.kafka = read_kafka(*kafka);
  if (auto member = root.map("member")) config.member = read_member(*member);
  if (auto problems = document.check()) return std::move(*problems);
  return config;
}

result<fleet_config> load_fleet_config(const std::string& path, config_rules rules) {
  auto text = read_file(path);
  if (!text) return text.error();
  return parse_fleet_config(*text, path, rules);
}

}  // namespace spillway
