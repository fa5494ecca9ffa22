#include "orchestrator/core/money.hpp"

#include <algorithm>

namespace spillway {

namespace {

pico_usd_per_token dearest_input(const token_prices& p) {
  return std::max({p.input, p.cached_input.value_or(p.input), p.cache_write.value_or(p.input),
                   p.cache_write_1h.value_or(p.input)});
}

tokens image_tokens_of(const lane_config& lane) {
  const auto is = [&](std::string_view name) { return name.find("4o-mini") != name.npos; };
  return is(lane.as) || is(lane.model) ? image_tokens_max_tiled : image_tokens_max;
}

}  // namespace

prompt_size size_of(const prompt& p) {
  return {static_cast<std::int64_t>(p.body.length), p.images, p.choices, p.max_output,
          added_tokens(p.endpoint, p.features)};
}

tokens added_tokens(endpoint_kind endpoint, prompt_features asked) {
  using enum prompt_feature;
  if (endpoint == endpoint_kind::embeddings || endpoint == endpoint_kind::completions) return {};
  const bool instructed = !(asked & (tools | json_object | json_schema)).empty();
  return template_tokens_max + (instructed ? instructions_tokens_max : tokens{});
}

const token_prices& prices_at(const price_config& price, tokens input) {
  const token_prices* at = &price;
  for (const auto& step : price.steps)
    if (input > step.above) at = &step.prices;
  return *at;
}

tokens output_limit(const prompt_size& size, const lane_config& lane) {
  if (size.max_output > tokens{} || !lane.max_output_tokens) return size.max_output;
  return *lane.max_output_tokens * size.choices;
}

nano_usd worst_case(const prompt_size& size, const lane_config& lane) {
  if (!lane.price) return {};
  auto input = tokens(size.body_bytes) + size.added;
  if (size.images > 0) input += image_tokens_of(lane) * size.images;
  auto output = output_limit(size, lane);
  if (output > tokens{}) output = std::max(output, output_tokens_least * size.choices);
  const auto at = [&](const token_prices& p) {
    return cost_of(input, dearest_input(p)) + cost_of(output, p.output);
  };
  auto worst = at(*lane.price);
  for (const auto& step : lane.price->steps)
    if (input > step.above) worst = std::max(worst, at(step.prices));
  return worst;
}

const price_config& price_served(const lane_config& lane, std::string_view service_tier) {
  auto tier = lane.tier;
  if (service_tier == "default")
    tier = lane_tier::standard;
  else if (service_tier == "flex")
    tier = lane_tier::flex;
  else if (service_tier == "priority")
    tier = lane_tier::priority;
  const auto other = lane.other_tiers.find(tier);
  return tier == lane.tier || other == lane.other_tiers.end() ? *lane.price : other->second;
}

nano_usd billed(const token_usage& usage, const price_config& price) {
  const auto& p = prices_at(price, usage.input);
  const tokens cached = std::min(usage.cached, usage.input);
  const tokens written = std::min(usage.cache_write, usage.input - cached);
  const tokens for_an_hour = std::min(usage.cache_write_1h, written);
  // Rounded once, so that a bill never passes the worst case by the rounding.
  const auto pico = [](tokens n, pico_usd_per_token each) {
    return static_cast<wide_int>(n.count()) * each.count();
  };
  const auto write = p.cache_write.value_or(p.input);
  const auto sum =
      pico(usage.input - cached - written, p.input) +
      pico(cached, p.cached_input.value_or(p.input)) + pico(written - for_an_hour, write) +
      pico(for_an_hour, p.cache_write_1h.value_or(write)) + pico(usage.output, p.output);
  return nano_usd(static_cast<std::int64_t>((sum + 999) / 1000));
}

}  // namespace spillway
