// Answers, errors and limits of the clouds' own APIs, called without a socket.
#include "tests/unit/simulator_harness.hpp"

#include <gmock/gmock.h>

namespace spillway::simulated {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* tool_schema =
    R"({"type":"object","properties":{"n":{"type":"integer"},"why":{"type":"string"}},)"
    R"("required":["n","why"]})";

class simulator_clouds : public simulator_world {
 protected:
  void SetUp() override {
    bedrock_ = pool("b", provider_kind::bedrock);
    vertex_ = pool("v", provider_kind::vertex);
    anthropic_ = pool("a", provider_kind::anthropic);
  }
  void open_all() { open({bedrock_, vertex_, anthropic_}); }
  reply converse(const std::string& body, const std::string& model = "openai.m-1%3A0") {
    return post("/b/model/" + model + "/converse", body);
  }
  reply generate(const std::string& body) {
    return post("/v/v1/projects/p/locations/l/publishers/google/models/gem:generateContent", body);
  }
  reply message(const std::string& body) {
    return post("/a/v1/messages", body, "anthropic-version: 2023-06-01\r\n");
  }

  pool_spec bedrock_, vertex_, anthropic_;
};

const std::string turn = R"("messages":[{"role":"user","content":[{"text":"[[id:q1]] hello"}]}])";
const std::string contents = R"("contents":[{"role":"user","parts":[{"text":"[[id:q1]] hello"}]}])";
const std::string said = R"("messages":[{"role":"user","content":"[[id:q1]] hello"}])";

TEST_F(simulator_clouds, every_api_answers_the_same_text_in_its_own_form) {
  for (auto* p : {&bedrock_, &vertex_, &anthropic_}) {
    p->cached_share = 0.5;
    p->reasoning_tokens = 3;
  }
  open_all();
  const reply b = converse("{" + turn + R"(,"inferenceConfig":{"maxTokens":500}})");
  ASSERT_EQ(b.what.status, 200) << b.text;
  EXPECT_EQ(b.at("/stopReason"), "end_turn");
  const std::string text = b.at("/output/message/content/1/text").as_string().c_str();
  EXPECT_THAT(text, StartsWith("[[re:q1]] "));
  EXPECT_TRUE(b.at("/output/message/content/0/reasoningContent").is_object());
  EXPECT_EQ(b.at("/usage/inputTokens").as_int64() + b.at("/usage/cacheReadInputTokens").as_int64(),
            (15 + 3) / 4 + 4);
  EXPECT_EQ(b.header("x-amzn-RequestId").size(), 36u);
  EXPECT_THAT(b.head, Not(HasSubstr("ratelimit")));

  const reply v = generate("{" + contents + "}");
  ASSERT_EQ(v.what.status, 200) << v.text;
  EXPECT_EQ(v.at("/candidates/0/content/parts/0/text"), json::string_view(text));
  EXPECT_EQ(v.at("/candidates/0/finishReason"), "STOP");
  EXPECT_EQ(v.at("/usageMetadata/thoughtsTokenCount"), 3);
  EXPECT_EQ(v.at("/usageMetadata/totalTokenCount").as_int64(),
            v.at("/usageMetadata/promptTokenCount").as_int64() + 3 +
                v.at("/usageMetadata/candidatesTokenCount").as_int64());
  EXPECT_EQ(v.at("/usageMetadata/cachedContentTokenCount"), 4);
  EXPECT_EQ(v.at("/modelVersion"), "gem");

  const reply a = message(R"({"model":"c","max_tokens":500,)" + said + "}");
  ASSERT_EQ(a.what.status, 200) << a.text;
  EXPECT_EQ(a.at("/content/1/text"), json::string_view(text));
  EXPECT_EQ(a.at("/stop_reason"), "end_turn");
  EXPECT_EQ(a.at("/usage/cache_read_input_tokens"), 4);
  EXPECT_EQ(a.at("/usage/output_tokens"), b.at("/usage/outputTokens"));
  EXPECT_THAT(a.header("request-id"), StartsWith("req_"));
}

TEST_F(simulator_clouds, openai_surfaces_of_bedrock_and_vertex) {
  open_all();
  const std::string chat = R"({"model":"m",)" + said + "}";
  for (const char* path :
       {"/b/openai/v1/chat/completions", "/b/model/openai.gpt-oss-20b-1%3A0/invoke",
        "/v/v1/projects/p/locations/l/endpoints/openapi/chat/completions"}) {
    const reply r = post(path, chat);
    EXPECT_EQ(r.what.status, 200) << path << r.text;
    EXPECT_THAT(r.at("/choices/0/message/content").as_string().c_str(), StartsWith("[[re:q1]]"));
  }
  EXPECT_EQ(post("/v/v1/projects/p/locations/l/publishers/openai/v1/responses",
                 R"({"model":"m","input":"x"})")
                .at("/object"),
            "response");
  EXPECT_EQ(post("/b/model/x%2Fy/invoke", "{}").header("x-amzn-ErrorType").substr(0, 19),
            "ValidationException");
}

TEST_F(simulator_clouds, forced_tools_are_called_in_each_form) {
  open({bedrock_, vertex_, anthropic_, pool("o")});
  const std::string schema = tool_schema;
  const reply b = converse(
      "{" + turn + R"(,"toolConfig":{"tools":[{"toolSpec":{"name":"t","inputSchema":{"json":)" +
      schema + R"(}}}],"toolChoice":{"tool":{"name":"t"}}}})");
  ASSERT_EQ(b.what.status, 200) << b.text;
  EXPECT_EQ(b.at("/stopReason"), "tool_use");
  EXPECT_EQ(b.at("/output/message/content/0/toolUse/name"), "t");
  EXPECT_EQ(b.at("/output/message/content/0/toolUse/input/n"), 7);
  EXPECT_THAT(b.at("/output/message/content/0/toolUse/input/why").as_string().c_str(),
              StartsWith("[[re:q1]]"));

  const reply v = generate(
      "{" + contents +
      R"(,"tools":[{"functionDeclarations":[{"name":"s"},{"name":"t","parameters":)" + schema +
      R"(}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY",)"
      R"("allowedFunctionNames":["t"]}}})");
  ASSERT_EQ(v.what.status, 200) << v.text;
  EXPECT_EQ(v.at("/candidates/0/content/parts/0/functionCall/args/n"), 7);

  const reply a = message(R"({"model":"c","max_tokens":500,)" + said +
                          R"(,"tools":[{"name":"t","input_schema":)" + schema +
                          R"(}],"tool_choice":{"type":"any"}})");
  ASSERT_EQ(a.what.status, 200) << a.text;
  EXPECT_EQ(a.at("/content/0/type"), "tool_use");
  EXPECT_EQ(a.at("/content/0/input/n"), 7);

  const std::string tools =
      R"(,"tools":[{"type":"function","function":{"name":"t","parameters":)" + schema + "}}]";
  const reply o = post("/o/v1/chat/completions",
                       R"({"model":"m",)" + said + tools + R"(,"tool_choice":"required"})");
  EXPECT_EQ(o.at("/choices/0/finish_reason"), "tool_calls");
  EXPECT_THAT(o.at("/choices/0/message/tool_calls/0/function/arguments").as_string().c_str(),
              HasSubstr(R"("n":7)"));
  EXPECT_EQ(post("/o/v1/chat/completions", R"({"model":"m",)" + said + tools + "}")
                .at("/choices/0/finish_reason"),
            "stop");
  EXPECT_EQ(post("/o/v1/chat/completions",
                 R"({"model":"m",)" + said + tools +
                     R"(,"tool_choice":{"type":"function","function":{"name":"u"}}})")
                .what.status,
            400);
}

TEST_F(simulator_clouds, answers_follow_a_json_schema) {
  open({bedrock_, vertex_, anthropic_, pool("o")});
  const std::string schema = tool_schema;
  std::string quoted = json::serialize(json::value(schema));
  const std::vector<std::pair<reply, const char*>> replies = {
      {converse("{" + turn + R"(,"outputConfig":{"textFormat":{"type":"json_schema","structure":)" +
                R"({"jsonSchema":{"name":"x","schema":)" + quoted + "}}}}}"),
       "/output/message/content/0/text"},
      {generate("{" + contents + R"(,"generationConfig":{"responseMimeType":"application/json",)" +
                R"("responseJsonSchema":)" + schema + "}}"),
       "/candidates/0/content/parts/0/text"},
      {message(R"({"model":"c","max_tokens":500,)" + said +
               R"(,"output_config":{"format":{"type":"json_schema","schema":)" + schema + "}}}"),
       "/content/0/text"},
      {post("/o/v1/chat/completions",
            R"({"model":"m",)" + said +
                R"(,"response_format":{"type":"json_schema","json_schema":)" +
                R"({"name":"x","schema":)" + schema + "}}}"),
       "/choices/0/message/content"}};
  for (const auto& [r, where] : replies) {
    ASSERT_EQ(r.what.status, 200) << r.text;
    const json::value answer = json::parse(r.at(where).as_string());
    EXPECT_EQ(answer.at("n"), 7) << where;
    EXPECT_THAT(answer.at("why").as_string().c_str(), StartsWith("[[re:q1]]"));
  }
}

TEST_F(simulator_clouds, embeddings_of_one_text_are_the_same_vector_everywhere) {
  open({bedrock_, vertex_, pool("o")});
  const reply b = post("/b/model/amazon.titan-embed-text-v2:0/invoke",
                       R"({"inputText":"abcd","dimensions":256,"normalize":true})");
  ASSERT_EQ(b.at("/embedding").as_array().size(), 256u) << b.text;
  EXPECT_EQ(b.at("/inputTextTokenCount"), 1);
  const reply v = post("/v/v1/projects/p/locations/l/publishers/google/models/e:predict",
                       R"({"instances":[{"content":"abcd"},{"content":"x"}],)"
                       R"("parameters":{"outputDimensionality":256}})");
  ASSERT_EQ(v.at("/predictions").as_array().size(), 2u) << v.text;
  EXPECT_EQ(v.at("/predictions/0/embeddings/statistics/token_count"), 1);
  const reply o = post("/o/v1/embeddings", R"({"model":"m","input":"abcd","dimensions":256})");
  EXPECT_EQ(b.at("/embedding"), o.at("/data/0/embedding"));
  EXPECT_NE(v.at("/predictions/0/embeddings/values"), v.at("/predictions/1/embeddings/values"));
  EXPECT_EQ(
      post("/b/model/amazon.titan-embed-text-v2:0/invoke", R"({"inputText":"abcd","dimensions":7})")
          .what.status,
      400);
}

TEST_F(simulator_clouds, what_an_api_does_not_know_is_refused_as_it_would) {
  open_all();
  const reply b = converse("{" + turn + R"(,"temperature":1})");
  EXPECT_EQ(b.what.status, 400);
  EXPECT_THAT(b.header("x-amzn-ErrorType"), StartsWith("ValidationException:"));
  EXPECT_THAT(b.at("/message").as_string().c_str(), HasSubstr("[temperature]"));
  EXPECT_EQ(converse(R"({"messages":[{"role":"assistant","content":[{"text":"x"}]}]})").what.status,
            400);
  EXPECT_EQ(converse(R"({"messages":[{"role":"user","content":[]},{"role":"user","content":[]}]})")
                .what.status,
            400);
  EXPECT_EQ(converse(R"({"messages":[{"role":"user","content":[{"text":"x"}]},
      {"role":"assistant","content":[{"text":"y"}]}]})")
                .what.status,
            400);
  EXPECT_EQ(generate(R"({"contents":[{"role":"user","parts":[{"text":"x"}]},
      {"role":"model","parts":[{"text":"y"}]}]})")
                .what.status,
            400);
  EXPECT_EQ(message(R"({"model":"c","max_tokens":5,"messages":[{"role":"user","content":"x"},
      {"role":"assistant","content":"y"}]})")
                .what.status,
            400);
  const reply v = generate("{" + contents + R"(,"generationConfig":{"max_tokens":5}})");
  EXPECT_EQ(v.at("/error/status"), "INVALID_ARGUMENT");
  EXPECT_THAT(v.at("/error/message").as_string().c_str(),
              HasSubstr("generation_config.max_tokens"));
  EXPECT_EQ(generate(R"({"contents":[{"role":"assistant","parts":[]}]})").what.status, 400);
  const reply a = message(R"({"model":"c",)" + said + "}");
  EXPECT_EQ(a.at("/error/message"), "max_tokens: Field required");
  EXPECT_EQ(a.at("/error/type"), "invalid_request_error");
  EXPECT_EQ(post("/a/v1/messages", R"({"model":"c","max_tokens":5,)" + said + "}").what.status, 400)
      << "no version";
}

TEST_F(simulator_clouds, refusals_take_each_providers_form) {
  for (auto* p : {&bedrock_, &vertex_, &anthropic_}) {
    p->quota.rpm = 60;
    p->quota.burst = 1s;
  }
  open_all();
  converse("{" + turn + "}");
  generate("{" + contents + "}");
  const reply first = message(R"({"model":"c","max_tokens":5,)" + said + "}");
  EXPECT_EQ(first.header("anthropic-ratelimit-requests-limit"), "60");
  EXPECT_EQ(first.header("anthropic-ratelimit-requests-remaining"), "0");
  EXPECT_EQ(first.header("anthropic-ratelimit-requests-reset"), "2027-01-15T08:00:01Z");

  const reply b = converse("{" + turn + "}");
  EXPECT_EQ(b.what.status, 429);
  EXPECT_THAT(b.header("x-amzn-ErrorType"), StartsWith("ThrottlingException:"));
  EXPECT_EQ(b.at("/message"), "Too many requests, please wait before trying again.");
  EXPECT_EQ(b.header("retry-after"), "");
  const reply v = generate("{" + contents + "}");
  EXPECT_EQ(v.at("/error/status"), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(v.at("/error/details/0/retryDelay"), "1.000s");
  EXPECT_EQ(v.header("retry-after"), "");
  const reply a = message(R"({"model":"c","max_tokens":5,)" + said + "}");
  EXPECT_EQ(a.at("/error/type"), "rate_limit_error");
  EXPECT_EQ(a.header("retry-after"), "1");
  const reply list = post("/v/v1/projects/p/locations/l/endpoints/openapi/chat/completions",
                          R"({"model":"m",)" + said + "}");
  EXPECT_EQ(list.at("/0/error/code"), 429) << "in a list";
}

TEST_F(simulator_clouds, faults_say_what_the_provider_says) {
  const auto with = [](int status, const std::string& code = "") {
    auto f = fault(fault_kind::error);
    f.status = status;
    f.code = code;
    return std::vector{f};
  };
  bedrock_.faults = with(424);
  vertex_.faults = with(503);
  anthropic_.faults = with(529);
  open_all();
  const reply b = converse("{" + turn + "}");
  EXPECT_THAT(b.header("x-amzn-ErrorType"), StartsWith("ModelErrorException:"));
  EXPECT_EQ(b.at("/originalStatusCode"), 500);
  EXPECT_EQ(generate("{" + contents + "}").at("/error/status"), "UNAVAILABLE");
  EXPECT_EQ(message(R"({"model":"c","max_tokens":5,)" + said + "}").at("/error/type"),
            "overloaded_error");
  bedrock_.faults = with(400, "ServiceQuotaExceededException");
  open_all();
  EXPECT_THAT(converse("{" + turn + "}").header("x-amzn-ErrorType"),
              StartsWith("ServiceQuotaExceededException:"));
}

TEST_F(simulator_clouds, keys_and_models) {
  for (auto* p : {&bedrock_, &vertex_, &anthropic_}) {
    p->api_key = "k";
    p->models = {"c", "m:0"};
  }
  vertex_.project = "p";
  open_all();
  EXPECT_EQ(converse("{" + turn + "}").what.status, 403);
  EXPECT_EQ(generate("{" + contents + "}").at("/error/details/0/reason"), "CREDENTIALS_MISSING");
  EXPECT_EQ(message("{}").at("/error/type"), "authentication_error");
  const std::string key = "Authorization: Bearer k\r\n";
  EXPECT_EQ(post("/b/model/m%3A0/converse", "{" + turn + "}", key).what.status, 200);
  const reply unknown = post("/b/model/other/converse", "{" + turn + "}", key);
  EXPECT_THAT(unknown.at("/message").as_string().c_str(), HasSubstr("model identifier is invalid"));
  const std::string tail = "/locations/l/publishers/google/models/none:generateContent";
  EXPECT_EQ(post("/v/v1/projects/p" + tail, "{" + contents + "}", key).what.status, 404);
  EXPECT_EQ(post("/v/v1/projects/q" + tail, "{" + contents + "}", key).what.status, 403);
  const std::string call = R"({"model":"c","max_tokens":5,)" + said + "}";
  EXPECT_EQ(
      post("/a/v1/messages", call, "x-api-key: k\r\nanthropic-version: 2023-06-01\r\n").what.status,
      200);
}

TEST_F(simulator_clouds, mantle_has_a_prefix_for_each_family) {
  bedrock_.mantle = true;
  open_all();
  const auto status = [&](const std::string& prefix, const std::string& model) {
    return post("/b" + prefix + "/chat/completions", R"({"model":")" + model + R"(",)" + said + "}")
        .what.status;
  };
  EXPECT_EQ(status("/openai/v1", "openai.gpt-6-sol"), 200);
  EXPECT_EQ(status("/v1", "openai.gpt-oss-120b"), 200);
  EXPECT_EQ(status("/v1", "openai.gpt-6-sol"), 404);
  EXPECT_EQ(status("/openai/v1", "openai.gpt-oss-120b"), 404);
  EXPECT_EQ(converse("{" + turn + "}").what.status, 404);
}

TEST_F(simulator_clouds, azure_takes_the_dated_form_with_a_version_it_knows) {
  auto azure = pool("z", provider_kind::azure_openai), strict = azure;
  strict.name = "s";
  strict.api_versions = {"2024-10-21"};
  open({azure, strict});
  const auto status = [&](const std::string& path) {
    return post(path, "{" + said + "}").what.status;
  };
  EXPECT_EQ(status("/z/openai/deployments/d/chat/completions?api-version=2024-10-21"), 200);
  EXPECT_EQ(status("/z/openai/deployments/d/chat/completions?api-version=2025-01-01-preview"), 200);
  EXPECT_EQ(status("/z/openai/deployments/d/chat/completions?api-version=new"), 400);
  EXPECT_EQ(status("/z/openai/deployments/d/chat/completions"), 404);
  EXPECT_EQ(status("/s/openai/deployments/d/chat/completions?api-version=2024-10-21"), 200);
  EXPECT_EQ(status("/s/openai/deployments/d/chat/completions?api-version=2024-06-01"), 400);
  const reply r =
      post("/z/openai/responses?api-version=2024-10-21", R"({"model":"d","input":"x"})");
  EXPECT_EQ(r.what.status, 200);
}

TEST_F(simulator_clouds, legacy_completions) {
  open({pool("o")});
  const reply r = post("/o/v1/completions",
                       R"({"model":"m","prompt":["[[id:1]] a","b"],"n":2,"max_tokens":3})");
  EXPECT_EQ(r.at("/object"), "text_completion");
  EXPECT_EQ(r.at("/choices").as_array().size(), 4u);
  EXPECT_EQ(r.at("/choices/0/finish_reason"), "length");
  EXPECT_EQ(r.at("/usage/completion_tokens"), 12);
}

}  // namespace
}  // namespace spillway::simulated
