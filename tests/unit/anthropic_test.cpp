// Chat prompts as Anthropic Messages, and its answers as chat completions.
#include "tests/unit/provider_verdict.hpp"
#include "tests/unit/translation_harness.hpp"
#include "workers/providers/anthropic_form.hpp"
#include "workers/providers/anthropic_limits.hpp"
#include "workers/providers/enforceable_schema.hpp"

#include <gtest/gtest.h>

namespace spillway {
namespace {

const auto anthropic = make_provider(cloud_pool(provider_kind::anthropic));

boost::json::value request(std::string_view rest, std::string model = "claude-sonnet-4-5") {
  return translated(*anthropic, cloud_lane(std::move(model), lane_surface::messages), rest);
}

outcome answer(std::string body) {
  return anthropic->decode("/v1/chat/completions", reply(200, std::move(body)),
                           cloud_lane("claude-sonnet-4-5", lane_surface::messages));
}

constexpr std::string_view hi = R"("messages":[{"role":"user","content":"w"}])";

TEST(anthropic_request, where_it_goes) {
  const std::string body = R"({"model":"m",)" + std::string(hi) + "}";
  const auto lane = cloud_lane("claude-x", lane_surface::messages);
  const auto out = anthropic->encode(view_of(body), lane);
  EXPECT_EQ(out.target, "/v1/messages");
  EXPECT_NE(out.headers.find("anthropic-version: 2023-06-01\r\n"), std::string::npos);
  auto pool = cloud_pool(provider_kind::anthropic);
  pool.endpoint = "https://gateway.example/a/v1";
  EXPECT_EQ(make_provider(pool)->encode(view_of(body), lane).target, "/a/v1/messages");
  EXPECT_TRUE(anthropic->serves(endpoint_kind::chat_completions, lane));
  EXPECT_FALSE(anthropic->serves(endpoint_kind::embeddings, lane));
}

TEST(anthropic_request, messages_become_turns_of_blocks) {
  EXPECT_EQ(request(R"("messages":[
      {"role":"system","content":"Be brief."},
      {"role":"user","content":[{"type":"text","text":"see"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,QQ=="}},
        {"type":"image_url","image_url":{"url":"https://x.example/a.png"}}]},
      {"role":"user","content":"and"},
      {"role":"assistant","content":"Yes?"},
      {"role":"developer","content":"Always."},
      {"role":"user","content":"Bye"}])"),
            json(R"({"model":"claude-sonnet-4-5","max_tokens":4096,
      "system":[{"type":"text","text":"Be brief."},{"type":"text","text":"Always."}],
      "messages":[
        {"role":"user","content":[{"type":"text","text":"see"},
          {"type":"image","source":{"type":"base64","media_type":"image/png","data":"QQ=="}},
          {"type":"image","source":{"type":"url","url":"https://x.example/a.png"}},
          {"type":"text","text":"and"}]},
        {"role":"assistant","content":[{"type":"text","text":"Yes?"}]},
        {"role":"user","content":[{"type":"text","text":"Bye"}]}]})"));
  EXPECT_EQ(request(R"("messages":[{"role":"system","content":"s"}])").at("messages"),
            json(R"([{"role":"user","content":[{"type":"text","text":"s"}]}])"));
}

TEST(anthropic_request, results_join_the_users_turn_and_ids_are_told_apart) {
  const auto out = request(R"("messages":[
    {"role":"user","content":"w"},
    {"role":"assistant","tool_calls":[
      {"id":"call_0","type":"function","function":{"name":"look","arguments":"{\"x\":1}"}}]},
    {"role":"tool","tool_call_id":"call_0","content":"one"},
    {"role":"assistant","tool_calls":[
      {"id":"call_0","type":"function","function":{"name":"look","arguments":"oops"}}]},
    {"role":"tool","tool_call_id":"call_0","content":"two"},
    {"role":"user","content":"so?"}])");
  EXPECT_EQ(out.at("messages"), json(R"([
    {"role":"user","content":[{"type":"text","text":"w"}]},
    {"role":"assistant","content":[{"type":"tool_use","id":"call_0","name":"look","input":{"x":1}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"call_0",
      "content":[{"type":"text","text":"one"}]}]},
    {"role":"assistant","content":[{"type":"tool_use","id":"call_0_2","name":"look",
      "input":{"arguments":"oops"}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"call_0_2",
      "content":[{"type":"text","text":"two"}]},{"type":"text","text":"so?"}]}])"));
  // Turns that called tools want them described, though none may be called now.
  EXPECT_EQ(out.at("tools"),
            json(R"([{"name":"look","input_schema":{"type":"object","properties":{}}}])"));
  EXPECT_EQ(out.at("tool_choice"), json(R"({"type":"none"})"));
}

TEST(anthropic_request, tool_choices) {
  const auto choice = [](std::string_view rest, std::string model = "claude-opus-4-6") {
    const auto out = request(std::string(hi) + R"(,"tools":[{"type":"function","function":{
      "name":"look","description":"d","parameters":{"type":"object"}}}])" +
                                 std::string(rest),
                             std::move(model));
    EXPECT_EQ(out.at("tools"),
              json(R"([{"name":"look","description":"d","input_schema":{"type":"object"}}])"));
    const auto* value = out.as_object().if_contains("tool_choice");
    return value ? *value : boost::json::value();
  };
  EXPECT_TRUE(choice("").is_null());
  EXPECT_EQ(choice(R"(,"tool_choice":"auto")"), json(R"({"type":"auto"})"));
  EXPECT_EQ(choice(R"(,"tool_choice":"none")"), json(R"({"type":"none"})"));
  EXPECT_EQ(choice(R"(,"tool_choice":"required")"), json(R"({"type":"any"})"));
  EXPECT_EQ(choice(R"(,"parallel_tool_calls":false)"),
            json(R"({"type":"auto","disable_parallel_tool_use":true})"));
  EXPECT_EQ(choice(R"(,"parallel_tool_calls":false,"tool_choice":{"type":"function",
    "function":{"name":"look"}})"),
            json(R"({"type":"tool","name":"look","disable_parallel_tool_use":true})"));
  const auto lacks = [](std::string_view model) {
    return messages_unmappable(cloud_lane(std::string(model), lane_surface::messages))
        .has(prompt_feature::tool_choice);
  };
  EXPECT_TRUE(lacks("claude-opus-5-5"));
  EXPECT_FALSE(lacks("claude-haiku-5-5"));
  EXPECT_FALSE(lacks("claude-sonnet-5"));
}

TEST(anthropic_request, settings) {
  auto lane = cloud_lane("claude-sonnet-4-5", lane_surface::messages);
  lane.max_output_tokens = tokens(777);
  auto out = translated(*anthropic, lane, std::string(hi) + R"(,"temperature":0.5,"top_p":0.25,
    "stop":["a","b"],"user":"u-1","seed":3,"n":2,"logit_bias":{"1":2})")
                 .as_object();
  out.erase("messages");
  EXPECT_EQ(out, json(R"({"model":"claude-sonnet-4-5","max_tokens":777,"temperature":0.5,
    "stop_sequences":["a","b"],"metadata":{"user_id":"u-1"}})"));
  const auto old =
      request(std::string(hi) + R"(,"temperature":0.5,"top_p":0.25)", "claude-sonnet-4-20250514");
  EXPECT_EQ(old.at("temperature"), 0.5);
  EXPECT_EQ(old.at("top_p"), 0.25);
  const auto thinking = request(std::string(hi) + R"(,"temperature":0.5,"reasoning_effort":"low")",
                                "claude-opus-4-6");
  EXPECT_EQ(thinking.as_object().count("temperature"), 0u);
  const auto stops = request(std::string(hi) + R"(,"stop":["\n","a"," \t"])");
  EXPECT_EQ(stops.at("stop_sequences"), json(R"(["a"])")) << "white space is refused";
  const auto blank = request(std::string(hi) + R"(,"stop":"\n\n")");
  EXPECT_EQ(blank.as_object().count("stop_sequences"), 0u);
  const auto both = request(std::string(hi) + R"(,"temperature":1.5,"top_p":0.3)");
  EXPECT_EQ(both.at("top_p"), 0.3) << "only what has to go is left out";
  EXPECT_EQ(both.as_object().count("temperature"), 0u);
  const auto hot = request(std::string(hi) + R"(,"temperature":1.5,"max_tokens":5,"user":"a@b.c")");
  EXPECT_EQ(hot.at("max_tokens"), 5);
  EXPECT_EQ(hot.as_object().count("temperature"), 0u);
  EXPECT_EQ(hot.as_object().count("metadata"), 0u);
}

TEST(anthropic_request, effort_by_family) {
  const auto asked = [](std::string effort, std::string model, std::string more = "") {
    auto out = request(std::string(hi) + R"(,"reasoning_effort":")" + effort + '"' + more, model)
                   .as_object();
    for (const char* key : {"messages", "model", "max_tokens"}) out.erase(key);
    return boost::json::value(out);
  };
  EXPECT_EQ(asked("minimal", "claude-opus-5"),
            json(R"({"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}})"));
  EXPECT_EQ(asked("xhigh", "claude-opus-4-6").at("output_config"), json(R"({"effort":"high"})"));
  EXPECT_EQ(asked("xhigh", "claude-opus-4-7").at("output_config"), json(R"({"effort":"xhigh"})"));
  EXPECT_EQ(asked("none", "claude-opus-5"), json("{}"));
  EXPECT_EQ(asked("medium", "claude-sonnet-4-5"),
            json(R"({"thinking":{"type":"enabled","budget_tokens":2048}})"));
  EXPECT_EQ(asked("high", "claude-sonnet-4-5", R"(,"max_tokens":1500)"),
            json(R"({"thinking":{"type":"enabled","budget_tokens":1499}})"));
  EXPECT_EQ(asked("high", "claude-sonnet-4-5", R"(,"max_tokens":600)"), json("{}"));
  EXPECT_EQ(asked("high", "claude-3-5-haiku-latest"), json("{}"));
  auto terse = cloud_lane("claude-sonnet-4-5", lane_surface::messages);
  terse.max_output_tokens = tokens(1024);
  const auto out = translated(*anthropic, terse,
                              std::string(hi) + R"(,"reasoning_effort":"low","max_tokens":3000)");
  EXPECT_EQ(out.as_object().count("thinking"), 0u) << "the lane says that it leaves it out";
}

TEST(anthropic_request, what_models_lack) {
  const auto lacks = [](std::string_view model, prompt_feature f) {
    return messages_unmappable(cloud_lane(std::string(model), lane_surface::messages)).has(f);
  };
  EXPECT_TRUE(lacks("claude-opus-4-7-20260416", prompt_feature::temperature));
  EXPECT_TRUE(lacks("claude-mythos-preview", prompt_feature::top_p));
  EXPECT_FALSE(lacks("claude-opus-4-6", prompt_feature::temperature));
  EXPECT_TRUE(lacks("claude-opus-4-6", prompt_feature::temperature_with_top_p));
  EXPECT_FALSE(lacks("claude-sonnet-4-20250514", prompt_feature::temperature_with_top_p));
  EXPECT_TRUE(lacks("claude-opus-4-6", prompt_feature::forced_with_effort));
  EXPECT_TRUE(lacks("claude-sonnet-4-5", prompt_feature::effort_without_room));
  EXPECT_FALSE(lacks("claude-opus-4-6", prompt_feature::effort_without_room));
  EXPECT_FALSE(lacks("claude-sonnet-4-5-20250929", prompt_feature::json_schema));
  EXPECT_TRUE(lacks("claude-sonnet-4-20250514", prompt_feature::json_schema));
  EXPECT_TRUE(lacks("claude-3-5-haiku-latest", prompt_feature::reasoning_effort));
  EXPECT_FALSE(lacks("claude-3-7-sonnet-latest", prompt_feature::reasoning_effort));
  for (const auto f :
       {prompt_feature::json_object, prompt_feature::seed, prompt_feature::choices,
        prompt_feature::logprobs, prompt_feature::temperature_above_1,
        prompt_feature::assistant_last, prompt_feature::blank_stop, prompt_feature::image_detail,
        prompt_feature::verbosity, prompt_feature::schema_constraints})
    EXPECT_TRUE(lacks("claude-opus-4-6", f));
  EXPECT_FALSE(lacks("claude-opus-4-6", prompt_feature::image_url));
  EXPECT_FALSE(lacks("claude-3-5-haiku-latest", prompt_feature::reasoning_off));
  EXPECT_FALSE(lacks("claude-3-5-haiku-latest", prompt_feature::schema_constraints))
      << "takes no schemas at all";
}

// The first and the last case come from the documentation of Anthropic's own client.
TEST(anthropic_schema, only_what_can_be_enforced_stays) {
  const auto schema = [](std::string_view text) { return json(enforceable_schema(text)); };
  EXPECT_EQ(schema(R"({"type":"integer","minimum":1,"maximum":10,"description":"A number"})"),
            json(R"({"type":"integer","description":"A number\n\n{minimum: 1, maximum: 10}"})"));
  EXPECT_EQ(schema(R"({"type":"object","properties":{"description":{"type":"string",
    "format":"date","maxLength":3},"l":{"type":"array","minItems":1,"items":{"oneOf":[
      {"$ref":"#/$defs/a"},{"type":"null"}]}}},"required":["l"],"additionalProperties":false,
    "$defs":{"a":{"properties":{}}}})"),
            json(R"({"type":"object","properties":{"description":{"type":"string","format":"date",
    "description":"{maxLength: 3}"},"l":{"type":"array","minItems":1,"items":{"anyOf":[
      {"$ref":"#/$defs/a"},{"type":"null"}]}}},"required":["l"],"additionalProperties":false,
    "$defs":{"a":{"properties":{},"additionalProperties":false}}})"));
  EXPECT_EQ(schema(R"({"type":"object","additionalProperties":{"type":"string"}})"),
            json(R"({"type":"object","additionalProperties":false,
    "description":"{additionalProperties: {\"type\":\"string\"}}"})"));
  EXPECT_EQ(request(std::string(hi) + R"(,"response_format":{"type":"json_schema","json_schema":{
    "name":"n","schema":{"type":"object","properties":{}}}})")
                .at("output_config"),
            json(R"({"format":{"type":"json_schema","schema":{"type":"object","properties":{},
    "additionalProperties":false}}})"));
}

TEST(anthropic_answer, text_calls_and_usage) {
  const auto o = answer(R"({"id":"msg_1","type":"message","role":"assistant","model":"claude-z",
    "content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Hel"},
      {"type":"text","text":"lo"},{"type":"tool_use","id":"toolu_1","name":"look",
        "input":{"x": {}}}],"stop_reason":"tool_use","stop_sequence":null,
    "usage":{"input_tokens":10,"cache_creation_input_tokens":5,"cache_read_input_tokens":85,
      "cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":2},
      "output_tokens":20,"output_tokens_details":{"thinking_tokens":12},
      "service_tier":"standard"}})");
  ASSERT_EQ(verdict(o), "A");
  EXPECT_EQ(o.usage.cache_write, tokens(5));
  EXPECT_EQ(o.usage.cache_write_1h, tokens(2));
  EXPECT_EQ(json(o.body), json(R"({"id":"chatcmpl-msg_1","object":"chat.completion",
    "created":1800000000,"model":"claude-z","choices":[{"index":0,"message":{"role":"assistant",
      "content":"Hello","refusal":null,"tool_calls":[{"id":"toolu_1","type":"function",
        "function":{"name":"look","arguments":"{\"x\":{}}"}}]},"logprobs":null,
      "finish_reason":"tool_calls"}],"service_tier":"default","usage":{"prompt_tokens":100,
      "completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":85},
      "completion_tokens_details":{"reasoning_tokens":12}}})"));
}

TEST(anthropic_answer, what_is_written_to_the_cache_is_told_apart) {
  const auto o = answer(R"({"content":[],"usage":{"input_tokens":1,
    "output_tokens":9223372036854775807,"cache_creation_input_tokens":5,"cache_read_input_tokens":2}})");
  EXPECT_EQ(o.usage.input, tokens(8));
  EXPECT_EQ(o.usage.cached, tokens(2));
  EXPECT_EQ(o.usage.cache_write, tokens(5));
  EXPECT_EQ(o.usage.output, tokens(1'000'000'000'000));
}

TEST(anthropic_answer, stop_reasons) {
  const auto reason = [](std::string_view stop) {
    return json(answer(R"({"content":[{"type":"text","text":"x"}],"stop_reason":")" +
                       std::string(stop) + R"("})")
                    .body)
        .at("choices")
        .at(0)
        .at("finish_reason");
  };
  EXPECT_EQ(reason("end_turn"), "stop");
  EXPECT_EQ(reason("stop_sequence"), "stop");
  EXPECT_EQ(reason("max_tokens"), "length");
  EXPECT_EQ(reason("model_context_window_exceeded"), "length");
  EXPECT_EQ(reason("pause_turn"), "length");
  EXPECT_EQ(reason("refusal"), "content_filter");
  const auto refused = json(answer(R"({"content":[],"stop_reason":"refusal",
    "stop_details":{"type":"refusal","category":"bio","explanation":"no"}})")
                                .body);
  EXPECT_EQ(refused.at("choices").at(0).at("message").at("refusal"), "no");
}

TEST(anthropic_answer, what_is_none) {
  EXPECT_EQ(verdict(answer("")), "Rhcd");
  EXPECT_EQ(verdict(answer(R"({"content":"x"})")), "Rhcd1");
  EXPECT_EQ(verdict(answer(R"({"type":"error","error":{"type":"overloaded_error",
    "message":"Overloaded"}})")),
            "Rhc");
}

TEST(anthropic_limits, headers_become_readings) {
  auto call = reply(200, R"({"content":[]})");
  call.response.headers = {{"anthropic-ratelimit-requests-limit", "50"},
                           {"anthropic-ratelimit-requests-remaining", "49"},
                           {"anthropic-ratelimit-requests-reset", "2027-01-15T08:00:30Z"},
                           {"anthropic-ratelimit-input-tokens-limit", "30000"},
                           {"anthropic-ratelimit-input-tokens-remaining", "12000"},
                           {"anthropic-ratelimit-output-tokens-remaining", "1"},
                           {"request-id", "req_7"}};
  const auto o = anthropic->decode("/v1/chat/completions", call, {});
  EXPECT_EQ(o.requests.limit, 50);
  EXPECT_EQ(o.requests.remaining, 49);
  EXPECT_EQ(o.requests.reset, std::chrono::seconds(30));
  EXPECT_EQ(o.tokens_rate.limit, 30000);
  EXPECT_EQ(o.tokens_rate.remaining, 12000);
  EXPECT_EQ(o.request_id, "req_7");
}

TEST(anthropic_limits, rfc3339) {
  const time_point noon(std::chrono::seconds(1'800'000'000));  // 2027-01-15 08:00 UTC
  EXPECT_EQ(parse_rfc3339("2027-01-15T08:00:00Z"), noon);
  EXPECT_EQ(parse_rfc3339("2027-01-15T10:30:00.123+02:30"), noon);
  EXPECT_EQ(parse_rfc3339("2027-01-15T01:00:00-07:00"), noon);
  for (const char* wrong : {"", "2027-01-15", "2027-02-30T08:00:00Z", "2027-01-15T25:00:00Z",
                            "2027-01-15T08:00:00", "2027-01-15T08:00:00+2:30", "60"})
    EXPECT_EQ(parse_rfc3339(wrong), std::nullopt) << wrong;
}

}  // namespace
}  // namespace spillway
