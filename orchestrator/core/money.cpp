#include "orchestrator/core/money.hpp"

#include <algorithm>

namespace spillway {

nano_usd worst_case(const prompt_size& size, const lane_config& lane) {
  if (!lane.price) return {};
  const auto& price = *lane.price;
  const auto dearest_input = std::max(price.input, price.cached_input.value_or(price.input));
  const tokens input = tokens(size.body_bytes) + image_tokens_max * size.images;
  tokens output = size.max_output;
  if (output == tokens{} && lane.max_output_tokens) output = *lane.max_output_tokens * size.choices;
  return cost_of(input, dearest_input) + cost_of(output, price.output);
}

nano_usd billed(const token_usage& usage, const price_config& price) {
  const tokens cached = std::min(usage.cached, usage.input);
  // Rounded once, so that a bill never passes the worst case by the rounding.
  const auto pico = [](tokens n, pico_usd_per_token each) {
    return static_cast<wide_int>(n.count()) * each.count();
  };
  const auto sum = pico(usage.input - cached, price.input) +
                   pico(cached, price.cached_input.value_or(price.input)) +
                   pico(usage.output, price.output);
  return nano_usd(static_cast<std::int64_t>((sum + 999) / 1000));
}

}  // namespace spillway
