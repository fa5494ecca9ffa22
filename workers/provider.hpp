// The provider seam: pure translation between a prompt and one provider's HTTP.
#pragma once

#include "schemas/config.hpp"
#include "schemas/features.hpp"
#include "schemas/outcome.hpp"
#include "schemas/prompt.hpp"
#include "workers/http.hpp"
#include "workers/transport/transport.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

/// A validated prompt as adapters see it. Views into the input line.
struct prompt_view {
  std::string_view url;          ///< one of `url_of`
  std::string_view body;         ///< one JSON object
  std::size_t model_offset = 0;  ///< of the JSON string token that is body.model, within `body`
  std::size_t model_length = 0;  ///< quotes included
  bool limited = false;          ///< the body says how long an answer may be
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
  /// The HTTP request, without credentials (an authenticator adds those). What the lane cannot map
  /// and may be dropped is left out; the caller has made sure that nothing else is unmappable. An
  /// answer that the prompt does not limit is limited as the lane says: money is reserved for no
  /// more.
  [[nodiscard]] virtual http_request encode(const prompt_view&, const lane_config&) const = 0;
  /// What a finished call to the prompt's `url` means. The body of an answer is in the OpenAI form
  /// of that url, whatever the lane's surface, and in the encoding that was `asked` for.
  [[nodiscard]] virtual outcome decode(std::string_view url, const call_result&, const lane_config&,
                                       prompt_features asked = {}) const = 0;
  /// False when the lane can't take prompts of this endpoint at all.
  [[nodiscard]] virtual bool serves(endpoint_kind, const lane_config&) const = 0;
  /// What the lane can't pass on. A prompt goes there only if it asks for none of it, or if the
  /// job's policy drops it and it is droppable.
  [[nodiscard]] virtual prompt_features unmappable(endpoint_kind, const lane_config&) const = 0;
  /// Tokens the provider counts against tokens/min for a call (providers' own rules).
  [[nodiscard]] virtual tokens rate_charge(const token_charge_input&) const = 0;
  /// The same once the answer has shown what was used.
  [[nodiscard]] virtual tokens settled_charge(const token_usage& used, tokens max_output,
                                              const lane_config&) const {
    return rate_charge({used.input, max_output, used.output});
  }
};

[[nodiscard]] std::unique_ptr<provider> make_provider(const pool_config&);

/// What a prompt's body asks for.
[[nodiscard]] prompt_features features_of(const prompt_view&);
/// The names of its body's parameters that carry these features, for a result row's `dropped`.
[[nodiscard]] std::vector<std::string> parameters_of(const prompt_view&, prompt_features);

}  // namespace spillway
