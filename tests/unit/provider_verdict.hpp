// Shared by the tests of the error taxonomy: one call decoded, and its verdict as a short text.
#pragma once

#include "workers/provider.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace spillway {

/// The verdict in letters: A answered, R retry, S spill, D rejected, L lane down; then q quota
/// signal, h unhealthy, c counts as attempt, d in doubt, v halve rate, s stale credentials, 1 retry
/// once; then the cause of a stopped lane.
inline std::string verdict(const outcome& o) {
  std::string out;
  switch (o.kind) {
    case outcome_kind::answered: out = "A"; break;
    case outcome_kind::retry: out = "R"; break;
    case outcome_kind::spill: out = "S"; break;
    case outcome_kind::rejected: out = "D"; break;
    case outcome_kind::lane_down: out = "L"; break;
  }
  if (o.quota_signal) out += 'q';
  if (o.unhealthy) out += 'h';
  if (o.counts_attempt) out += 'c';
  if (o.in_doubt) out += 'd';
  if (o.halve_rate) out += 'v';
  if (o.stale_credentials) out += 's';
  if (o.retry_once) out += '1';
  switch (o.down) {
    case down_cause::none: break;
    case down_cause::auth: out += " auth"; break;
    case down_cause::billing: out += " billing"; break;
    case down_cause::missing_model: out += " model"; break;
  }
  return out;
}

inline outcome decode_reply(provider_kind kind, int status, std::string body,
                            std::string_view should_retry = {},
                            std::string_view url = "/v1/chat/completions") {
  pool_config pool;
  pool.provider = kind;
  pool.endpoint = "https://example.com/v1";
  call_result call;
  call.written = true;
  call.response.status = status;
  call.response.body = std::move(body);
  if (!should_retry.empty())
    call.response.headers.emplace_back("x-should-retry", std::string(should_retry));
  return make_provider(pool)->decode(url, call, {});
}

/// A recorded body, and what must come of it.
struct error_case {
  const char* name;
  provider_kind kind;
  int status;
  const char* body;
  const char* verdict;
  const char* code;
  const char* message_part;
};

inline void PrintTo(const error_case& c, std::ostream* os) { *os << c.name; }

inline void check(const error_case& c) {
  const outcome o = decode_reply(c.kind, c.status, c.body);
  EXPECT_EQ(verdict(o), c.verdict) << c.name;
  EXPECT_EQ(o.error_code, c.code) << c.name;
  EXPECT_NE(o.error_message.find(c.message_part), std::string::npos)
      << c.name << ": " << o.error_message;
  EXPECT_EQ(o.status, c.status);
  EXPECT_FALSE(o.usage.known);
}

}  // namespace spillway
