// Where prompts are worked on, as far as residency, addresses and names of models say.
#include "orchestrator/cli/config.hpp"
#include "orchestrator/cli/config_sections.hpp"
#include "workers/http.hpp"
#include "workers/providers/hosts.hpp"

#include <algorithm>
#include <array>

namespace spillway {

namespace {

/// What stands between two texts that begin and end `whole`; empty when they do not.
std::string_view between(std::string_view whole, std::string_view begin, std::string_view end) {
  if (whole.size() <= begin.size() + end.size()) return {};
  if (!whole.starts_with(begin) || !whole.ends_with(end)) return {};
  const auto inner = whole.substr(begin.size(), whole.size() - begin.size() - end.size());
  return inner.find('.') == inner.npos ? inner : std::string_view();
}

/// The place that a public host of the cloud serves; empty for all other hosts.
std::string_view place_of_host(provider_kind provider, std::string_view host) {
  struct form {
    provider_kind provider;
    std::string_view begin, end;
  };
  using enum provider_kind;
  constexpr std::array forms = {
      form{bedrock, "bedrock-runtime.", ".amazonaws.com"},
      form{bedrock, "bedrock-runtime-fips.", ".amazonaws.com"},
      form{bedrock, "bedrock-runtime.", ".api.aws"},
      form{bedrock, "bedrock-runtime-fips.", ".api.aws"},
      form{bedrock, "bedrock-mantle.", ".api.aws"},
      form{vertex, "", "-aiplatform.googleapis.com"},
      form{vertex, "aiplatform.", ".rep.googleapis.com"},
  };
  if (provider == openai) return openai_geography(host);
  if (provider == vertex && host == "aiplatform.googleapis.com") return "global";
  for (const auto& one : forms)
    if (one.provider == provider)
      if (const auto place = between(host, one.begin, one.end); !place.empty()) return place;
  return {};
}

/// What the pool's own keys call the place of its host; empty where they name none.
std::string_view named_place(const pool_config& pool, std::string_view place_of_host) {
  if (pool.provider == provider_kind::bedrock) return pool.region;
  if (pool.provider == provider_kind::vertex) return pool.location;
  // OpenAI's hosts are of a geography, and a region is only a word for the rows.
  if (pool.region == place_of_host) return place_of_host;
  const auto named = openai_geography(pool.region + ".api.openai.com");
  return named.empty() ? geography_of_region(pool.region) : named;
}

void expect_region(yaml_map& map, const pool_config& pool, const lane_config& lane,
                   std::string_view found) {
  const bool vertex = pool.provider == provider_kind::vertex;
  const auto& expected = vertex ? pool.location : pool.region;
  if (expected.empty() || found == expected) return;
  map.problem(map.has("as") ? "as" : "model", std::string("expected a name of the pool's ") +
                                                  (vertex ? "location " : "region ") + expected +
                                                  ", found " + lane.as);
}

/// "us-central1" of projects/P/locations/us-central1/...
std::string_view location_of(std::string_view name) {
  constexpr std::string_view key = "/locations/";
  const auto at = name.find(key);
  if (at == name.npos) return {};
  name.remove_prefix(at + key.size());
  return name.substr(0, name.find('/'));
}

constexpr int arn_region = 3, arn_resource = 5;

/// The part of an ARN with that number: arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE.
std::string_view arn_part(std::string_view arn, int number) {
  for (int i = 0; i < number; ++i) {
    const auto colon = arn.find(':');
    if (colon == arn.npos) return {};
    arn.remove_prefix(colon + 1);
  }
  return number == arn_resource ? arn : arn.substr(0, arn.find(':'));
}

/// True for an id of Bedrock that works where it is asked, or says where else it does. An
/// application's profile may be a copy of one that works anywhere, a router leads on to others, and
/// a prefix that is not known stands for a place that is not known.
bool tells_its_place(std::string_view id) {
  if (id.starts_with("arn:")) {
    const auto resource = arn_part(id, arn_resource);
    return resource.starts_with("foundation-model/") ||
           resource.starts_with("provisioned-model/") ||
           (resource.starts_with("inference-profile/") && !bedrock_geography(resource).empty());
  }
  if (!bedrock_geography(id).empty()) return true;
  for (const std::string_view maker : {".amazon.", ".anthropic.", ".cohere.", ".deepseek.",
                                       ".meta.", ".mistral.", ".openai.", ".qwen.", ".writer."})
    if (id.find(maker) != id.npos) return false;
  return true;
}

std::vector<std::string> bedrock_residency(yaml_map& map, const pool_config& pool,
                                           const lane_config& lane,
                                           std::optional<std::vector<std::string>> own,
                                           const pool_places& places) {
  if (lane.as.starts_with("arn:")) expect_region(map, pool, lane, arn_part(lane.as, arn_region));
  const std::vector<std::string> nowhere;
  // What is worked on anywhere has no residency, unless the lane itself insists.
  if (is_bedrock_global(lane.as)) return own.value_or(nowhere);
  if (!tells_its_place(lane.as)) return own.value_or(places.declared.value_or(nowhere));
  const std::string place(bedrock_geography(lane.as));
  if (place.empty()) return own.value_or(places.declared.value_or(places.by_address));
  // The prompt goes to the pool's address first, whoever works on it then.
  const auto from = geography_of_region(pool.region);
  if (!from.empty() && from != place)
    map.problem(
        map.has("as") ? "as" : "model",
        "expected an inference profile of the pool's region " + pool.region + ", found " + lane.as);
  const auto& insisted = own ? own : places.declared;
  if (!insisted) return places.by_address == std::vector{place} ? places.by_address : nowhere;
  if (std::find(insisted->begin(), insisted->end(), place) == insisted->end())
    map.problem("residency", "expected " + place + " among them: the inference profile " + lane.as +
                                 " works there");
  return own ? *std::move(own) : std::vector{place};
}

}  // namespace

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

pool_places read_pool_places(yaml_map& map, const pool_config& pool) {
  pool_places places;
  places.declared = read_residency(map);
  const auto url = parse_endpoint(pool.endpoint);
  if (!url) return places;
  const auto place = place_of_host(pool.provider, url->host);
  const auto named = named_place(pool, place);
  if (!place.empty() && !named.empty() && place != named) {
    map.problem("endpoint", std::string("expected a host of the pool's ") +
                                (pool.provider == provider_kind::vertex ? "location " : "region ") +
                                std::string(named) + ", found one of " + std::string(place));
    return places;
  }
  // What stands behind a host that is not the cloud's own may be anywhere; a simulator on this
  // machine plays the cloud.
  const bool regional =
      pool.provider == provider_kind::bedrock || pool.provider == provider_kind::vertex;
  auto certain = place;
  if (regional) certain = !place.empty() || url->is_loopback() ? geography_of_region(named) : "";
  if (!certain.empty()) places.by_address = {std::string(certain)};
  return places;
}

std::vector<std::string> read_lane_residency(yaml_map& map, const pool_config& pool,
                                             const lane_config& lane, const pool_places& places) {
  auto own = read_residency(map);
  if (pool.provider == provider_kind::bedrock)
    return bedrock_residency(map, pool, lane, std::move(own), places);
  if (pool.provider == provider_kind::vertex && lane.as.starts_with("projects/"))
    expect_region(map, pool, lane, location_of(lane.as));
  return own.value_or(places.declared.value_or(places.by_address));
}

}  // namespace spillway
