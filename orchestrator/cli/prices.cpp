#include "orchestrator/cli/prices.hpp"

#include "workers/http.hpp"
#include "workers/providers/hosts.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

namespace spillway {

namespace json = boost::json;

namespace {

constexpr double usd_per_token_max = 1;
constexpr std::string_view above = "_above_", thousands = "k_tokens", hour = "_above_1hr";
constexpr std::string_view input_field = "input_cost_per_token";
constexpr std::string_view output_field = "output_cost_per_token";
constexpr std::string_view read_field = "cache_read_input_token_cost";
constexpr std::string_view write_field = "cache_creation_input_token_cost";

std::string_view suffix_of(price_variant v) {
  switch (v) {
    case price_variant::standard: return "";
    case price_variant::flex: return "_flex";
    case price_variant::priority: return "_priority";
    case price_variant::batches: return "_batches";
  }
  return "";
}

const json::object* entry_of(const json::object& file, std::string_view key) {
  const auto* found = file.if_contains(json::string_view(key.data(), key.size()));
  return found ? found->if_object() : nullptr;
}

std::optional<double> number_in(const json::object& entry, std::string_view field) {
  const auto* found = entry.if_contains(json::string_view(field.data(), field.size()));
  if (!found || !found->is_number()) return std::nullopt;
  json::error_code error;
  const auto value = found->to_number<double>(error);
  if (error || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// Anything above zero costs at least the smallest unit.
std::optional<pico_usd_per_token> price_in(const json::object& entry, const std::string& field) {
  const auto usd = number_in(entry, field);
  if (!usd || *usd < 0 || *usd > usd_per_token_max) return std::nullopt;
  const auto pico = std::llround(*usd * 1e12);
  return pico_usd_per_token(*usd > 0 ? std::max<std::int64_t>(1, pico) : 0);
}

/// What stands under the fields with this suffix ("_above_272k_tokens_flex").
struct found_prices {
  std::optional<pico_usd_per_token> input, output, read, write, write_1h;
};

found_prices prices_with(const json::object& entry, const std::string& suffix) {
  const auto at = [&](std::string_view field) {
    return price_in(entry, std::string(field) + suffix);
  };
  found_prices p{at(input_field), at(output_field), at(read_field), at(write_field), {}};
  p.write_1h = at(std::string(write_field) + std::string(hour));
  return p;
}

/// The N of every "_above_Nk_tokens", ascending, in thousands.
std::set<std::int64_t> steps_in(const json::object& entry) {
  std::set<std::int64_t> steps;
  for (const auto& [name, value] : entry) {
    const std::string_view key(name.data(), name.size());
    if (!key.starts_with(input_field)) continue;
    auto rest = key.substr(input_field.size());
    if (!rest.starts_with(above)) continue;
    rest.remove_prefix(above.size());
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), n);
    const std::string_view unit(end, static_cast<std::size_t>(rest.data() + rest.size() - end));
    if (error == std::errc() && n > 0 && n < 1'000'000'000 && unit.starts_with(thousands))
      steps.insert(n);
  }
  return steps;
}

std::optional<pico_usd_per_token> dearer(std::optional<pico_usd_per_token> a,
                                         std::optional<pico_usd_per_token> b) {
  if (!a || !b) return a ? a : b;
  return std::max(*a, *b);
}

token_prices step_prices(const json::object& entry, const token_prices& below, std::int64_t n,
                         std::string_view variant) {
  const auto length = std::string(above) + std::to_string(n) + std::string(thousands);
  const auto own = prices_with(entry, length + std::string(variant));
  const auto standard = prices_with(entry, length);
  token_prices p;
  p.input = own.input.value_or(*dearer(below.input, standard.input));
  p.output = own.output.value_or(*dearer(below.output, standard.output));
  p.cached_input = own.read ? own.read : standard.read;  // else cached tokens cost `input`
  if (below.cache_write || own.write)
    p.cache_write =
        own.write ? own.write : dearer(dearer(below.cache_write, standard.write), p.input);
  // In the file the words stand in this order only: ..._above_1hr_above_200k_tokens.
  if (below.cache_write_1h || own.write_1h) {
    const auto dated = price_in(
        entry, std::string(write_field) + std::string(hour) + length + std::string(variant));
    p.cache_write_1h = dated ? dated : dearer(below.cache_write_1h, p.cache_write);
  }
  return p;
}

std::int64_t raised(pico_usd_per_token price, std::int64_t millionths) {
  const auto product = static_cast<wide_int>(price.count()) * millionths;
  return static_cast<std::int64_t>((product + 999'999) / 1'000'000);
}

void raise(token_prices& p, std::int64_t millionths) {
  for (auto* price : {&p.input, &p.output}) *price = pico_usd_per_token(raised(*price, millionths));
  for (auto* price : {&p.cached_input, &p.cache_write, &p.cache_write_1h})
    if (*price) **price = pico_usd_per_token(raised(**price, millionths));
}

void raise(price_config& price, double factor) {
  const auto millionths = std::llround(factor * 1e6);
  raise(static_cast<token_prices&>(price), millionths);
  for (auto& step : price.steps) raise(step.prices, millionths);
}

std::string host_of(const pool_config& pool) {
  const auto url = parse_endpoint(pool.endpoint);
  return url ? url->host : std::string();
}

/// "us" of us.api.openai.com.
std::string openai_place(const pool_config& pool) {
  constexpr std::string_view global = ".api.openai.com";
  const auto host = host_of(pool);
  return host.ends_with(global) ? host.substr(0, host.size() - global.size()) : "";
}

/// The name of a model in an ARN of a profile or a model; nothing in one that names neither.
std::string bedrock_id(const std::string& as) {
  if (!as.starts_with("arn:")) return as;
  const bool named = as.find(":inference-profile/") != std::string::npos ||
                     as.find(":foundation-model/") != std::string::npos;
  return named ? as.substr(as.rfind('/') + 1) : "";
}

std::vector<std::string> azure_keys(const lane_config& lane) {
  std::string zone;
  if (lane.residency == std::vector<std::string>{"us"}) zone = "us/";
  if (lane.residency == std::vector<std::string>{"eu"}) zone = "eu/";
  std::vector<std::string> keys{"azure/" + zone + lane.as};
  // A deployment may have any name.
  if (lane.model != lane.as) keys.push_back("azure/" + zone + lane.model);
  return keys;
}

std::vector<std::string> bedrock_keys(const pool_config& pool, const lane_config& lane) {
  const auto id = bedrock_id(lane.as);
  if (id.empty()) return {};
  if (pool.mantle || is_mantle_host(host_of(pool))) {
    if (pool.region.empty()) return {"bedrock_mantle/" + id};
    return {"bedrock_mantle/" + pool.region + "/" + id, "bedrock_mantle/" + id};
  }
  if (pool.region.empty()) return {id};
  return {"bedrock/" + pool.region + "/" + id, id};
}

price_variant variant_of(lane_tier tier) {
  if (tier == lane_tier::flex) return price_variant::flex;
  if (tier == lane_tier::priority) return price_variant::priority;
  return price_variant::standard;
}

/// Entries without a prefix are shared: those of another provider are no price of this one.
bool is_of(provider_kind provider, std::string_view key, std::string_view listed_for) {
  if (key.find('/') != std::string_view::npos) return true;
  switch (provider) {
    case provider_kind::openai:
      return listed_for == "openai" || listed_for == "text-completion-openai";
    case provider_kind::bedrock: return listed_for.starts_with("bedrock");
    case provider_kind::vertex: return listed_for.starts_with("vertex_ai");
    case provider_kind::anthropic: return listed_for == "anthropic";
    case provider_kind::azure_openai:
    case provider_kind::openai_compatible: break;
  }
  return true;
}

/// What the place adds to the price under this key; nothing when that is unknown.
std::optional<double> uplift(const price_list& list, const std::string& key,
                             const pool_config& pool) {
  if (pool.provider == provider_kind::openai) {
    const auto place = openai_place(pool);
    if (place.empty()) return 1;
    const std::string field = "regional_processing_uplift_multiplier_";
    if (const auto own = list.number(key, field + place)) return own;
    // Older models cost the same everywhere; of the others only these places are listed.
    return list.number(key, field + "us") ? std::nullopt : std::optional(1.0);
  }
  if (pool.provider == provider_kind::vertex && !pool.location.empty() && pool.location != "global")
    return list.number(key, "regional_endpoint_uplift_multiplier").value_or(1);
  return 1;
}

std::string joined(const std::vector<std::string>& keys) {
  std::string text;
  for (const auto& key : keys) text += (text.empty() ? "" : ", ") + key;
  return text;
}

}  // namespace

struct price_list::parts {
  std::string name;
  json::object entries;
};

result<price_list> price_list::parse(std::string_view text, std::string name) {
  json::error_code error;
  auto value = json::parse(json::string_view(text.data(), text.size()), error);
  auto made = std::make_shared<parts>();
  if (error || !value.is_object()) {
    return failure{failure_kind::usage,
                   name + ": expected a JSON object of prices by model" +
                       (error ? " (" + error.message() + ")" : "") +
                       ", such as LiteLLM's model_prices_and_context_window.json"};
  }
  made->entries = std::move(value.get_object());
  made->entries.erase("sample_spec");  // explains the fields
  const auto has_price = [](const auto& entry) {
    return entry.value().is_object() && entry.value().get_object().contains(input_field.data());
  };
  if (std::none_of(made->entries.begin(), made->entries.end(), has_price)) {
    return failure{failure_kind::usage,
                   name +
                       ": no entry has an input_cost_per_token; expected a file such as "
                       "LiteLLM's model_prices_and_context_window.json"};
  }
  made->name = std::move(name);
  return price_list(std::move(made));
}

result<price_list> price_list::load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file && file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (file.bad() || !file.is_open()) {
    return failure{failure_kind::usage,
                   path + ": cannot read the prices (" + std::strerror(errno) + ")"};
  }
  return parse(text.str(), path);
}

const std::string& price_list::name() const { return parts_->name; }

std::size_t price_list::size() const { return parts_->entries.size(); }

bool price_list::has(std::string_view key) const { return entry_of(parts_->entries, key); }

std::string price_list::provider_of(std::string_view key) const {
  const auto* entry = entry_of(parts_->entries, key);
  const auto* provider = entry ? entry->if_contains("litellm_provider") : nullptr;
  return provider && provider->is_string() ? std::string(provider->get_string()) : "";
}

std::optional<double> price_list::number(std::string_view key, std::string_view field) const {
  const auto* entry = entry_of(parts_->entries, key);
  return entry ? number_in(*entry, field) : std::nullopt;
}

result<price_config> price_list::price(std::string_view key, price_variant variant) const {
  const auto unknown = [&](const std::string& what) {
    return failure{failure_kind::usage, parts_->name + ": " + std::string(key) + " has no " + what};
  };
  const auto* entry = entry_of(parts_->entries, key);
  if (!entry) return failure{failure_kind::usage, parts_->name + ": no entry " + std::string(key)};
  const std::string suffix(suffix_of(variant));
  const auto base = prices_with(*entry, suffix);
  if (!base.input) return unknown(std::string(input_field) + suffix);
  const auto* mode = entry->if_contains("mode");
  const bool embeds = mode && mode->is_string() && mode->get_string() == "embedding";
  if (!base.output && !embeds) return unknown(std::string(output_field) + suffix);
  price_config price;
  price.input = *base.input;
  price.output = base.output.value_or(pico_usd_per_token{});
  price.cached_input = base.read;
  price.cache_write = base.write;
  // The file knows it for the standard tier only.
  if (base.write_1h) price.cache_write_1h = dearer(base.write_1h, base.write);
  for (const auto n : steps_in(*entry))
    price.steps.push_back({tokens(n * 1000), step_prices(*entry, price, n, suffix)});
  return price;
}

std::vector<std::string> price_keys(const pool_config& pool, const lane_config& lane) {
  if (!lane.price_key.empty()) return {lane.price_key};
  // Paid by the hour, or not at all: no price of a token is listed.
  if (lane.tier == lane_tier::provisioned || lane.tier == lane_tier::self_hosted) return {};
  switch (pool.provider) {
    case provider_kind::openai: return {lane.as};
    case provider_kind::azure_openai: return azure_keys(lane);
    case provider_kind::bedrock: return bedrock_keys(pool, lane);
    case provider_kind::vertex: {
      constexpr std::string_view publisher = "google/";
      const auto id = lane.as.starts_with(publisher) ? lane.as.substr(publisher.size()) : lane.as;
      if (id != lane.as) return {"vertex_ai/" + id, "vertex_ai/" + lane.as, id};
      return {"vertex_ai/" + id, id};
    }
    case provider_kind::anthropic: return {lane.as, "anthropic/" + lane.as};
    case provider_kind::openai_compatible: break;
  }
  if (host_of(pool) == "generativelanguage.googleapis.com") return {"gemini/" + lane.as};
  return {};
}

result<price_config> price_of_lane(const price_list& list, const pool_config& pool,
                                   const lane_config& lane) {
  const auto keys = price_keys(pool, lane);
  if (keys.empty()) {
    return failure{failure_kind::usage, "no key of " + list.name() +
                                            " follows from such a lane; name one with price_key"};
  }
  std::string others;
  for (const auto& key : keys) {
    if (!list.has(key)) continue;
    if (const auto of = list.provider_of(key);
        lane.price_key.empty() && !is_of(pool.provider, key, of)) {
      others += "; its entry " + key +
                (of.empty() ? " names no litellm_provider" : " is of " + of) +
                ": if it is right, name it with price_key";
      continue;
    }
    auto price = list.price(key, variant_of(lane.tier));
    if (!price) return price;
    const auto factor = uplift(list, key, pool);
    if (!factor) {
      return failure{failure_kind::usage,
                     list.name() + ": " + key + " has no price for " + host_of(pool)};
    }
    if (*factor != 1) raise(*price, *factor);
    return price;
  }
  return failure{failure_kind::usage, list.name() + " has no entry " + joined(keys) + others};
}

}  // namespace spillway
