// The provider seam: pure translation between a prompt and one provider's HTTP.
#pragma once

#include "schemas/config.hpp"
#include "schemas/outcome.hpp"
#include "workers/http.hpp"
#include "workers/transport/transport.hpp"

#include <memory>
#include <string_view>

namespace spillway {

/// A validated prompt as adapters see it. Views into the input line.
struct prompt_view {
  std::string_view url;          ///< "/v1/chat/completions", "/v1/responses" or "/v1/embeddings"
  std::string_view body;         ///< one JSON object
  std::size_t model_offset = 0;  ///< of the JSON string token that is body.model, within `body`
  std::size_t model_length = 0;  ///< quotes included
};

/// What the provider's own limiter charges for a call, before and after the answer.
struct token_charge_input {
  tokens
      estimated_input;  ///< body bytes / 4 x the lane's learned ratio, or billed input afterwards
  tokens max_output;    ///< n x max tokens the prompt asks for; 0 = not given
  tokens expected_output;  ///< learned mean, or billed output afterwards
};

/// Adapters hold no state and touch no I/O: any thread may call them at any time.
class provider {
 public:
  virtual ~provider() = default;
  /// The HTTP request, without credentials (an authenticator adds those).
  [[nodiscard]] virtual http_request encode(const prompt_view&, const lane_config&) const = 0;
  /// What a finished call means.
  [[nodiscard]] virtual outcome decode(std::string_view url, const call_result&) const = 0;
  /// Tokens the provider counts against tokens/min for a call (providers' own rules).
  [[nodiscard]] virtual tokens rate_charge(const token_charge_input&) const = 0;
};

[[nodiscard]] std::unique_ptr<provider> make_provider(const pool_config&);

}  // namespace spillway
