// What a call may cost at most, what it did cost, and the hard cap over all calls.
#pragma once

#include "schemas/config.hpp"
#include "schemas/outcome.hpp"
#include "schemas/prompt.hpp"

namespace spillway {

/// Input tokens one image may be billed for, whatever its bytes, wherever it lies and whichever
/// `detail` it asks for: lanes may pass that on or not. 16,384 is what a vision encoder of vLLM's
/// takes at most; the clouds' models stay below it but for one, which counts by the tile.
inline constexpr tokens image_tokens_max{16'384};
inline constexpr tokens image_tokens_max_tiled{49'152};  ///< gpt-4o-mini: 2,833 + 8 x 5,667

/// What a chat template adds to a prompt's text: marks, and a system text where there is none.
inline constexpr tokens template_tokens_max{128};
/// What providers add for tools, or a form to answer in: instructions how to use them. Claude's are
/// the longest known, below 1,000.
inline constexpr tokens instructions_tokens_max{1'024};

/// Lower limits of an answer are raised to this by forms that refuse them (Responses, and models of
/// Bedrock's).
inline constexpr tokens output_tokens_least{16};

struct prompt_size {
  std::int64_t body_bytes = 0;  ///< at least as many as the prompt's text tokens
  std::int64_t images = 0;
  std::int64_t choices = 1;
  tokens max_output;  ///< choices x max output; 0 = not said by the prompt
  tokens added{};     ///< input that is not in the body: `added_tokens`
};
[[nodiscard]] prompt_size size_of(const prompt&);

/// Input tokens that a provider may add to the text of a prompt that asks for this.
[[nodiscard]] tokens added_tokens(endpoint_kind, prompt_features asked);

/// The most tokens a call may answer: as the prompt says, else as the lane says, whose adapter asks
/// for no more. 0 = unknown.
[[nodiscard]] tokens output_limit(const prompt_size&, const lane_config&);

/// What a token costs in a request of so many input tokens.
[[nodiscard]] const token_prices& prices_at(const price_config&, tokens input);

/// Worst case of one call, reserved before it is sent, at the dearest prices that may apply. Zero
/// without a price.
[[nodiscard]] nano_usd worst_case(const prompt_size&, const lane_config&);

/// What a call costs that was served at this tier (an outcome's `service_tier`): the lane's own
/// price where none is named, or none known for it.
[[nodiscard]] const price_config& price_served(const lane_config&, std::string_view service_tier);

/// What a call with this usage is billed.
[[nodiscard]] nano_usd billed(const token_usage&, const price_config&);

/// A hard cap: reserved before a send, settled after. settled + reserved never passes the cap by
/// a reservation; only a bill above its own worst case could.
class budget {
 public:
  explicit budget(std::optional<nano_usd> cap = {}) : cap_(cap) {}
  void set_cap(std::optional<nano_usd> cap) { cap_ = cap; }
  [[nodiscard]] bool fits(nano_usd worst) const {
    return !cap_ || settled_ + reserved_ + worst <= *cap_;
  }
  void reserve(nano_usd worst) { reserved_ += worst; }
  /// Ends a reservation: `cost` of it stays charged.
  void settle(nano_usd worst, nano_usd cost) {
    reserved_ -= worst;
    settled_ += cost;
  }
  [[nodiscard]] nano_usd settled() const { return settled_; }
  [[nodiscard]] nano_usd reserved() const { return reserved_; }
  [[nodiscard]] std::optional<nano_usd> cap() const { return cap_; }

 private:
  std::optional<nano_usd> cap_;
  nano_usd settled_, reserved_;
};

}  // namespace spillway
