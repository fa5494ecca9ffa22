#include "workers/http.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>

namespace spillway {
namespace {

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), to_lower);
  return out;
}

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

failure bad_endpoint(std::string_view text, std::string_view what) {
  return {failure_kind::usage, "endpoint \"" + std::string(text) + "\": " + std::string(what)};
}

/// Splits "host", "host:port", "[v6]" or "[v6]:port"; returns what is wrong, empty when nothing is.
std::string_view split_authority(std::string_view authority, endpoint_url& url) {
  std::string_view port;
  bool has_port = false;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return "the IPv6 address has no closing bracket";
    url.host = lower(authority.substr(1, close - 1));
    in6_addr address{};
    if (::inet_pton(AF_INET6, url.host.c_str(), &address) != 1)
      return "the text in brackets is not an IPv6 address";
    const auto rest = authority.substr(close + 1);
    if (!rest.empty() && !rest.starts_with(':')) return "unexpected text after the IPv6 address";
    has_port = !rest.empty();
    if (has_port) port = rest.substr(1);
  } else {
    const auto colon = authority.find(':');
    if (colon != std::string_view::npos && authority.find(':', colon + 1) != std::string_view::npos)
      return "an IPv6 address must stand in brackets, as in http://[::1]:8000";
    has_port = colon != std::string_view::npos;
    if (has_port) port = authority.substr(colon + 1);
    url.host = lower(authority.substr(0, colon));
    if (url.host.empty()) return "the host is missing";
    if (!std::all_of(url.host.begin(), url.host.end(), is_host_char))
      return "the host holds a character that no host name has";
  }
  if (!has_port) {
    url.port = url.tls ? "443" : "80";
    return {};
  }
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number < 1 || number > 65535)
    return "the port must be a number from 1 to 65535";
  url.port = std::to_string(number);
  return {};
}

}  // namespace

bool is_kept_header(std::string_view name) {
  // Called for every header of every response: most are settled by the first letter.
  switch (name.empty() ? '\0' : name.front()) {
    case 'r': return name.starts_with("retry-after") || name == "request-id";
    case 'x':
      return name.starts_with("x-ratelimit-") || name == "x-request-id" ||
             name == "x-should-retry" || name == "x-amzn-errortype" || name == "x-amzn-requestid" ||
             name == "x-amzn-bedrock-input-token-count";
    case 'a': return name == "apim-request-id" || name.starts_with("anthropic-ratelimit-");
    case 'c': return name == "content-type";
    default: return false;
  }
}

bool endpoint_url::is_loopback() const {
  if (lower(host) == "localhost") return true;
  in_addr v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return ::inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string endpoint_url::authority() const {
  std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != (tls ? "443" : "80")) out += ":" + port;
  return out;
}

result<endpoint_url> parse_endpoint(std::string_view text) {
  endpoint_url url;
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos)
    return bad_endpoint(text, "it must start with https:// or http://");
  const std::string scheme = lower(text.substr(0, scheme_end));
  if (scheme != "https" && scheme != "http")
    return bad_endpoint(text, "the scheme must be https or http");
  url.tls = scheme == "https";

  const auto rest = text.substr(scheme_end + 3);
  const auto slash = std::min(rest.find_first_of("/?#"), rest.size());
  const auto authority = rest.substr(0, slash);
  // Checked first, and without quoting the text: what stands before the @ may be a password.
  if (authority.find('@') != std::string_view::npos)
    return failure{failure_kind::usage,
                   "an endpoint must not hold credentials (user@host): use `auth` instead"};
  if (authority.empty()) return bad_endpoint(text, "the host is missing");
  if (const auto wrong = split_authority(authority, url); !wrong.empty())
    return bad_endpoint(text, wrong);

  auto path = rest.substr(slash);
  if (path.find_first_of("?#") != std::string_view::npos)
    return bad_endpoint(text, "it must not hold a query or a fragment");
  const bool printable =
      std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (!printable) return bad_endpoint(text, "the path holds a space or an unprintable character");
  while (path.ends_with('/')) path.remove_suffix(1);
  url.prefix = path;
  return url;
}

std::string percent_encoded(std::string_view segment) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : segment) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

}  // namespace spillway
