// Chat prompts as generateContent requests, and its answers as chat completions.
#include "workers/providers/generate_content.hpp"
#include "tests/unit/provider_verdict.hpp"
#include "tests/unit/translation_harness.hpp"

#include <gtest/gtest.h>

namespace spillway {
namespace {

const auto vertex = make_provider(cloud_pool(provider_kind::vertex));

boost::json::value request(std::string_view rest, std::string model = "gemini-2.5-flash") {
  return translated(*vertex, cloud_lane(std::move(model), lane_surface::generate_content), rest);
}

outcome answer(std::string body) {
  return vertex->decode("/v1/chat/completions", reply(200, std::move(body)),
                        cloud_lane("gemini-2.5-flash", lane_surface::generate_content));
}

TEST(generate_content, messages_become_turns) {
  EXPECT_EQ(request(R"("messages":[
      {"role":"system","content":"Be brief."},
      {"role":"developer","content":[{"type":"text","text":"Always."}]},
      {"role":"user","content":"Hi \"there\"\n"},
      {"role":"user","content":[{"type":"text","text":"and"},
        {"type":"image_url","image_url":{"url":"data:image/jpg;base64,QUJD"}}]},
      {"role":"assistant","content":"Yes?"},
      {"role":"user","content":"Bye"}])"),
            json(R"({"systemInstruction":{"parts":[{"text":"Be brief."},{"text":"Always."}]},
      "contents":[
        {"role":"user","parts":[{"text":"Hi \"there\"\n"},{"text":"and"},
          {"inlineData":{"mimeType":"image/jpeg","data":"QUJD"}}]},
        {"role":"model","parts":[{"text":"Yes?"}]},
        {"role":"user","parts":[{"text":"Bye"}]}],
      "generationConfig":{}})"));
}

TEST(generate_content, turns_the_service_would_refuse_get_a_blank) {
  const auto blank = json(R"([{"role":"user","parts":[{"text":" "}]}])");
  EXPECT_EQ(request(R"("messages":[{"role":"system","content":"s"}])").at("contents"), blank);
  EXPECT_EQ(request(R"("messages":[{"role":"user","content":""}])").at("contents"), blank);
  EXPECT_EQ(request(R"("messages":[{"role":"user","content":[{"type":"image_url",
      "image_url":{"url":"data:image/png;base64,QQ=="}}]}])")
                .at("contents"),
            json(R"([{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"QQ=="}},
      {"text":" "}]}])"));
}

constexpr std::string_view with_tools = R"("messages":[
    {"role":"user","content":"w"},
    {"role":"assistant","content":null,"tool_calls":[
      {"id":"a1","type":"function","function":{"name":"look","arguments":"{\"x\": 1}"}},
      {"id":"a2","type":"function","function":{"name":"ask","arguments":"not json"}}]},
    {"role":"tool","tool_call_id":"a2","content":"plain"},
    {"role":"tool","tool_call_id":"a1","content":"{\"ok\":true}"},
    {"role":"user","content":"so?"}],
  "tools":[{"type":"function","function":{"name":"look","description":"d",
    "parameters":{"type":"object","properties":{"x":{"type":"integer"}},"additionalProperties":false}}},
    {"type":"function","function":{"name":"ask"}}])";

TEST(generate_content, tools_and_their_results) {
  const auto out = request(with_tools);
  EXPECT_EQ(out.at("contents"), json(R"([{"role":"user","parts":[{"text":"w"}]},
    {"role":"model","parts":[{"functionCall":{"name":"look","args":{"x":1}}},
      {"functionCall":{"name":"ask","args":{"arguments":"not json"}}}]},
    {"role":"user","parts":[{"functionResponse":{"name":"ask","response":{"output":"plain"}}},
      {"functionResponse":{"name":"look","response":{"ok":true}}}]},
    {"role":"user","parts":[{"text":"so?"}]}])"));
  EXPECT_EQ(out.at("tools"), json(R"([{"functionDeclarations":[{"name":"look","description":"d",
    "parametersJsonSchema":{"type":"object","properties":{"x":{"type":"integer"}},
    "additionalProperties":false}},{"name":"ask"}]}])"));
}

TEST(generate_content, newer_models_need_call_ids_and_a_signature_on_the_first_call) {
  const auto parts = request(with_tools, "gemini-3.8-flash").at("contents").at(1).at("parts");
  EXPECT_EQ(parts.at(0), json(R"({"functionCall":{"name":"look","args":{"x":1},"id":"a1"},
    "thoughtSignature":"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="})"));
  EXPECT_EQ(parts.at(1), json(R"({"functionCall":{"name":"ask","args":{"arguments":"not json"},
    "id":"a2"}})"));
  const auto kept = request(R"("messages":[{"role":"user","content":"w"},
    {"role":"assistant","tool_calls":[{"id":"a1__thought__c2ln","type":"function",
      "function":{"name":"look","arguments":""}}]},
    {"role":"tool","tool_call_id":"a1__thought__c2ln","content":""}])",
                            "gemini-3.8-flash")
                        .at("contents");
  EXPECT_EQ(kept.at(1).at("parts"), json(R"([{"functionCall":{"name":"look","args":{},"id":"a1"},
    "thoughtSignature":"c2ln"}])"));
  EXPECT_EQ(kept.at(2).at("parts"),
            json(R"([{"functionResponse":{"name":"look","response":{},"id":"a1"}}])"));
}

TEST(generate_content, tool_choices) {
  const auto mode = [](std::string_view choice) {
    return request(R"("messages":[{"role":"user","content":"w"}],"tool_choice":)" +
                   std::string(choice))
        .at("toolConfig")
        .at("functionCallingConfig");
  };
  EXPECT_EQ(mode(R"("auto")"), json(R"({"mode":"AUTO"})"));
  EXPECT_EQ(mode(R"("none")"), json(R"({"mode":"NONE"})"));
  EXPECT_EQ(mode(R"("required")"), json(R"({"mode":"ANY"})"));
  EXPECT_EQ(mode(R"({"type":"function","function":{"name":"look"}})"),
            json(R"({"mode":"ANY","allowedFunctionNames":["look"]})"));
}

TEST(generate_content, settings) {
  const auto settings = request(R"("messages":[{"role":"user","content":"w"}],"max_tokens":9,
    "temperature":1.5,"top_p":0.25,"stop":["a","b"],"seed":-4,"n":3,"presence_penalty":0.5,
    "frequency_penalty":-1,"logprobs":true,"top_logprobs":2,"logit_bias":{"5":1},
    "parallel_tool_calls":false,"service_tier":"flex","response_format":{"type":"json_schema",
    "json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}})")
                            .at("generationConfig");
  EXPECT_EQ(settings, json(R"({"maxOutputTokens":9,"temperature":1.5,"topP":0.25,
    "stopSequences":["a","b"],"seed":-4,"candidateCount":3,"presencePenalty":0.5,
    "frequencyPenalty":-1,"responseLogprobs":true,"logprobs":2,
    "responseMimeType":"application/json","responseJsonSchema":{"type":"object"}})"));
}

TEST(generate_content, a_seed_beyond_32_bits_is_no_seed_here) {
  const auto out = request(R"("messages":[{"role":"user","content":"w"}],"seed":4294967296)");
  EXPECT_EQ(out.at("generationConfig"), json("{}"));
}

TEST(generate_content, budgets_leave_room_for_the_answer) {
  const auto budget = [](std::string model, const std::string& limit, std::string effort) {
    return request(R"("messages":[{"role":"user","content":"w"}],"max_tokens":)" + limit +
                       R"(,"reasoning_effort":")" + effort + '"',
                   std::move(model))
        .at_pointer("/generationConfig/thinkingConfig/thinkingBudget")
        .as_int64();
  };
  EXPECT_EQ(budget("gemini-2.5-flash", "2000", "high"), 1999);
  EXPECT_EQ(budget("gemini-2.5-flash", "1025", "low"), 1024);
  // Dropped: unsaid, the model would think as it likes.
  EXPECT_EQ(budget("gemini-2.5-flash", "500", "low"), 0);
  EXPECT_EQ(budget("gemini-2.5-pro", "500", "low"), 128);
}

TEST(generate_content, effort_by_family) {
  const auto thinking = [](std::string effort, std::string model) {
    const auto out = request(
        R"("messages":[{"role":"user","content":"w"}],"reasoning_effort":")" + effort + '"', model);
    const auto* config = out.at("generationConfig").as_object().if_contains("thinkingConfig");
    return config ? boost::json::serialize(*config) : std::string();
  };
  EXPECT_EQ(thinking("medium", "gemini-2.5-pro"), R"({"thinkingBudget":8192})");
  EXPECT_EQ(thinking("none", "gemini-2.5-flash"), R"({"thinkingBudget":0})");
  EXPECT_EQ(thinking("none", "gemini-2.5-pro"), R"({"thinkingBudget":128})");
  EXPECT_EQ(thinking("minimal", "gemini-3.5-flash"), R"({"thinkingLevel":"MINIMAL"})");
  EXPECT_EQ(thinking("none", "google/gemini-3.8-flash"), R"({"thinkingLevel":"LOW"})");
  EXPECT_EQ(thinking("xhigh", "gemini-4-argon"), R"({"thinkingLevel":"HIGH"})");
  EXPECT_EQ(thinking("strange", "gemini-3-pro"), R"({"thinkingLevel":"strange"})");
  EXPECT_EQ(thinking("high", "gemini-2.0-flash"), "");
  EXPECT_EQ(thinking("high", "gemini-flash-latest"), R"({"thinkingLevel":"HIGH"})");
}

TEST(generate_content, what_models_lack) {
  const auto lacks = [](std::string_view model, prompt_feature f) {
    return generate_content_unmappable(
               cloud_lane(std::string(model), lane_surface::generate_content))
        .has(f);
  };
  EXPECT_TRUE(lacks("gemini-3.8-flash", prompt_feature::penalties));
  EXPECT_FALSE(lacks("gemini-2.5-flash", prompt_feature::penalties));
  EXPECT_TRUE(lacks("gemini-2.0-flash", prompt_feature::reasoning_effort));
  EXPECT_FALSE(lacks("gemini-2.5-flash", prompt_feature::reasoning_effort));
  for (const char* model : {"gemini-3.8-flash", "gemini-3-flash", "gemini-2.5-pro"})
    EXPECT_TRUE(lacks(model, prompt_feature::reasoning_off)) << model;
  for (const char* model : {"gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.0-flash"})
    EXPECT_FALSE(lacks(model, prompt_feature::reasoning_off)) << model;
  EXPECT_TRUE(lacks("gemini-2.5-flash", prompt_feature::effort_without_room));
  EXPECT_FALSE(lacks("gemini-3.8-flash", prompt_feature::effort_without_room));
  for (const auto f :
       {prompt_feature::image_url, prompt_feature::logit_bias, prompt_feature::wide_seed,
        prompt_feature::assistant_last, prompt_feature::image_detail, prompt_feature::verbosity,
        prompt_feature::unknown_parameter, prompt_feature::unknown_content})
    EXPECT_TRUE(lacks("gemini-3.8-flash", f));
  for (const auto f : {prompt_feature::seed, prompt_feature::choices, prompt_feature::stop,
                       prompt_feature::temperature_above_1, prompt_feature::json_schema,
                       prompt_feature::image_data, prompt_feature::tools, prompt_feature::logprobs})
    EXPECT_FALSE(lacks("gemini-2.5-flash", f));
}

TEST(generate_content, tools_and_json_together) {
  const std::string both =
      R"("messages":[{"role":"user","content":"w"}],"tools":[{"type":"function",
      "function":{"name":"f"}}],"response_format":{"type":"json_object"})";
  const auto json_asked = [&](std::string model) {
    return request(both, std::move(model))
        .at("generationConfig")
        .as_object()
        .contains("responseMimeType");
  };
  EXPECT_TRUE(json_asked("gemini-3.8-flash"));
  EXPECT_FALSE(json_asked("gemini-2.5-flash"));
  EXPECT_TRUE(json_asked("endpoints/123")) << "let the model say no";
  const auto lane = cloud_lane("gemini-2.5-flash", lane_surface::generate_content);
  EXPECT_TRUE(generate_content_unmappable(lane).has(prompt_feature::tools_with_json_schema));
}

TEST(generate_content_answer, text_usage_and_tier) {
  const auto o = answer(R"({"candidates":[{"content":{"role":"model","parts":[
      {"text":"thinking","thought":true},{"text":"Hel"},{"text":"lo"}]},"finishReason":"STOP"}],
    "usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":7,
      "thoughtsTokenCount":30,"totalTokenCount":137,"trafficType":"ON_DEMAND_FLEX"},
    "modelVersion":"gemini-2.5-flash-001","responseId":"R-1"})");
  ASSERT_EQ(verdict(o), "A");
  EXPECT_EQ(json(o.body), json(R"({"id":"chatcmpl-R-1","object":"chat.completion",
    "created":1800000000,"model":"gemini-2.5-flash-001","choices":[{"index":0,"message":{
      "role":"assistant","content":"Hello","refusal":null},"logprobs":null,
      "finish_reason":"stop"}],"service_tier":"flex","usage":{"prompt_tokens":100,
      "completion_tokens":37,"total_tokens":137,"prompt_tokens_details":{"cached_tokens":40},
      "completion_tokens_details":{"reasoning_tokens":30}}})"));
  EXPECT_TRUE(o.usage.known);
  EXPECT_EQ(o.usage.input, tokens(100));
  EXPECT_EQ(o.usage.cached, tokens(40));
  EXPECT_EQ(o.usage.output, tokens(37));
}

TEST(generate_content_answer, thoughts_may_be_among_the_candidates_tokens) {
  const auto o = answer(R"({"candidates":[{"content":{"parts":[{"text":"x"}]}}],"usageMetadata":{
    "promptTokenCount":10,"candidatesTokenCount":20,"thoughtsTokenCount":15,"totalTokenCount":30}})");
  EXPECT_EQ(o.usage.output, tokens(20));
}

TEST(generate_content_answer, calls_get_ids_and_keep_signatures) {
  const auto o = answer(R"({"candidates":[{"content":{"parts":[
    {"functionCall":{"name":"look","args":{"x": [1, 2]}},"thoughtSignature":"c2ln"},
    {"functionCall":{"id":"g7","name":"ask"}}]},"finishReason":"STOP"}],"usageMetadata":{}})");
  const auto out = json(o.body);
  const auto& choice = out.at("choices").at(0);
  EXPECT_EQ(choice.at("finish_reason"), "tool_calls");
  EXPECT_TRUE(choice.at("message").at("content").is_null());
  const auto& calls = choice.at("message").at("tool_calls");
  const std::string first(calls.at(0).at("id").as_string());
  EXPECT_TRUE(first.starts_with("call_")) << first;
  EXPECT_TRUE(first.ends_with("__thought__c2ln")) << first;
  EXPECT_EQ(calls.at(0).at("function"), json(R"({"name":"look","arguments":"{\"x\":[1,2]}"})"));
  EXPECT_EQ(calls.at(1), json(R"({"id":"g7","type":"function","function":{"name":"ask",
    "arguments":"{}"}})"));
  EXPECT_FALSE(o.usage.known);
}

TEST(generate_content_answer, finish_reasons) {
  const auto reason = [](std::string_view google) {
    const auto o = answer(R"({"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":")" +
                          std::string(google) + R"("}]})");
    if (o.kind != outcome_kind::answered) return verdict(o) + ' ' + o.error_code;
    return std::string(json(o.body).at("choices").at(0).at("finish_reason").as_string());
  };
  EXPECT_EQ(reason("STOP"), "stop");
  EXPECT_EQ(reason("MAX_TOKENS"), "length");
  for (const char* filter : {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"})
    EXPECT_EQ(reason(filter), "content_filter") << filter;
  for (const char* slip : {"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "OTHER"})
    EXPECT_EQ(reason(slip), std::string("Rc1 ") + slip);
}

TEST(generate_content_answer, a_blocked_prompt_is_answered) {
  const auto o = answer(R"({"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},
    "usageMetadata":{"promptTokenCount":4,"totalTokenCount":4}})");
  ASSERT_EQ(verdict(o), "A");
  const auto choice = json(o.body).at("choices").at(0);
  EXPECT_EQ(choice.at("finish_reason"), "content_filter");
  EXPECT_TRUE(choice.at("message").at("content").is_null());
  EXPECT_EQ(o.usage.input, tokens(4));
}

TEST(generate_content_answer, several_candidates_and_logprobs) {
  const auto o = answer(R"({"candidates":[
    {"index":0,"content":{"parts":[{"text":"a"}]},"finishReason":"STOP","logprobsResult":{
      "chosenCandidates":[{"token":"a","tokenId":5,"logProbability":-0.5}],
      "topCandidates":[{"candidates":[{"token":"a","logProbability":-0.5},
                                      {"token":"b","logProbability":-1.5}]}]}},
    {"index":1,"finishReason":"MAX_TOKENS"}]})");
  const auto out = json(o.body);
  EXPECT_EQ(out.at("choices").at(0).at("logprobs"), json(R"({"content":[{"token":"a",
    "logprob":-0.5,"bytes":null,"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":null},
    {"token":"b","logprob":-1.5,"bytes":null}]}],"refusal":null})"));
  EXPECT_EQ(out.at("choices").at(1).at("message").at("content"), "");
  EXPECT_EQ(out.at("choices").at(1).at("finish_reason"), "length");
}

TEST(generate_content_answer, what_is_none) {
  EXPECT_EQ(verdict(answer("")), "Rhcd");
  EXPECT_EQ(verdict(answer("[1]")), "Rhcd");
  EXPECT_EQ(verdict(answer(R"({"candidates":[]})")), "Rhcd1");
  const auto o = answer(R"({"error":{"code":500,"message":"Internal error","status":"INTERNAL"}})");
  EXPECT_EQ(verdict(o), "Rhc");
  EXPECT_EQ(o.error_message, "Internal error");
}

}  // namespace
}  // namespace spillway
