// What one call came to, in the provider-neutral words the scheduler decides by.
#pragma once

#include "schemas/units.hpp"

#include <optional>
#include <string>

namespace spillway {

enum class outcome_kind {
  answered,   ///< a usable answer
  retry,      ///< same lane again, after a delay
  spill,      ///< this lane can't serve this prompt: another lane, else an error row
  rejected,   ///< permanent: error row
  lane_down,  ///< the lane (or its whole pool) stopped, not the prompt
};

enum class down_cause { none, auth, billing, missing_model };

/// Billed tokens. `known` is false when the answer carried no usage.
struct token_usage {
  bool known = false;
  tokens input;  ///< cached included
  tokens cached;
  tokens output;  ///< reasoning included
  /// Of the input, what was written to a prompt cache, and of that to one that lasts an hour.
  tokens cache_write{}, cache_write_1h{};
};

/// One dimension of the provider's rate-limit headers; absent fields were absent or meaningless.
struct rate_reading {
  std::optional<std::int64_t> limit;
  std::optional<std::int64_t> remaining;
  std::optional<duration> reset;  ///< until the allowance is full again
};

struct outcome {
  outcome_kind kind = outcome_kind::retry;
  down_cause down = down_cause::none;
  bool quota_signal = false;    ///< the lane's quota is used up: hold the lane for `retry_after`
  bool halve_rate = false;      ///< the provider asks for a slower ramp
  bool unhealthy = false;       ///< counts against the lane's breaker
  bool counts_attempt = false;  ///< counts towards max_attempts
  bool retry_once = false;      ///< of `retry`: a second one like it on this lane is a spill
  bool in_doubt = false;        ///< may have been billed without an answer
  bool form_refused = false;    ///< of `rejected`: for its form; many in a row are the lane's doing
  bool stale_credentials = false;  ///< refused for its token or signature: a newer one may do
  std::optional<duration> retry_after;
  token_usage usage;
  rate_reading requests, tokens_rate;
  int status = 0;  ///< HTTP status; 0 = no complete answer
  std::string request_id;
  /// The tier that served it where the answer says so, in OpenAI's words: default, flex, priority.
  std::string service_tier;
  std::string error_code;  ///< empty when answered
  std::string error_message;
  std::string body;  ///< the provider's body as one line of JSON; empty when there was none

  /// The call was given back unsent: it took no quota and says nothing about the lane.
  [[nodiscard]] bool never_sent() const { return status == 0 && !in_doubt && !unhealthy; }
};

}  // namespace spillway
