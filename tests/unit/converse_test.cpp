// Chat prompts as Converse requests, and Converse answers as chat completions.
#include "workers/providers/converse.hpp"
#include "orchestrator/core/money.hpp"
#include "tests/unit/provider_verdict.hpp"
#include "tests/unit/translation_harness.hpp"
#include "workers/providers/bedrock_models.hpp"

#include <gtest/gtest.h>

namespace spillway {
namespace {

constexpr auto bedrock = provider_kind::bedrock;
const char* const claude = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const char* const adaptive = "anthropic.claude-opus-4-6-v1";
const char* const gpt = "global.openai.gpt-6-sol";
const char* const oss = "openai.gpt-oss-120b-1:0";

lane_config lane_of(const char* model) { return cloud_lane(model, lane_surface::converse); }

boost::json::value sent(const char* model, std::string_view rest) {
  return translated(*make_provider(cloud_pool(bedrock)), lane_of(model), rest);
}

constexpr std::string_view hi = R"("messages":[{"role":"user","content":"hi"}])";

std::string with(std::string_view more) { return std::string(hi) + "," + std::string(more); }

TEST(converse_request, messages_and_neighbours) {
  EXPECT_EQ(sent(claude, R"("messages":[
      {"role":"system","content":"be brief"},
      {"role":"developer","content":[{"type":"text","text":"be kind"},{"type":"text","text":""}]},
      {"role":"user","content":"one"},
      {"role":"user","content":[{"type":"text","text":"two"},
        {"type":"image_url","image_url":{"url":"data:image/jpeg;base64,QUJD"}}]},
      {"role":"assistant","content":""},
      {"role":"assistant","content":"three"},
      {"role":"user","content":"four"}])"),
            json(R"({"messages":[
      {"role":"user","content":[{"text":"one"},{"text":"two"},
        {"image":{"format":"jpeg","source":{"bytes":"QUJD"}}}]},
      {"role":"assistant","content":[{"text":"three"}]},
      {"role":"user","content":[{"text":"four"}]}],
      "system":[{"text":"be brief"},{"text":"be kind"}]})"));
}

TEST(converse_request, instructions_alone_are_asked_as_a_question) {
  EXPECT_EQ(sent(claude, R"("messages":[{"role":"system","content":"one"},
      {"role":"developer","content":"two"}])"),
            json(R"({"messages":[{"role":"user","content":[{"text":"one"},{"text":"two"}]}]})"));
}

TEST(converse_request, tools_and_their_history) {
  EXPECT_EQ(sent(claude, R"("messages":[
      {"role":"user","content":"weather?"},
      {"role":"assistant","content":null,"tool_calls":[
        {"id":"call_1","type":"function","function":{"name":"get","arguments":"{\"at\":\"Oslo\"}"}},
        {"id":"call 2","type":"function","function":{"name":"get","arguments":""}}]},
      {"role":"tool","tool_call_id":"call_1","content":"rain"},
      {"role":"tool","tool_call_id":"call 2","content":""},
      {"role":"user","content":"and now?"}],
      "tools":[{"type":"function","function":{"name":"get","description":"weather","strict":true,
        "parameters":{"type":"object","properties":{"at":{"type":"string"}}}}},
        {"type":"function","function":{"name":"bare"}}],
      "tool_choice":"required")"),
            json(R"({"messages":[
      {"role":"user","content":[{"text":"weather?"}]},
      {"role":"assistant","content":[
        {"toolUse":{"toolUseId":"call_1","name":"get","input":{"at":"Oslo"}}},
        {"toolUse":{"toolUseId":")" +
                 answer_id("call_", "", "call 2") + R"(","name":"get","input":{}}}]},
      {"role":"user","content":[
        {"toolResult":{"toolUseId":"call_1","content":[{"text":"rain"}]}},
        {"toolResult":{"toolUseId":")" +
                 answer_id("call_", "", "call 2") + R"(","content":[{"text":""}]}},
        {"text":"and now?"}]}],
      "toolConfig":{"tools":[
        {"toolSpec":{"name":"get","description":"weather","inputSchema":{"json":
          {"type":"object","properties":{"at":{"type":"string"}},"additionalProperties":false}},
          "strict":true}},
        {"toolSpec":{"name":"bare","inputSchema":{"json":{"type":"object","properties":{}}}}}],
        "toolChoice":{"any":{}}}})"));
}

TEST(converse_request, tool_choices) {
  const std::string tools = R"("tools":[{"type":"function","function":{"name":"f"}}])";
  const auto choice = [&](std::string_view more) {
    const auto body = sent(claude, with(tools + std::string(more)));
    const auto* config = body.as_object().if_contains("toolConfig");
    if (!config) return std::string("no tools");
    const auto* found = config->as_object().if_contains("toolChoice");
    return found ? boost::json::serialize(*found) : std::string();
  };
  EXPECT_EQ(choice(""), "");
  EXPECT_EQ(choice(R"(,"tool_choice":"auto")"), R"({"auto":{}})");
  EXPECT_EQ(choice(R"(,"tool_choice":"none")"), "no tools");
  EXPECT_EQ(choice(R"(,"tool_choice":{"type":"function","function":{"name":"f"}})"),
            R"({"tool":{"name":"f"}})");
}

TEST(converse_request, calls_in_the_history_bring_their_tools) {
  const auto body = sent(claude, R"("messages":[{"role":"user","content":"x"},
      {"role":"assistant","tool_calls":[
        {"id":"a","type":"function","function":{"name":"f","arguments":"not JSON"}},
        {"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"a","content":"y"}])");
  EXPECT_EQ(body.at("toolConfig"), json(R"({"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":
      {"type":"object","properties":{}}}}}]})"));
  EXPECT_EQ(body.at_pointer("/messages/1/content/0/toolUse/input"),
            json(R"({"arguments":"not JSON"})"));
}

TEST(converse_request, inference_parameters) {
  const std::string all = R"("max_tokens":5,"temperature":0.25,"top_p":0.9,"stop":["a",""])";
  EXPECT_EQ(sent("amazon.nova-pro-v1:0", with(all)).at("inferenceConfig"),
            json(R"({"maxTokens":5,"temperature":0.25,"topP":0.9,"stopSequences":["a"]})"));
  // Claude takes one kind of heat, and none once it is told to think.
  EXPECT_EQ(sent(claude, with(all)).at("inferenceConfig"),
            json(R"({"maxTokens":5,"temperature":0.25,"stopSequences":["a"]})"));
  EXPECT_EQ(sent(adaptive, with(all + R"(,"reasoning_effort":"low")")).at("inferenceConfig"),
            json(R"({"maxTokens":5,"stopSequences":["a"]})"));
  EXPECT_FALSE(sent(claude, hi).as_object().contains("inferenceConfig"));
  EXPECT_EQ(sent(claude, with(R"("temperature":1.5,"top_p":0.3,"stop":["\n","a"])"))
                .at("inferenceConfig"),
            json(R"({"topP":0.3,"stopSequences":["a"]})"));
  EXPECT_EQ(sent(oss, with(R"("stop":"\n")")).at("inferenceConfig"),
            json(R"({"stopSequences":["\n"]})"));
  // GPT takes neither heat nor stops, and no limit below 16.
  EXPECT_EQ(sent(gpt, with(R"("max_completion_tokens":5,"temperature":0,"top_p":1,"stop":"a")"))
                .at("inferenceConfig"),
            json(R"({"maxTokens":16})"));
  EXPECT_EQ(sent(gpt, with(R"("temperature":0,"top_p":0.5,"reasoning_effort":"none")"))
                .at("inferenceConfig"),
            json(R"({"temperature":0,"topP":0.5})"));
  lane_config lane = lane_of(claude);
  lane.max_output_tokens = tokens(99);
  lane.tier = lane_tier::flex;
  const auto body = translated(*make_provider(cloud_pool(bedrock)), lane, hi);
  EXPECT_EQ(body.at("inferenceConfig"), json(R"({"maxTokens":99})"));
  EXPECT_EQ(body.at("serviceTier"), json(R"({"type":"flex"})"));
}

TEST(converse_request, reasoning_effort_in_each_form) {
  const auto fields = [](const char* model, const char* effort) {
    const auto body = sent(model, with("\"reasoning_effort\":\"" + std::string(effort) + "\""));
    const auto* found = body.as_object().if_contains("additionalModelRequestFields");
    return found ? boost::json::serialize(*found) : "";
  };
  EXPECT_EQ(fields(oss, "low"), R"({"reasoning_effort":"low"})");
  EXPECT_EQ(fields(gpt, "xhigh"), R"({"reasoning":{"effort":"xhigh"}})");
  EXPECT_EQ(fields(adaptive, "minimal"),
            R"({"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}})");
  EXPECT_EQ(fields(adaptive, "none"), "");
  EXPECT_EQ(fields("us.anthropic.claude-opus-4-6-v1", "xhigh"),
            R"({"thinking":{"type":"adaptive"},"output_config":{"effort":"high"}})");
  EXPECT_EQ(fields("us.anthropic.claude-opus-4-7", "xhigh"),
            R"({"thinking":{"type":"adaptive"},"output_config":{"effort":"xhigh"}})");
  EXPECT_EQ(fields("eu.amazon.nova-2-lite-v1:0", "minimal"),
            R"({"reasoningConfig":{"type":"enabled","maxReasoningEffort":"low"}})");
  EXPECT_EQ(fields(claude, "medium"), R"({"thinking":{"type":"enabled","budget_tokens":2048}})");
  EXPECT_EQ(fields(claude, "none"), "");
  EXPECT_EQ(fields("anthropic.claude-3-5-haiku-20241022-v1:0", "low"), "");
  const auto short_of = [](const char* limit) {
    return sent(claude, with(R"("reasoning_effort":"high","max_tokens":)" + std::string(limit)))
        .as_object();
  };
  EXPECT_EQ(short_of("1500").at("additionalModelRequestFields"),
            json(R"({"thinking":{"type":"enabled","budget_tokens":1499}})"));
  EXPECT_FALSE(short_of("1024").contains("additionalModelRequestFields"));
}

TEST(converse_request, who_can_be_told_to_think_or_not) {
  using enum prompt_feature;
  const auto lacks = [](const char* model, prompt_feature f) {
    return converse_unmappable(lane_of(model)).has(f);
  };
  for (const char* model :
       {claude, adaptive, "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "anthropic.claude-opus-4-1-20250805-v1:0", "anthropic.claude-sonnet-4-20250514-v1:0",
        "anthropic.claude-opus-4-20250514-v1:0", "anthropic.claude-3-7-sonnet-20250219-v1:0"}) {
    EXPECT_FALSE(lacks(model, reasoning_effort)) << model;
    EXPECT_FALSE(lacks(model, reasoning_off)) << model;
    EXPECT_TRUE(lacks(model, forced_with_effort)) << model;
    EXPECT_EQ(lacks(model, effort_without_room), model != adaptive) << model;
  }
  EXPECT_TRUE(lacks("anthropic.claude-3-5-haiku-20241022-v1:0", reasoning_effort));
  EXPECT_FALSE(lacks("anthropic.claude-3-5-haiku-20241022-v1:0", reasoning_off));
  EXPECT_FALSE(lacks("us.meta.llama4-scout-v1:0", reasoning_off));
  EXPECT_TRUE(lacks("us.deepseek.r1-v1:0", reasoning_off)) << "always thinks";
  lane_config terse = lane_of(claude);
  terse.max_output_tokens = tokens(1024);
  EXPECT_TRUE(converse_unmappable(terse).has(reasoning_effort));
}

TEST(converse_request, what_no_model_takes) {
  for (const auto f : {prompt_feature::assistant_last, prompt_feature::image_detail,
                       prompt_feature::verbosity, prompt_feature::seed})
    EXPECT_TRUE(converse_unmappable(lane_of(oss)).has(f)) << name_of(f);
  EXPECT_TRUE(converse_unmappable(lane_of(claude)).has(prompt_feature::blank_stop));
  EXPECT_FALSE(converse_unmappable(lane_of(oss)).has(prompt_feature::blank_stop));
  EXPECT_TRUE(converse_unmappable(lane_of(claude)).has(prompt_feature::schema_constraints));
}

TEST(converse_request, one_tool_at_a_time) {
  const std::string tools =
      R"("parallel_tool_calls":false,"tools":[{"type":"function","function":{"name":"f"}}])";
  const auto fields = [&](const char* model, const std::string& more) {
    const auto body = sent(model, with(tools + more));
    const auto* found = body.as_object().if_contains("additionalModelRequestFields");
    return found ? boost::json::serialize(*found) : "";
  };
  EXPECT_EQ(fields(claude, ""),
            R"({"tool_choice":{"type":"auto","disable_parallel_tool_use":true}})");
  EXPECT_EQ(fields(claude, R"(,"tool_choice":"required")"),
            R"({"tool_choice":{"disable_parallel_tool_use":true}})")
      << "a type beside toolConfig's is refused";
  EXPECT_EQ(fields(claude, R"(,"tool_choice":"none")"), "");
  EXPECT_EQ(fields(adaptive, R"(,"reasoning_effort":"low")"),
            R"({"thinking":{"type":"adaptive"},"output_config":{"effort":"low"},)"
            R"("tool_choice":{"type":"auto","disable_parallel_tool_use":true}})");
  EXPECT_EQ(fields(gpt, ""), "");
  EXPECT_TRUE(converse_unmappable(lane_of(gpt)).has(prompt_feature::parallel_tool_calls));
  EXPECT_FALSE(converse_unmappable(lane_of(claude)).has(prompt_feature::parallel_tool_calls));
}

TEST(converse_request, schemas_are_text_with_closed_objects) {
  const auto body = sent(claude, with(R"("response_format":{"type":"json_schema","json_schema":{
      "name":"n","description":"d","strict":true,"schema":{"type":"object","properties":{
        "a":{"type":"array","maxItems":9,"items":{"type":"object","properties":{}}},
        "type":{"anyOf":[{"type":"object"},{"type":"null"}]},
        "b":{"type":"object"}}}}})"));
  const auto& definition = body.at_pointer("/outputConfig/textFormat/structure/jsonSchema");
  EXPECT_EQ(body.at_pointer("/outputConfig/textFormat/type"), json(R"("json_schema")"));
  EXPECT_EQ(definition.at("name"), json(R"("n")"));
  EXPECT_EQ(definition.at("description"), json(R"("d")"));
  EXPECT_EQ(json(std::string(definition.at("schema").as_string())), json(R"({"type":"object",
      "properties":{
        "a":{"type":"array","items":{"type":"object","properties":{},"additionalProperties":false},
          "description":"{maxItems: 9}"},
        "type":{"anyOf":[{"type":"object","additionalProperties":false},{"type":"null"}]},
        "b":{"type":"object","additionalProperties":false}},"additionalProperties":false})"));
  EXPECT_TRUE(converse_unmappable(lane_of(gpt)).has(prompt_feature::json_schema));
}

TEST(bedrock_models, are_known_by_any_name_of_theirs) {
  EXPECT_EQ(base_model("global.anthropic.claude-x"), "anthropic.claude-x");
  EXPECT_EQ(base_model("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"),
            "amazon.nova-lite-v1:0");
  EXPECT_EQ(base_model("arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0"),
            "amazon.nova-lite-v1:0");
  lane_config opaque = lane_of("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc123");
  EXPECT_EQ(bedrock_model_of(opaque).prefix, "");
  opaque.model = "anthropic.claude-opus-4-6-v1";
  EXPECT_EQ(bedrock_model_of(opaque).prefix, "anthropic.claude-opus-4-6");
  EXPECT_EQ(bedrock_model_of(opaque).output_burndown, 5);
  EXPECT_EQ(bedrock_model_of(lane_of(gpt)).max_tokens_least, output_tokens_least.count())
      << "what a low limit is raised to is reserved";
  EXPECT_TRUE(is_bedrock_gpt(lane_of(gpt)));
  EXPECT_FALSE(is_bedrock_gpt(lane_of(oss)));
  EXPECT_TRUE(is_bedrock_gpt_oss(lane_of(oss)));
}

outcome answered(std::string body) {
  call_result call = reply(200, std::move(body));
  call.response.headers = {{"x-amzn-requestid", "r-1"}};
  return make_provider(cloud_pool(bedrock))->decode("/v1/chat/completions", call, lane_of(claude));
}

TEST(converse_answer, becomes_a_chat_completion) {
  const outcome o = answered(R"({"metrics":{"latencyMs":9},"output":{"message":{"role":"assistant",
      "content":[{"reasoningContent":{"reasoningText":{"text":"hm"}}},{"text":"Hel"},{"text":"lo"},
      {"toolUse":{"toolUseId":"t1","name":"f","input":{"a":[1, 2.5]}}}]}},
      "stopReason":"tool_use","serviceTier":{"type":"flex"},
      "additionalModelResponseFields":{"usage":{"output_tokens_details":{"thinking_tokens":3}}},
      "usage":{"inputTokens":10,"outputTokens":7,"totalTokens":52,
               "cacheReadInputTokens":20,"cacheWriteInputTokens":15,"cacheDetails":[
                 {"ttl":"5m","inputTokens":9},{"ttl":"1h","inputTokens":6}]}})");
  EXPECT_EQ(verdict(o), "A");
  EXPECT_EQ(o.usage.input.count(), 45);
  EXPECT_EQ(o.usage.cached.count(), 20);
  EXPECT_EQ(o.usage.cache_write.count(), 15);
  EXPECT_EQ(o.usage.cache_write_1h.count(), 6);
  EXPECT_EQ(o.usage.output.count(), 7);
  EXPECT_EQ(json(o.body), json(R"({"id":"chatcmpl-r-1","object":"chat.completion",
      "created":1800000000,"model":"us.anthropic.claude-sonnet-4-5-20250929-v1:0","choices":[{"index":0,"message":
      {"role":"assistant","content":"Hello","refusal":null,"tool_calls":[{"id":"t1",
       "type":"function","function":{"name":"f","arguments":"{\"a\":[1,2.5]}"}}]},
       "logprobs":null,"finish_reason":"tool_calls"}],"service_tier":"flex",
      "usage":{"prompt_tokens":45,"completion_tokens":7,"total_tokens":52,
       "prompt_tokens_details":{"cached_tokens":20},
       "completion_tokens_details":{"reasoning_tokens":3}}})"));
}

TEST(converse_answer, stop_reasons) {
  const std::pair<const char*, const char*> reasons[] = {
      {"end_turn", "stop"},
      {"stop_sequence", "stop"},
      {"max_tokens", "length"},
      {"model_context_window_exceeded", "length"},
      {"tool_use", "tool_calls"},
      {"content_filtered", "content_filter"},
      {"guardrail_intervened", "content_filter"},
      {"something_new", "stop"},
  };
  for (const auto& [stop, finish] : reasons) {
    const outcome o = answered(R"({"output":{"message":{"role":"assistant","content":[]}},
        "stopReason":")" + std::string(stop) +
                               R"(","usage":{"inputTokens":1,"outputTokens":0}})");
    EXPECT_EQ(json(o.body).at_pointer("/choices/0/finish_reason").as_string(), finish);
    EXPECT_EQ(json(o.body).at_pointer("/choices/0/message/content").as_string(), "");
  }
}

TEST(converse_answer, failures_inside) {
  const auto broken = [](const char* stop) {
    return answered(R"({"output":{"message":{"content":[]}},"stopReason":")" + std::string(stop) +
                    R"(","usage":{"inputTokens":4,"outputTokens":2}})");
  };
  EXPECT_EQ(verdict(broken("malformed_tool_use")), "Rc1");
  EXPECT_EQ(broken("malformed_model_output").error_code, "malformed_model_output");
  EXPECT_EQ(broken("malformed_model_output").usage.output.count(), 2);
  EXPECT_EQ(verdict(answered("{}")), "Rhcd1");
  EXPECT_EQ(verdict(answered("not json")), "Rhcd");
  EXPECT_EQ(verdict(answered(R"({"__type":"com.amazon#ThrottlingException","message":"slow"})")),
            "Rq");
  const outcome odd = answered(
      R"({"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"})");
  EXPECT_EQ(verdict(odd), "L model");
  EXPECT_EQ(odd.error_code, "UnknownOperationException");
}

}  // namespace
}  // namespace spillway
