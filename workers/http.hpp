// HTTP values shared by provider adapters (pure) and the transport (I/O).
#pragma once

#include "schemas/result.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway {

/// A POST to be sent. `headers` is a ready block of "Name: value\r\n" lines without Host,
/// Content-Length and Connection, which the transport adds.
struct http_request {
  std::string target;  ///< path and query
  std::string headers;
  std::string body;
};

struct http_response {
  int status = 0;
  /// The headers adapters may read (see `is_kept_header`), names in lower case.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  /// Value of a header by its lower-case name; empty when absent.
  [[nodiscard]] std::string_view header(std::string_view lower_name) const {
    for (const auto& [name, value] : headers)
      if (name == lower_name) return value;
    return {};
  }
};

/// True for the response headers that some adapter reads: `retry-after*`, `x-ratelimit-*`,
/// `anthropic-ratelimit-*`, `x-should-retry`, `content-type`, the request ids `x-request-id`,
/// `apim-request-id`, `x-amzn-requestid` and `request-id`, and of Bedrock `x-amzn-errortype` and
/// `x-amzn-bedrock-input-token-count`.
[[nodiscard]] bool is_kept_header(std::string_view lower_name);

/// Splits "https://host:port/prefix". Errors name what is wrong with the text.
struct endpoint_url {
  bool tls = false;
  std::string host;  ///< without brackets for IPv6
  std::string port;
  std::string prefix;  ///< path without trailing slash, may be empty
  /// True for localhost, 127.0.0.0/8 and ::1.
  [[nodiscard]] bool is_loopback() const;
  /// Value of the Host header.
  [[nodiscard]] std::string authority() const;
};

[[nodiscard]] result<endpoint_url> parse_endpoint(std::string_view text);

/// One segment of a path: all but unreserved characters as %XX (RFC 3986), "/" and ":" too.
[[nodiscard]] std::string percent_encoded(std::string_view segment);

}  // namespace spillway
