// The section `pools`: who is asked, and where.
#include "orchestrator/cli/config_sections.hpp"
#include "schemas/job.hpp"
#include "workers/http.hpp"
#include "workers/providers/hosts.hpp"

#include <set>

namespace spillway {

namespace {

constexpr std::string_view openai_endpoint = "https://api.openai.com/v1";
constexpr std::string_view anthropic_endpoint = "https://api.anthropic.com";
constexpr std::int64_t connections_max = 65535;

/// What a provider's public host follows from; "" where there is none.
std::string default_endpoint(const pool_config& pool) {
  switch (pool.provider) {
    case provider_kind::openai: return std::string(openai_endpoint);
    case provider_kind::anthropic: return std::string(anthropic_endpoint);
    case provider_kind::bedrock:
      return pool.mantle ? mantle_endpoint(pool.region) : bedrock_endpoint(pool.region);
    case provider_kind::vertex: return vertex_endpoint(pool.location);
    case provider_kind::azure_openai:
    case provider_kind::openai_compatible: break;
  }
  return {};
}

/// What a public host is asked at, if not where the endpoint says.
std::string misfit(const pool_config& pool, const endpoint_url& url) {
  const auto host = "https://" + url.host;
  if (pool.provider == provider_kind::openai && url.host.ends_with("api.openai.com"))
    return url.prefix == "/v1" ? "" : host + "/v1";
  if (pool.provider == provider_kind::azure_openai && url.prefix.starts_with("/openai/deployments"))
    return host + ": the deployment is the lane's `as`";
  return {};
}

void read_endpoint(yaml_map& map, pool_config& pool, bool provider_known) {
  const auto usual = default_endpoint(pool);
  const bool has_default = !provider_known || !usual.empty();
  pool.endpoint =
      map.string("endpoint", has_default ? need::optional : need::required).value_or(usual);
  if (pool.endpoint.empty()) return;
  while (pool.endpoint.ends_with('/')) pool.endpoint.pop_back();
  const auto url = parse_endpoint(pool.endpoint);
  if (!url) {
    map.problem("endpoint", url.error().message);
    return;
  }
  if (!url->tls && !url->is_loopback() && map.has("auth")) {
    map.problem("endpoint",
                "expected https://: a key is sent over plain http only to this machine itself");
  }
  if (const auto expected = misfit(pool, *url); !expected.empty())
    map.problem("endpoint", "expected " + expected + ", found " + pool.endpoint);
  if (pool.provider == provider_kind::bedrock)
    pool.mantle = pool.mantle || is_mantle_host(url->host);
}

/// The keys that only some providers have; for others they are a mistake, not ignored.
void read_own_keys(yaml_map& map, pool_config& pool, bool provider_known) {
  const auto belongs = [&](const char* key, provider_kind owner, need required) -> std::string {
    if (pool.provider == owner) return map.string(key, required).value_or("");
    const auto found = map.string(key);
    if (found && provider_known)
      map.problem(key, std::string("it belongs to provider ") + name_of(owner));
    return {};
  };
  if (pool.provider == provider_kind::openai) {
    pool.organization = map.string("organization").value_or("");
    pool.project_id = map.string("project").value_or("");
  } else {
    (void)belongs("organization", provider_kind::openai, need::optional);
    pool.project = belongs("project", provider_kind::vertex, need::required);
  }
  pool.location = belongs("location", provider_kind::vertex, need::required);
  pool.api_version = belongs("api_version", provider_kind::azure_openai, need::optional);
  const bool bedrock = pool.provider == provider_kind::bedrock;
  pool.region = map.string("region", bedrock ? need::required : need::optional).value_or("");
  if (pool.provider == provider_kind::vertex && pool.region.empty()) pool.region = pool.location;
  const auto mantle = map.boolean("mantle");
  if (mantle && provider_known && !bedrock) map.problem("mantle", "it belongs to provider bedrock");
  pool.mantle = bedrock && mantle.value_or(false);
  for (const auto& text : {pool.organization, pool.project_id, pool.api_version})
    if (text.find_first_not_of(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != text.npos)
      map.problem(
          "expected letters, digits, \"-\", \"_\" and \".\" in a header or a query, found " + text);
}

pool_config read_pool(yaml_map& map, const lane_rules& rules) {
  pool_config pool;
  pool.name = map.string("name", need::required).value_or("");
  if (!pool.name.empty() && !is_plain_name(pool.name)) map.problem("name", plain_name_expected);
  const auto provider =
      map.choice<provider_kind>("provider",
                                {{"openai", provider_kind::openai},
                                 {"azure-openai", provider_kind::azure_openai},
                                 {"bedrock", provider_kind::bedrock},
                                 {"vertex", provider_kind::vertex},
                                 {"anthropic", provider_kind::anthropic},
                                 {"openai-compatible", provider_kind::openai_compatible}},
                                {}, need::required);
  pool.provider = provider.value_or(provider_kind::openai_compatible);
  read_own_keys(map, pool, provider.has_value());
  read_endpoint(map, pool, provider.has_value());
  pool.auth = read_auth(map, pool.provider, provider.has_value());
  if (auto tls = map.map("tls")) pool.ca_file = tls->string("ca_file", need::required).value_or("");
  const auto places = read_pool_places(map, pool);
  pool.data_classes = read_data_classes(map).value_or(std::vector<std::string>{});
  pool.connections = map.integer("connections", {1, connections_max});
  pool.lanes = read_lanes(map, pool, places, rules);
  return pool;
}

}  // namespace

std::vector<pool_config> read_pools(yaml_map& root, need required, const lane_rules& rules) {
  std::vector<pool_config> pools;
  std::set<std::string> names;
  for (auto& map : root.maps("pools", required)) {
    auto pool = read_pool(map, rules);
    if (!pool.name.empty() && !names.insert(pool.name).second)
      map.problem("name", "expected a name of its own, found " + pool.name + " again");
    pools.push_back(std::move(pool));
  }
  return pools;
}

}  // namespace spillway
