// The error taxonomy: which failure means what, as tables read from top to bottom.
#pragma once

#include "schemas/config.hpp"
#include "schemas/outcome.hpp"
#include "workers/transport/transport.hpp"

#include <span>
#include <string>
#include <string_view>

namespace spillway {

/// What a failure calls for. A rule names several where the scheduler may choose.
enum error_action : unsigned {
  act_retry = 1u << 0,         ///< same lane, after a delay
  act_spill = 1u << 1,         ///< another lane
  act_quota = 1u << 2,         ///< the lane's quota is used up
  act_reject = 1u << 3,        ///< this prompt can never succeed
  act_unhealthy = 1u << 4,     ///< counts against the breaker
  act_stop_auth = 1u << 5,     ///< lane down: credentials or permission
  act_stop_billing = 1u << 6,  ///< lane down: no money or a spend limit
  act_stop_model = 1u << 7,    ///< lane down: no such model here
};

enum error_trait : unsigned {
  trait_counts = 1u << 0,      ///< counts towards max_attempts
  trait_in_doubt = 1u << 1,    ///< may have been billed
  trait_halve_rate = 1u << 2,  ///< the provider asks for a slower ramp
  trait_firm = 1u << 3,        ///< `x-should-retry: true` does not change it
  trait_over_limit = 1u << 4,  ///< matches only a request larger than the whole limit
  trait_stale = 1u << 5,       ///< a newer credential may do
  trait_form = 1u << 7,        ///< the request's form, which is the lane's doing if it goes on
  trait_once = 1u << 6,        ///< worth one more try here, not several
};

/// Providers a rule is for, as a set.
enum error_source : unsigned {
  from_openai = 1u << 0,
  from_azure = 1u << 1,
  from_compatible = 1u << 2,
  from_bedrock = 1u << 3,
  from_vertex = 1u << 4,
  from_anthropic = 1u << 5,
  from_any =
      from_openai | from_azure | from_compatible | from_bedrock | from_vertex | from_anthropic,
};

[[nodiscard]] error_source source_of(provider_kind);

/// One row. Empty texts match everything; `code` is compared with the provider's code and its inner
/// code, `type` with its type, `message` is a pattern for `contains_like`.
struct error_rule {
  unsigned sources;
  int status_min, status_max;
  std::string_view code, type, message;
  unsigned actions, traits;
};

/// What a provider said about a failure, out of whichever body form it used. Status 200 stands for
/// answers that are failures inside.
struct error_report {
  int status = 0;
  std::string code, type, inner_code, message;
};

/// Of an answer that can be read and is none of what was asked for: it may come out the same again,
/// and be billed each time.
[[nodiscard]] error_report malformed_answer(std::string message);
/// Some servers never give more than one.
[[nodiscard]] error_report answer_with_fewer_choices(std::string message);
/// The type of an error that is told inside an answer of status 200, or in place of it.
inline constexpr std::string_view in_an_answer = "in_an_answer";

/// All rows: those of single clouds, then those for several.
[[nodiscard]] std::span<const error_rule> error_rules();
[[nodiscard]] std::span<const error_rule> aws_error_rules();
[[nodiscard]] std::span<const error_rule> google_error_rules();
[[nodiscard]] std::span<const error_rule> anthropic_error_rules();

/// The first rule that matches. There always is one: the last rule matches everything.
[[nodiscard]] const error_rule& rule_for(error_source, const error_report&);

/// Sets the verdict of a rule. `should_retry` is the value of the `x-should-retry` header.
void apply_rule(const error_rule&, const error_report&, std::string_view should_retry, outcome&);

/// Sets the verdict of a call that brought no complete response.
void apply_transport_error(const call_result&, outcome&);

/// Whether the message names a limit and a request above it, or calls the request too large
/// without naming both.
[[nodiscard]] bool requests_more_than_limit(std::string_view message);

}  // namespace spillway
