// Rules the error tables keep as a whole, rows told apart only by a detail, and failed calls.
#include "tests/unit/provider_verdict.hpp"
#include "workers/providers/errors.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace spillway {
namespace {

constexpr auto openai = provider_kind::openai;
constexpr auto azure = provider_kind::azure_openai;
constexpr auto local = provider_kind::openai_compatible;

struct short_case {
  provider_kind kind;
  int status;
  const char* error;  ///< the members of the error object
  const char* should_retry;
  const char* verdict;
};

TEST(provider_error_rules, rows_told_apart_by_one_detail) {
  // "true" shows a firm row: without it the header would turn the verdict into a retry.
  const short_case cases[] = {
      {openai, 400, R"("code":"billing_hard_limit_reached")", "", "L billing"},
      {openai, 429, R"("code":"billing_not_active")", "", "L billing"},
      {local, 413, R"("code":"rate_limit_exceeded")", "", "S"},
      {openai, 429, R"("type":"slow_down")", "", "Rv"},
      {openai, 503, R"("type":"slow_down")", "", "Rcv"},
      {openai, 429, R"("code":"resource_unavailable")", "", "R"},
      {openai, 429, R"("message":"Resource Unavailable")", "", "R"},
      {openai, 400, R"("code":"context_length_exceeded","message":"too long")", "", "S"},
      {local, 400, R"("message":"exceeds the available context size")", "", "S"},
      {local, 422, R"("message":"`inputs` must have less than 4096 tokens")", "", "S"},
      {openai, 400, R"("message":"exceeds the available context size")", "", "D"},
      {openai, 400, R"("code":"content_filter")", "true", "D"},
      {openai, 400, R"("code":"content_policy_violation")", "true", "D"},
      {openai, 400, R"("code":"invalid_prompt")", "true", "D"},
      {openai, 403, R"("code":"content_filter")", "", "D"},
      {openai, 407, R"("message":"m")", "", "L auth"},
      {openai, 425, R"("message":"m")", "", "Rc"},
      {openai, 499, R"("message":"m")", "", "Rhc"},
      {openai, 501, R"("message":"m")", "", "Rhc"},
      {openai, 424, R"("message":"m")", "", "D"},
      {openai, 429, R"("message":"retry after 86400 seconds")", "", "Rq"},
      {openai, 429, R"("message":"high demand")", "", "Rq"},
      {openai, 429, R"("type":"overloaded")", "", "Rq"},
      {openai, 404, R"("message":"model x not found")", "", "L model"},
  };
  for (const auto& c : cases) {
    const std::string body = std::string(R"({"error":{)") + c.error + "}}";
    EXPECT_EQ(verdict(decode_reply(c.kind, c.status, body, c.should_retry)), c.verdict)
        << c.status << ' ' << c.error;
  }
}

TEST(provider_error_rules, only_429s_and_refusals_never_count_as_attempts) {
  for (const auto& rule : error_rules()) {
    if (rule.status_min == 429 && rule.status_max == 429) {
      EXPECT_EQ(rule.traits & trait_counts, 0u);
    }
    const bool stops = (rule.actions & (act_stop_auth | act_stop_billing | act_stop_model)) != 0;
    if (stops) {
      EXPECT_EQ(rule.traits & (trait_counts | trait_in_doubt), 0u);
    }
  }
}

TEST(provider_error_rules, every_row_can_be_reached) {
  // A row is dead when a report made to its own measure is taken by an earlier one.
  for (const auto& rule : error_rules()) {
    bool reached = false;
    for (const error_source source :
         {from_openai, from_azure, from_compatible, from_bedrock, from_vertex, from_anthropic}) {
      for (int status = std::max(rule.status_min, 100); status <= std::min(rule.status_max, 999);
           ++status) {
        error_report report;
        report.status = status;
        report.code = rule.code;
        report.type = rule.type;
        for (const char c : rule.message) report.message += c == '*' ? ' ' : c;
        if (rule.traits & trait_over_limit) report.message = "Limit 10, Requested 11";
        reached = reached || &rule_for(source, report) == &rule;
      }
    }
    EXPECT_TRUE(reached) << rule.status_min << ' ' << rule.code << rule.type << rule.message;
  }
}

TEST(provider_error_rules, every_report_has_a_verdict) {
  for (const provider_kind kind : {openai, azure, local})
    for (int status = 100; status < 1000; ++status) {
      if (status >= 200 && status < 300) continue;
      const outcome o = decode_reply(kind, status, "");
      EXPECT_NE(o.kind, outcome_kind::answered) << status;
      EXPECT_EQ(o.error_code, "http_" + std::to_string(status));
      EXPECT_EQ(o.in_doubt, status == 408 || status == 504 || status < 200 || status > 599)
          << status;
      EXPECT_EQ(o.quota_signal, status == 429) << status;
      if (status >= 500 && status < 600 && !(kind == local && status == 501)) {
        EXPECT_TRUE(o.counts_attempt && o.unhealthy) << status;
      }
    }
}

TEST(provider_should_retry, header_is_obeyed) {
  const char* bad = R"({"error":{"message":"m","type":"invalid_request_error","code":null}})";
  EXPECT_EQ(verdict(decode_reply(openai, 400, bad)), "D");
  EXPECT_EQ(verdict(decode_reply(openai, 400, bad, "true")), "Rc");
  EXPECT_EQ(verdict(decode_reply(openai, 404, "", "true")), "L model");
  EXPECT_EQ(verdict(decode_reply(openai, 400, bad, "maybe")), "D");
  EXPECT_EQ(verdict(decode_reply(openai, 500, "")), "Rhc");
  EXPECT_EQ(verdict(decode_reply(openai, 500, "", "true")), "Rhc");
  EXPECT_EQ(verdict(decode_reply(openai, 500, "", "false")), "Shc");
  EXPECT_EQ(verdict(decode_reply(openai, 429, "", "false")), "Sq");
  EXPECT_EQ(verdict(decode_reply(openai, 504, "", "false")), "Shcd");
}

TEST(provider_should_retry, header_does_not_bring_back_what_cannot_succeed) {
  const char* large =
      R"({"error":{"message":"Request too large: Limit 10, Requested 11","code":"rate_limit_exceeded"}})";
  EXPECT_EQ(verdict(decode_reply(openai, 429, large, "true")), "S");
  EXPECT_EQ(verdict(decode_reply(openai, 401, "", "true")), "Ls auth");
  const char* broke = R"({"error":{"message":"m","code":"insufficient_quota"}})";
  EXPECT_EQ(verdict(decode_reply(openai, 429, broke, "true")), "L billing");
  EXPECT_EQ(verdict(decode_reply(openai, 429, broke, "false")), "L billing");
}

TEST(provider_error_rules, limits_are_read_from_the_message) {
  EXPECT_TRUE(requests_more_than_limit("Limit 30000, Requested 30601."));
  EXPECT_FALSE(requests_more_than_limit("Limit 30000, Used 29999, Requested 2."));
  EXPECT_FALSE(requests_more_than_limit("Limit 30000, Requested 30000."));
  EXPECT_TRUE(requests_more_than_limit("REQUEST TOO LARGE"));
  EXPECT_FALSE(requests_more_than_limit("Requested 5"));
  EXPECT_FALSE(requests_more_than_limit("Limit "));
  EXPECT_FALSE(requests_more_than_limit(""));
  EXPECT_TRUE(requests_more_than_limit("limit: 1,000 requested: 99999999999999999999999999"));
}

struct transport_case {
  transport_error error;
  bool written;
  const char* verdict;
  const char* code;
};

TEST(provider_transport_errors, verdicts) {
  const transport_case cases[] = {
      {transport_error::connect, false, "Rh", "connect_failed"},
      {transport_error::connect, true, "Rh", "connect_failed"},
      {transport_error::tls, false, "Rh", "tls_failed"},
      {transport_error::reset, true, "Rhcd", "connection_reset"},
      {transport_error::reset, false, "Rh", "connection_reset"},
      {transport_error::timed_out, true, "Rhcd", "timed_out"},
      {transport_error::timed_out, false, "Rh", "timed_out"},
      {transport_error::malformed, true, "Rhcd", "malformed_response"},
      {transport_error::malformed, false, "Rh", "malformed_response"},
      {transport_error::too_large, true, "Dd", "response_too_large"},
      {transport_error::too_large, false, "D", "response_too_large"},
      {transport_error::cancelled, true, "Rd", "cancelled"},
      {transport_error::cancelled, false, "R", "cancelled"},
  };
  pool_config pool;
  pool.endpoint = "https://example.com/v1";
  const auto provider = make_provider(pool);
  for (const auto& c : cases) {
    call_result call;
    call.error = c.error;
    call.written = c.written;
    const outcome bare = provider->decode("/v1/chat/completions", call, {});
    EXPECT_EQ(verdict(bare), c.verdict) << c.code << c.written;
    EXPECT_EQ(bare.error_code, c.code);
    EXPECT_FALSE(bare.error_message.empty());
    EXPECT_EQ(bare.status, 0);
    call.detail = "peer said\nno";
    EXPECT_EQ(provider->decode("/v1/chat/completions", call, {}).error_message, "peer said no");
  }
}

}  // namespace
}  // namespace spillway
