// When to come back and how much is left, as response headers tell it.
#include "workers/providers/headers.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using headers = std::vector<std::pair<std::string, std::string>>;

const time_point now{std::chrono::seconds(784111777)};  // Sun, 06 Nov 1994 08:49:37 GMT

std::optional<duration> retry_after(headers h) {
  http_response response;
  response.headers = std::move(h);
  return read_retry_after(response, now);
}

TEST(provider_retry_after, seconds_and_milliseconds) {
  EXPECT_EQ(retry_after({}), std::nullopt);
  EXPECT_EQ(retry_after({{"retry-after", "6"}}), 6s);
  EXPECT_EQ(retry_after({{"retry-after", " 6 "}}), 6s);
  EXPECT_EQ(retry_after({{"retry-after", "0.25"}}), 250ms);
  EXPECT_EQ(retry_after({{"retry-after", "0"}}), 0s);
  EXPECT_EQ(retry_after({{"retry-after-ms", "1500"}}), 1500ms);
  EXPECT_EQ(retry_after({{"retry-after-ms", "0.5"}}), 500us);
  EXPECT_EQ(retry_after({{"retry-after", "60"}, {"retry-after-ms", "20"}}), 20ms);
}

TEST(provider_retry_after, unreadable_milliseconds_fall_back_to_seconds) {
  EXPECT_EQ(retry_after({{"retry-after", "7"}, {"retry-after-ms", "soon"}}), 7s);
  EXPECT_EQ(retry_after({{"retry-after", "7"}, {"retry-after-ms", ""}}), 7s);
  EXPECT_EQ(retry_after({{"retry-after", "7"}, {"retry-after-ms", "12x"}}), 7s);
}

TEST(provider_retry_after, nonsense_is_clamped_or_ignored) {
  EXPECT_EQ(retry_after({{"retry-after", "-5"}}), 0s);
  EXPECT_EQ(retry_after({{"retry-after-ms", "-1"}}), 0s);
  EXPECT_EQ(retry_after({{"retry-after", "86400"}}), 24h);
  EXPECT_EQ(retry_after({{"retry-after", "99999999999"}}), retry_after_max);
  EXPECT_EQ(retry_after({{"retry-after", "1e400"}}), retry_after_max);
  for (const char* text : {"nan", "inf", "-inf", "infinity", "soon", "6s", "", "0x10", "6 7"})
    EXPECT_EQ(retry_after({{"retry-after", text}}), std::nullopt) << text;
}

TEST(provider_retry_after, dates_count_from_the_given_time) {
  EXPECT_EQ(retry_after({{"retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"}}), 60s);
  EXPECT_EQ(retry_after({{"retry-after", "Sunday, 06-Nov-94 08:49:39 GMT"}}), 2s);
  EXPECT_EQ(retry_after({{"retry-after", "Sun Nov  6 09:49:37 1994"}}), 1h);
  EXPECT_EQ(retry_after({{"retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"}}), 0s);
  EXPECT_EQ(retry_after({{"retry-after", "Tue, 06 Nov 2094 08:00:00 GMT"}}), retry_after_max);
}

TEST(provider_http_date, all_three_forms) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), now);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), now);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), now);
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), time_point{});
  EXPECT_EQ(parse_http_date("Thu, 29 Feb 2024 00:00:00 GMT"), time_point(1709164800s));
}

TEST(provider_http_date, refuses_what_is_no_date) {
  for (const char* text : {"", "Sun", "Sun, 06 Nov 1994", "Sun, 06 Foo 1994 08:49:37 GMT",
                           "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
                           "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nov 1994 8:49:37 GMT",
                           "Sun, 06 Nov 1994 08:49:37 GMT extra", "Sun, 06 ovD 1994 08:49:37 GMT",
                           "Sun, 06 Nov 99999 08:49:37 GMT", "Sun, 0 Nov 1994 08:49:37 GMT"})
    EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
}

TEST(provider_reset, go_durations_and_plain_seconds) {
  EXPECT_EQ(parse_reset("20ms"), 20ms);
  EXPECT_EQ(parse_reset("1s"), 1s);
  EXPECT_EQ(parse_reset("6m0s"), 6min);
  EXPECT_EQ(parse_reset("17h3m2.5s"), 17h + 3min + 2500ms);
  EXPECT_EQ(parse_reset("1m30.951s"), 90951ms);
  EXPECT_EQ(parse_reset("150us"), 150us);
  EXPECT_EQ(parse_reset("150\xC2\xB5s"), 150us);
  EXPECT_EQ(parse_reset("8.64s"), 8640ms);
  EXPECT_EQ(parse_reset("1d"), 24h);
  EXPECT_EQ(parse_reset("10"), 10s);
  EXPECT_EQ(parse_reset("0"), 0s);
  EXPECT_EQ(parse_reset("0s"), 0s);
  EXPECT_EQ(parse_reset("99999h"), retry_after_max);
  for (const char* text : {"", "-1", "s", "6x", "6m-1s", "5s3", "nan", "-5s", "1 s"})
    EXPECT_EQ(parse_reset(text), std::nullopt) << text;
}

rate_readings rates(headers h) {
  http_response response;
  response.headers = std::move(h);
  return read_rates(response);
}

TEST(provider_rates, openai_headers) {
  const auto r = rates({{"content-type", "application/json"},
                        {"x-ratelimit-limit-requests", "500"},
                        {"x-ratelimit-limit-tokens", "30000"},
                        {"x-ratelimit-remaining-requests", "0"},
                        {"x-ratelimit-remaining-tokens", "29976"},
                        {"x-ratelimit-reset-requests", "120ms"},
                        {"x-ratelimit-reset-tokens", "6m0s"}});
  EXPECT_EQ(r.requests.limit, 500);
  EXPECT_EQ(r.requests.remaining, 0);
  EXPECT_EQ(r.requests.reset, 120ms);
  EXPECT_EQ(r.tokens.limit, 30000);
  EXPECT_EQ(r.tokens.remaining, 29976);
  EXPECT_EQ(r.tokens.reset, 6min);
}

TEST(provider_rates, azure_headers) {
  const auto r = rates({{"x-ratelimit-limit-requests", "10"},
                        {"x-ratelimit-remaining-requests", "9"},
                        {"x-ratelimit-reset-requests", "10"},
                        {"x-ratelimit-limit-tokens", "-1"},
                        {"x-ratelimit-remaining-tokens", "-1"},
                        {"x-ratelimit-reset-tokens", "-1"}});
  EXPECT_EQ(r.requests.limit, 10);
  EXPECT_EQ(r.requests.reset, 10s);
  EXPECT_EQ(r.tokens.limit, std::nullopt);
  EXPECT_EQ(r.tokens.remaining, std::nullopt);
  EXPECT_EQ(r.tokens.reset, std::nullopt);
}

TEST(provider_rates, zeros_and_nonsense_mean_unknown) {
  const auto r = rates({{"x-ratelimit-limit-requests", "0"},
                        {"x-ratelimit-remaining-requests", "0"},
                        {"x-ratelimit-remaining-tokens", "1234"},
                        {"x-ratelimit-limit-tokens", "many"},
                        {"x-ratelimit-limit-tokens-usage-based", "7"}});
  EXPECT_EQ(r.requests.limit, std::nullopt);
  EXPECT_EQ(r.requests.remaining, std::nullopt);
  EXPECT_EQ(r.tokens.limit, std::nullopt);
  EXPECT_EQ(r.tokens.remaining, 1234);
}

TEST(provider_rates, request_id_of_either_provider) {
  http_response response;
  EXPECT_EQ(read_request_id(response), "");
  response.headers = {{"apim-request-id", "a"}};
  EXPECT_EQ(read_request_id(response), "a");
  response.headers.emplace_back("x-request-id", "x");
  EXPECT_EQ(read_request_id(response), "x");
}

}  // namespace
}  // namespace spillway
