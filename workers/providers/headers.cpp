#include "workers/providers/headers.hpp"

#include "workers/providers/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace spillway {

namespace {

/// A finite number at the start of `text`, which is moved past it. Overflow reads as a huge value.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::general);
  if (error == std::errc::result_out_of_range)
    value = text.front() == '-' ? -1e300 : 1e300;
  else if (error != std::errc{} || !std::isfinite(value))
    return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

duration clamped(double seconds) {
  if (!(seconds > 0)) return duration::zero();
  return seconds >= seconds_of(retry_after_max) ? retry_after_max : from_seconds(seconds);
}

std::optional<double> whole_number(std::string_view text) {
  text = trimmed(text);
  const auto value = take_number(text);
  return text.empty() ? value : std::nullopt;
}

std::optional<std::int64_t> whole_count(std::string_view text) {
  text = trimmed(text);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Seconds in the unit at the start of `text`, which is moved past it. "ms" is tried before "m".
std::optional<double> take_unit(std::string_view& text) {
  struct unit {
    std::string_view name;
    double seconds;
  };
  static constexpr std::array<unit, 8> units{{{"ms", 1e-3},
                                              {"us", 1e-6},
                                              {"\xC2\xB5s", 1e-6},
                                              {"ns", 1e-9},
                                              {"d", 86400},
                                              {"h", 3600},
                                              {"m", 60},
                                              {"s", 1}}};
  for (const auto& [name, seconds] : units) {
    if (!text.starts_with(name)) continue;
    text.remove_prefix(name.size());
    return seconds;
  }
  return std::nullopt;
}

constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";

std::optional<unsigned> month_of(std::string_view name) {
  if (name.size() != 3) return std::nullopt;
  const auto at = months.find(name);
  if (at == std::string_view::npos || at % 3 != 0) return std::nullopt;
  return static_cast<unsigned>(at / 3 + 1);
}

/// "08:49:37" as seconds of the day; 60 is a leap second.
std::optional<std::chrono::seconds> time_of_day(std::string_view text) {
  if (text.size() != 8 || text[2] != ':' || text[5] != ':') return std::nullopt;
  const auto h = whole_count(text.substr(0, 2)), m = whole_count(text.substr(3, 2)),
             s = whole_count(text.substr(6, 2));
  if (!h || !m || !s || *h < 0 || *h > 23 || *m < 0 || *m > 59 || *s < 0 || *s > 60)
    return std::nullopt;
  return std::chrono::hours(*h) + std::chrono::minutes(*m) + std::chrono::seconds(*s);
}

}  // namespace

std::optional<duration> read_retry_after(const http_response& response, time_point now) {
  if (const auto ms = whole_number(response.header("retry-after-ms"))) return clamped(*ms / 1000);
  const auto text = response.header("retry-after");
  if (const auto seconds = whole_number(text)) return clamped(*seconds);
  if (const auto date = parse_http_date(text)) return clamped(seconds_of(*date - now));
  return std::nullopt;
}

std::optional<duration> parse_reset(std::string_view text) {
  text = trimmed(text);
  if (text.empty()) return std::nullopt;
  if (text.front() == '-') return std::nullopt;  // -1 is "unknown"
  if (const auto seconds = whole_number(text)) return clamped(*seconds);
  double total = 0;
  while (!text.empty()) {
    const auto amount = take_number(text);
    if (!amount || *amount < 0) return std::nullopt;
    const auto unit = take_unit(text);
    if (!unit) return std::nullopt;
    total += *amount * *unit;
  }
  return clamped(total);
}

std::optional<time_point> parse_http_date(std::string_view text) {
  // All three forms: a weekday, which is not checked, then day, month, year, time in some order.
  std::array<std::string_view, 6> word;
  std::size_t words = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto end = std::min(text.find_first_of(" ,-\t", i), text.size());
    if (end > i) {
      if (words == word.size()) return std::nullopt;
      word[words++] = text.substr(i, end - i);
    }
    i = end + 1;
  }
  const bool asctime = words == 5;
  if (!asctime && (words != 6 || word[5] != "GMT")) return std::nullopt;
  const auto month = month_of(asctime ? word[1] : word[2]);
  const auto day = whole_count(asctime ? word[2] : word[1]);
  const auto clock = time_of_day(asctime ? word[3] : word[4]);
  auto year = whole_count(asctime ? word[4] : word[3]);
  if (!month || !day || !clock || !year || *day < 1 || *day > 31 || *year < 0) return std::nullopt;
  if (*year < 100) *year += *year < 70 ? 2000 : 1900;
  if (*year < 1970 || *year > 2200) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  return time_point(std::chrono::sys_days(date)) + *clock;
}

rate_readings read_rates(const http_response& response) {
  constexpr std::string_view family = "x-ratelimit-";
  rate_readings out;
  for (const auto& [name, value] : response.headers) {
    if (!name.starts_with(family)) continue;
    const auto field = std::string_view(name).substr(family.size());
    if (field == "limit-requests")
      out.requests.limit = whole_count(value);
    else if (field == "remaining-requests")
      out.requests.remaining = whole_count(value);
    else if (field == "reset-requests")
      out.requests.reset = parse_reset(value);
    else if (field == "limit-tokens")
      out.tokens.limit = whole_count(value);
    else if (field == "remaining-tokens")
      out.tokens.remaining = whole_count(value);
    else if (field == "reset-tokens")
      out.tokens.reset = parse_reset(value);
  }
  for (rate_reading* reading : {&out.requests, &out.tokens}) {
    if (reading->limit && *reading->limit <= 0) reading->limit.reset();
    const std::int64_t meaningful_min = reading->limit ? 0 : 1;
    if (reading->remaining && *reading->remaining < meaningful_min) reading->remaining.reset();
  }
  return out;
}

std::string_view read_request_id(const http_response& response) {
  for (const auto name : {"x-request-id", "apim-request-id", "x-amzn-requestid", "request-id"})
    if (const auto id = response.header(name); !id.empty()) return id;
  return {};
}

}  // namespace spillway
