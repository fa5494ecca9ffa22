#include "workers/providers/anthropic_limits.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>

namespace spillway {

namespace {

std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// Digits at a place, nothing when there are others.
std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (i >= text.size() || std::isdigit(static_cast<unsigned char>(text[i])) == 0)
      return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

std::optional<std::chrono::minutes> offset(std::string_view text) {
  if (text == "Z" || text == "z") return std::chrono::minutes(0);
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const auto hours = digits(text, 1, 2), minutes = digits(text, 4, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const std::chrono::minutes out(*hours * 60 + *minutes);
  return text[0] == '-' ? -out : out;
}

rate_reading read_limit(const http_response& response, std::string_view what, time_point now) {
  const std::string family = "anthropic-ratelimit-" + std::string(what);
  rate_reading out;
  out.limit = whole(response.header(family + "-limit"));
  out.remaining = whole(response.header(family + "-remaining"));
  if (const auto at = parse_rfc3339(response.header(family + "-reset")))
    out.reset = std::clamp<duration>(*at - now, duration::zero(), retry_after_max);
  if (out.limit == 0) out = {};
  return out;
}

}  // namespace

std::optional<time_point> parse_rfc3339(std::string_view text) {
  const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const bool shaped = text[4] == '-' && text[7] == '-' && text[13] == ':' && text[16] == ':' &&
                      (text[10] == 'T' || text[10] == 't' || text[10] == ' ');
  if (!shaped || *hour > 23 || *minute > 59 || *second > 60 || *year < 1970 || *year > 2200)
    return std::nullopt;
  std::size_t rest = 19;
  if (rest < text.size() && text[rest] == '.') {
    ++rest;
    while (rest < text.size() && std::isdigit(static_cast<unsigned char>(text[rest])) != 0) ++rest;
  }
  const auto shift = offset(text.substr(rest));
  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!shift || !date.ok()) return std::nullopt;
  return time_point(std::chrono::sys_days(date)) + std::chrono::hours(*hour) +
         std::chrono::minutes(*minute) + std::chrono::seconds(*second) - *shift;
}

rate_readings read_anthropic_rates(const http_response& response, time_point now) {
  rate_readings out;
  out.requests = read_limit(response, "requests", now);
  out.tokens = read_limit(response, "tokens", now);
  if (!out.tokens.limit) out.tokens = read_limit(response, "input-tokens", now);
  return out;
}

}  // namespace spillway
