// Answers: usage, failures hidden in status 200, bodies as one line, and damaged text.
#include "workers/provider.hpp"
#include "workers/providers/text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view chat = "/v1/chat/completions", responses = "/v1/responses",
                           embeddings = "/v1/embeddings";

std::unique_ptr<provider> adapter(provider_kind kind = provider_kind::openai) {
  pool_config pool;
  pool.provider = kind;
  pool.endpoint = "https://example.com/v1";
  return make_provider(pool);
}

outcome decode(std::string_view url, std::string body, int status = 200) {
  call_result call;
  call.written = true;
  call.response.status = status;
  call.response.body = std::move(body);
  return adapter()->decode(url, call, {});
}

const std::string chat_answer =
    R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5.4-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":16,"audio_tokens":0}}})";

TEST(provider_decode, chat_answer) {
  call_result call;
  call.response.status = 200;
  call.response.body = chat_answer;
  call.response.headers = {{"x-request-id", "req_1"},
                           {"x-ratelimit-remaining-tokens", "77"},
                           {"x-ratelimit-reset-requests", "1s"}};
  const outcome o = adapter()->decode(chat, call, {});
  EXPECT_EQ(o.kind, outcome_kind::answered);
  EXPECT_EQ(o.status, 200);
  EXPECT_EQ(o.request_id, "req_1");
  EXPECT_EQ(o.body, chat_answer);
  EXPECT_TRUE(o.usage.known);
  EXPECT_EQ(o.usage.input, tokens(19));
  EXPECT_EQ(o.usage.cached, tokens(16));
  EXPECT_EQ(o.usage.output, tokens(10));
  EXPECT_EQ(o.tokens_rate.remaining, 77);
  EXPECT_EQ(o.requests.reset, 1s);
  EXPECT_EQ(o.error_code, "");
  EXPECT_EQ(o.error_message, "");
  EXPECT_FALSE(o.unhealthy || o.counts_attempt || o.in_doubt || o.quota_signal);
  EXPECT_EQ(o.retry_after, std::nullopt);
}

TEST(provider_decode, the_tier_that_served_it) {
  EXPECT_EQ(decode(chat, R"({"choices":[{"message":{}}],"service_tier":"priority"})").service_tier,
            "priority");
  EXPECT_EQ(decode(chat, R"({"choices":[{"message":{}}],"service_tier":null})").service_tier, "");
}

TEST(provider_decode, azure_below_its_own_limit_is_unwell) {
  pool_config pool;
  pool.provider = provider_kind::azure_openai;
  pool.endpoint = "https://x.openai.azure.com/openai/v1";
  lane_config lane;
  lane.quota.tpm = tokens(1000);
  call_result call;
  call.response.status = 429;
  const auto told = [&](const char* limit) {
    call.response.headers = {{"x-ratelimit-limit-tokens", limit}};
    return make_provider(pool)->decode(chat, call, lane);
  };
  EXPECT_TRUE(told("1000").quota_signal);
  EXPECT_FALSE(told("1000").unhealthy);
  EXPECT_FALSE(told("500").quota_signal);
  EXPECT_TRUE(told("500").unhealthy);
  EXPECT_EQ(told("500").kind, outcome_kind::retry);
  EXPECT_TRUE(told("-1").quota_signal) << "unknown";
}

TEST(provider_decode, responses_answer) {
  const outcome o = decode(
      responses,
      R"({"id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,"output":[{"type":"message","content":[{"type":"output_text","text":"Hi"}]}],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":30},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}})");
  EXPECT_EQ(o.kind, outcome_kind::answered);
  EXPECT_EQ(o.usage.input, tokens(36));
  EXPECT_EQ(o.usage.cached, tokens(4));
  EXPECT_EQ(o.usage.cache_write, tokens(30));
  EXPECT_EQ(o.usage.output, tokens(87));
}

TEST(provider_decode, embeddings_answer) {
  const outcome o = decode(
      embeddings,
      R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2.5e-3]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}})");
  EXPECT_EQ(o.kind, outcome_kind::answered);
  EXPECT_TRUE(o.usage.known);
  EXPECT_EQ(o.usage.input, tokens(8));
  EXPECT_EQ(o.usage.output, tokens(0));
}

TEST(provider_decode, usage_is_unknown_when_missing_or_absurd) {
  for (const char* usage : {R"(,"x":1)", R"(,"usage":null)", R"(,"usage":{})", R"(,"usage":[1])",
                            R"(,"usage":{"prompt_tokens":-1,"completion_tokens":5})",
                            R"(,"usage":{"prompt_tokens":"9","completion_tokens":5})"}) {
    const outcome o = decode(chat, std::string(R"({"choices":[{"message":{}}])") + usage + "}");
    EXPECT_EQ(o.kind, outcome_kind::answered) << usage;
    EXPECT_FALSE(o.usage.known) << usage;
  }
}

TEST(provider_decode, usage_with_gaps) {
  auto o =
      decode(chat, R"({"choices":[{"message":{}}],"usage":{"prompt_tokens":9,"total_tokens":14}})");
  EXPECT_TRUE(o.usage.known);
  EXPECT_EQ(o.usage.output, tokens(5));
  o = decode(
      chat,
      R"({"choices":[{"message":{}}],"usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":null}})");
  EXPECT_EQ(o.usage.cached, tokens(0));
  o = decode(
      chat,
      R"({"choices":[{"message":{}}],"usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":50}}})");
  EXPECT_EQ(o.usage.cached, tokens(9)) << "never more cached than sent";
  o = decode(
      chat,
      R"({"choices":[{"message":{}}],"usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2,"cache_write_tokens":4}}})");
  EXPECT_EQ(o.usage.cache_write, tokens(4));
}

TEST(provider_decode, filtered_refused_and_cut_answers_are_answers) {
  for (
      const char* body :
      {R"({"choices":[{"index":0,"message":{"content":""},"finish_reason":"content_filter"}]})",
       R"({"choices":[{"index":0,"message":{"content":null,"refusal":"no"},"finish_reason":"stop"}]})",
       R"({"choices":[{"index":0,"message":{"content":"half"},"finish_reason":"length"}]})",
       R"({"choices":[{"index":0,"message":{"content":"x"},"finish_reason":null}],"error":null})"})
    EXPECT_EQ(decode(chat, body).kind, outcome_kind::answered) << body;
  EXPECT_EQ(
      decode(
          responses,
          R"({"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]})")
          .kind,
      outcome_kind::answered);
}

struct failing_answer {
  std::string_view url;
  const char* body;
  outcome_kind kind;
  bool quota, unhealthy, counts, doubt;
  const char* code;
};

TEST(provider_decode, failures_inside_status_200) {
  const auto retry = outcome_kind::retry;
  const failing_answer cases[] = {
      {responses,
       R"({"status":"failed","error":{"code":"server_error","message":"The model broke"},"output":[]})",
       retry, false, true, true, false, "server_error"},
      {responses,
       R"({"status":"failed","error":{"code":"rate_limit_exceeded","message":"later"},"output":[]})",
       retry, true, false, false, false, "rate_limit_exceeded"},
      {responses,
       R"({"status":"failed","error":{"code":"invalid_prompt","message":"flagged"},"output":[]})",
       outcome_kind::rejected, false, false, false, false, "invalid_prompt"},
      {responses,
       R"({"status":"failed","error":{"code":"image_too_large","message":"big"},"output":[]})",
       outcome_kind::rejected, false, false, false, false, "image_too_large"},
      {responses,
       R"({"status":"failed","error":{"code":"data_residency_mismatch","message":"no"},"output":[]})",
       outcome_kind::spill, false, false, false, false, "data_residency_mismatch"},
      {responses, R"({"status":"failed","error":{"code":"context_length_exceeded","message":"m"}})",
       outcome_kind::spill, false, false, false, false, "context_length_exceeded"},
      {responses, R"({"status":"failed","error":{"code":"vector_store_timeout","message":"m"}})",
       retry, false, false, true, false, "vector_store_timeout"},
      {responses, R"({"status":"failed","error":null,"output":[]})", retry, false, true, true,
       false, "response_failed"},
      {responses, R"({"status":"cancelled","output":[]})", retry, false, true, true, false,
       "response_cancelled"},
      {responses, R"({"status":"queued","output":[]})", outcome_kind::rejected, false, false, false,
       true, "response_not_finished"},
      {chat, R"({"choices":[{"index":0,"message":{"content":"ha"},"finish_reason":"abort"}]})",
       retry, false, true, true, false, "abort"},
      {chat, R"({"choices":[{"finish_reason":"stop"},{"finish_reason":"abort"}]})", retry, false,
       true, true, false, "abort"},
      {chat, R"({"error":{"message":"upstream failed","code":502}})", retry, false, true, true,
       false, "server_error"},
      {chat, R"({"object":"error","message":"scheduler died","code":500})", retry, false, true,
       true, false, "server_error"},
      {chat, R"({"error":{"message":"slow","code":"rate_limit_exceeded"}})", retry, true, false,
       false, false, "rate_limit_exceeded"},
      {chat, R"({"status":"ok"})", retry, false, true, true, true, "malformed_response"},
      {chat, R"({"choices":null})", retry, false, true, true, true, "malformed_response"},
      {responses, R"({"choices":[]})", retry, false, true, true, true, "malformed_response"},
      {embeddings, R"({"choices":[]})", retry, false, true, true, true, "malformed_response"},
      {chat, "", retry, false, true, true, true, "malformed_response"},
      {chat, "   \n", retry, false, true, true, true, "malformed_response"},
      {chat, "[]", retry, false, true, true, true, "malformed_response"},
      {chat, "17", retry, false, true, true, true, "malformed_response"},
      {chat, "<html>login</html>", retry, false, true, true, true, "malformed_response"},
      {chat, R"({"choices":[)", retry, false, true, true, true, "malformed_response"},
      {chat, R"({"choices":[]} {"choices":[]})", retry, false, true, true, true,
       "malformed_response"},
      {chat, R"({"choices":[],"n":NaN})", retry, false, true, true, true, "malformed_response"},
  };
  for (const auto& c : cases) {
    const outcome o = decode(c.url, c.body);
    EXPECT_EQ(o.kind, c.kind) << c.body;
    EXPECT_EQ(o.quota_signal, c.quota) << c.body;
    EXPECT_EQ(o.unhealthy, c.unhealthy) << c.body;
    EXPECT_EQ(o.counts_attempt, c.counts) << c.body;
    EXPECT_EQ(o.in_doubt, c.doubt) << c.body;
    EXPECT_EQ(o.error_code, c.code) << c.body;
    EXPECT_FALSE(o.error_message.empty()) << c.body;
    EXPECT_EQ(o.status, 200);
  }
}

TEST(provider_decode, a_failed_answer_keeps_its_bill) {
  const outcome o = decode(
      chat,
      R"({"choices":[{"finish_reason":"abort"}],"usage":{"prompt_tokens":7,"completion_tokens":3}})");
  EXPECT_EQ(o.kind, outcome_kind::retry);
  EXPECT_TRUE(o.usage.known);
  EXPECT_EQ(o.usage.output, tokens(3));
}

TEST(provider_decode, body_becomes_one_line) {
  EXPECT_EQ(decode(chat, "\r\n {\"choices\": []}\n").body, "{\"choices\": []}");
  EXPECT_EQ(decode(chat, "{\n  \"choices\": [\r\n ],\n \"a\": \"x  \\n y\"\n}").body,
            "{\"choices\":[],\"a\":\"x  \\n y\"}");
  EXPECT_EQ(decode(chat, "no\njson").body, "");
  EXPECT_EQ(decode(chat, "{\n\"error\" : {\n\"message\":\"m\"}}", 500).body,
            "{\"error\":{\"message\":\"m\"}}");
  EXPECT_EQ(decode(chat, "<html>\n", 500).body, "");
  EXPECT_EQ(decode(chat, "", 500).body, "");
}

TEST(provider_decode, damaged_characters_are_repaired_not_paid_for_twice) {
  auto o = decode(
      chat, R"({"choices":[{"message":{}}],"a":"cut \ud83d","b":"\ud83d\ude00 \\ud83d \ude00"})");
  EXPECT_EQ(o.kind, outcome_kind::answered);
  EXPECT_EQ(o.body,
            R"({"choices":[{"message":{}}],"a":"cut \ufffd","b":"\ud83d\ude00 \\ud83d \ufffd"})");
  o = decode(chat, "{\"choices\":[{\"message\":{}}],\"a\":\"cut \xF0\x9F\x98\"}");
  EXPECT_EQ(o.kind, outcome_kind::answered);
  EXPECT_EQ(o.body,
            "{\"choices\":[{\"message\":{}}],\"a\":\"cut \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"}");
  o = decode(chat, "{\"choices\":[{\"message\":{}}],\"a\":\"\xFF \\udc00\"}");
  EXPECT_EQ(o.body, "{\"choices\":[{\"message\":{}}],\"a\":\"\xEF\xBF\xBD \\ufffd\"}");
}

TEST(provider_decode, messages_are_short_single_valid_lines) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "\xC3\xA9\xE2\x82\xAC";  // 5 bytes a pair
  const outcome o = decode(chat, "{\"error\":{\"message\":\"a\\n\\tb " + text + "\"}}", 400);
  EXPECT_EQ(o.error_message.rfind("a b \xC3\xA9", 0), 0u);
  EXPECT_LE(o.error_message.size(), 500u);
  EXPECT_GE(o.error_message.size(), 497u);
  EXPECT_EQ(valid_utf8(o.error_message), o.error_message);
  EXPECT_EQ(decode(chat, "bad \xFF\n\n byte", 500).error_message, "bad \xEF\xBF\xBD byte");
}

TEST(provider_decode, huge_answers_do_not_spoil_the_parser) {
  std::string big =
      R"({"choices":[{"message":{"content":")" + std::string(5u << 20, 'x') + R"("}}]})";
  EXPECT_EQ(decode(chat, big).kind, outcome_kind::answered);
  EXPECT_EQ(decode(chat, chat_answer).kind, outcome_kind::answered);
  EXPECT_EQ(decode(chat, std::string(2000, '[')).kind, outcome_kind::retry) << "nested too deep";
  EXPECT_EQ(decode(chat, chat_answer).kind, outcome_kind::answered);
}

TEST(provider_decode, retry_after_counts_from_the_end_of_the_call) {
  call_result call;
  call.response.status = 429;
  call.response.headers = {{"retry-after", "Sun, 06 Nov 1994 08:49:47 GMT"}};
  call.done_at = time_point(784111777s);
  EXPECT_EQ(adapter()->decode(chat, call, {}).retry_after, 10s);
}

TEST(provider_decode, one_adapter_serves_many_threads) {
  const auto provider = adapter();
  std::vector<int> wrong(4);
  {
    std::vector<std::jthread> threads;
    for (int& errors : wrong) {
      threads.emplace_back([&provider, &errors] {
        for (int i = 0; i < 500; ++i) {
          call_result call;
          call.response.status = 200;
          call.response.body = R"({"choices":[{"message":{}}],"usage":{"prompt_tokens":)" +
                               std::to_string(i) + R"(,"completion_tokens":1}})";
          errors += provider->decode(chat, call, {}).usage.input != tokens(i);
        }
      });
    }
  }
  for (const int errors : wrong) EXPECT_EQ(errors, 0);
}

TEST(provider_text, utf8) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(valid_utf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
            "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(valid_utf8("\xC0\x80"), bad + bad) << "over-long";
  EXPECT_EQ(valid_utf8("\xED\xA0\x80"), bad + bad + bad) << "surrogate";
  EXPECT_EQ(valid_utf8("\xF4\x90\x80\x80"), bad + bad + bad + bad) << "beyond U+10FFFF";
  EXPECT_EQ(valid_utf8("\xE2\x82"), bad + bad) << "cut";
  EXPECT_EQ(valid_utf8("\x80"), bad);
}

TEST(provider_text, patterns) {
  EXPECT_TRUE(contains_like("The Model `x` does not exist.", "model*not exist"));
  EXPECT_FALSE(contains_like("not exist model", "model*not exist"));
  EXPECT_TRUE(contains_like("abc", ""));
  EXPECT_TRUE(contains_like("abc", "B"));
  EXPECT_FALSE(contains_like("", "b"));
}

TEST(provider_text, one_line_cuts_between_characters) {
  EXPECT_EQ(one_line("  a\r\n\tb  ", 10), "a b");
  EXPECT_EQ(one_line("\xC3\xA9\xC3\xA9", 3), "\xC3\xA9");
  EXPECT_EQ(one_line("ab cd", 3), "ab");
  EXPECT_EQ(one_line("", 3), "");
}

}  // namespace
}  // namespace spillway
