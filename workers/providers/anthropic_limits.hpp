// Anthropic's rate-limit headers.
#pragma once

#include "workers/providers/headers.hpp"

#include <optional>
#include <string_view>

namespace spillway {

/// `anthropic-ratelimit-{requests,tokens,input-tokens}-{limit,remaining,reset}`; "tokens" names the
/// tightest limit and wins where it is given. A reset is a time of day and becomes a wait.
[[nodiscard]] rate_readings read_anthropic_rates(const http_response&, time_point now);

/// RFC 3339: "2026-11-27T08:00:00Z", with fractions and offsets.
[[nodiscard]] std::optional<time_point> parse_rfc3339(std::string_view);

}  // namespace spillway
