// Response headers that say when to come back and how much allowance is left.
#pragma once

#include "schemas/outcome.hpp"
#include "workers/http.hpp"

#include <optional>
#include <string_view>

namespace spillway {

/// No provider's allowance takes longer to come back; anything above is nonsense and cut to this.
inline constexpr duration retry_after_max = std::chrono::hours(24);

/// `retry-after-ms`, then `retry-after` in seconds (fractions allowed), then as an HTTP date.
/// Never negative, never above `retry_after_max`; nothing when absent or unreadable.
[[nodiscard]] std::optional<duration> read_retry_after(const http_response&, time_point now);

/// The reset of a rate limit: a Go duration ("20ms", "6m0s", "17h3m2.5s") or plain seconds.
[[nodiscard]] std::optional<duration> parse_reset(std::string_view);

/// IMF-fixdate, RFC 850 and asctime forms.
[[nodiscard]] std::optional<time_point> parse_http_date(std::string_view);

struct rate_readings {
  rate_reading requests, tokens;
};

/// `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`. A limit of 0 or below means unknown and
/// takes a remaining of 0 with it: some gateways answer zeros for "not counted".
[[nodiscard]] rate_readings read_rates(const http_response&);

/// `x-request-id`, else `apim-request-id`, `x-amzn-requestid`, `request-id`.
[[nodiscard]] std::string_view read_request_id(const http_response&);

}  // namespace spillway
