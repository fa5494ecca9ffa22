// What token endpoints and metadata servers answer. Pure.
#pragma once

#include "workers/auth/credential.hpp"

namespace spillway {

/// 2026-01-15T12:00:00Z, with a fraction or an offset if it likes.
[[nodiscard]] std::optional<time_point> parse_iso_time(std::string_view text);

/// An OAuth answer {access_token, expires_in} as a bearer credential; numbers may be quoted. A
/// refusal's failure names `from`, the status, and the error's code and description.
[[nodiscard]] result<credential> bearer_of(const token_response&, std::string_view from,
                                           time_point now);

/// {AccessKeyId, SecretAccessKey, Token, Expiration} of container and instance metadata.
/// `now` and `wall` are of the same moment: expiries are told by the machine's clock.
[[nodiscard]] result<credential> aws_keys_of_json(const token_response&, std::string_view from,
                                                  time_point now, time_point wall);

/// The Credentials of STS's XML, or its error's Code and Message.
[[nodiscard]] result<credential> aws_keys_of_sts(const token_response&, std::string_view from,
                                                 time_point now, time_point wall);

/// "a=b&c=d", encoded.
[[nodiscard]] std::string form_of(
    std::initializer_list<std::pair<std::string_view, std::string_view>>);

/// Whether a secret may be sent to this URL: https, or loopback.
[[nodiscard]] bool is_safe_url(std::string_view url);

/// A failure to get credentials, to be tried again.
[[nodiscard]] failure no_credential(std::string what);

}  // namespace spillway
