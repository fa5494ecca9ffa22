#include "orchestrator/core/money.hpp"

#include <algorithm>

namespace spillway {

namespace {

pico_usd_per_token dearest_input(const token_prices& p) {
  return std::max({p.input, p.cached_input.value_or(p.input), p.cache_write.value_or(p.input),
                   p.cache_write_1h.value_or(p.input)});
}

}  // namespace

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
  const tokens input = tokens(size.body_bytes) + image_tokens_max * size.images;
  const auto output = output_limit(size, lane);
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
