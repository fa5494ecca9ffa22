// Chat prompts as Responses requests, and Responses as chat completions.
#include "workers/providers/responses_form.hpp"
#include "tests/unit/provider_verdict.hpp"
#include "tests/unit/translation_harness.hpp"

#include <gtest/gtest.h>

namespace spillway {
namespace {

const auto vertex = make_provider(cloud_pool(provider_kind::vertex));
const auto lane = cloud_lane("gpt-6-sol", lane_surface::responses);

boost::json::value request(std::string_view rest) { return translated(*vertex, lane, rest); }

outcome answer(std::string body) {
  return vertex->decode("/v1/chat/completions", reply(200, std::move(body)), lane);
}

boost::json::value choice(const outcome& o) {
  return o.kind == outcome_kind::answered ? json(o.body).at("choices").at(0)
                                          : boost::json::value(verdict(o) + ' ' + o.error_code);
}

TEST(responses_form, messages_become_items) {
  EXPECT_EQ(request(R"("messages":[
      {"role":"system","content":"Be brief."},{"role":"developer","content":"Always."},
      {"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url",
        "image_url":{"url":"data:image/png;base64,QQ=="}}]},
      {"role":"assistant","content":"I","refusal":"no"},
      {"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function",
        "function":{"name":"look","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"c1","content":"found"},
      {"role":"system","content":"late"}])"),
            json(R"({"model":"gpt-6-sol","instructions":"Be brief.\n\nAlways.","store":false,
      "input":[
        {"type":"message","role":"user","content":[{"type":"input_text","text":"see"},
          {"type":"input_image","image_url":"data:image/png;base64,QQ==","detail":"auto"}]},
        {"type":"message","role":"assistant","content":[{"type":"output_text","text":"I"},
          {"type":"refusal","refusal":"no"}]},
        {"type":"function_call","call_id":"c1","name":"look","arguments":"{}"},
        {"type":"function_call_output","call_id":"c1","output":"found"},
        {"type":"message","role":"system","content":[{"type":"input_text","text":"late"}]}]})"));
}

TEST(responses_form, instructions_alone_are_input) {
  const auto out = request(R"("messages":[{"role":"system","content":"s"}])");
  EXPECT_EQ(out.as_object().count("instructions"), 0u);
  EXPECT_EQ(out.at("input").as_array().size(), 1u);
}

TEST(responses_form, tools_lose_their_wrapper_and_say_strict) {
  const auto out = request(R"("messages":[{"role":"user","content":"w"}],"tools":[
    {"type":"function","function":{"name":"look","description":"d","parameters":{"type":"object"}}},
    {"type":"function","function":{"name":"ask","strict":true}}],
    "tool_choice":{"type":"function","function":{"name":"look"}},"parallel_tool_calls":false)");
  EXPECT_EQ(out.at("tools"), json(R"([{"type":"function","name":"look","description":"d",
    "parameters":{"type":"object"},"strict":false},
    {"type":"function","name":"ask","parameters":null,"strict":true}])"));
  EXPECT_EQ(out.at("tool_choice"), json(R"({"type":"function","name":"look"})"));
  EXPECT_EQ(out.at("parallel_tool_calls"), false);
}

TEST(responses_form, settings) {
  auto out = request(R"("messages":[{"role":"user","content":"w"}],"max_completion_tokens":5,
    "temperature":1.5,"top_p":0.5,"reasoning_effort":"low","logprobs":true,"top_logprobs":3,
    "user":"u","stop":"x","seed":1,"n":2,"presence_penalty":1,"service_tier":"flex",
    "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"a":1}}})")
                 .as_object();
  out.erase("input");
  EXPECT_EQ(out, json(R"({"model":"gpt-6-sol","max_output_tokens":16,"temperature":1.5,
    "top_p":0.5,"reasoning":{"effort":"low"},"include":["message.output_text.logprobs"],
    "top_logprobs":3,"user":"u","store":false,
    "text":{"format":{"type":"json_schema","name":"n","schema":{"a":1},"strict":false}}})"));
  EXPECT_EQ(request(R"("messages":[{"role":"user","content":"w"}],
    "response_format":{"type":"json_object"},"verbosity":"low")")
                .at("text"),
            json(R"({"format":{"type":"json_object"},"verbosity":"low"})"));
  EXPECT_EQ(
      request(R"("messages":[{"role":"user","content":"w"}],"verbosity":"medium")").at("text"),
      json(R"({"verbosity":"medium"})"));
}

TEST(responses_form, images_are_looked_at_as_closely_as_asked) {
  const auto out = request(R"("messages":[{"role":"user","content":[{"type":"image_url",
    "image_url":{"url":"data:image/png;base64,QQ==","detail":"high"}}]}])");
  EXPECT_EQ(out.at_pointer("/input/0/content/0/detail"), "high");
  const auto lacks = vertex->unmappable(endpoint_kind::chat_completions, lane);
  EXPECT_FALSE(lacks.has(prompt_feature::image_detail));
  EXPECT_FALSE(lacks.has(prompt_feature::verbosity));
}

TEST(responses_form, what_a_surface_refuses_is_left_out) {
  chat_request chat;
  chat.temperature = 0.5;
  chat.top_p = 0.5;
  chat.reasoning_effort = "low";
  chat.service_tier = "flex";
  const auto all = write_responses(chat, "m", {});
  for (const char* key : {"temperature", "top_p", "reasoning", "service_tier"})
    EXPECT_NE(all.find(key), std::string::npos) << key;
  EXPECT_EQ(json(write_responses(chat, "m", droppable_features)),
            json(R"({"model":"m","input":[],"store":false})"));
}

TEST(responses_form, lanes_of_openai_itself_may_be_asked_so) {
  auto pool = cloud_pool(provider_kind::openai);
  pool.endpoint = "https://api.example/v1";
  const auto openai = make_provider(pool);
  auto flex = cloud_lane("gpt-x", lane_surface::responses);
  flex.tier = lane_tier::flex;
  const std::string body = R"({"model":"m","service_tier":"priority","messages":[
    {"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x.example/a"}}]}]})";
  const auto out = openai->encode(view_of(body), flex);
  EXPECT_EQ(out.target, "/v1/responses");
  EXPECT_EQ(json(out.body), json(R"({"model":"gpt-x","input":[{"type":"message","role":"user",
    "content":[{"type":"input_image","image_url":"https://x.example/a","detail":"auto"}]}],
    "store":false,"service_tier":"flex"})"));
  const auto lacks = openai->unmappable(endpoint_kind::chat_completions, flex);
  EXPECT_TRUE(lacks.has(prompt_feature::seed));
  EXPECT_FALSE(lacks.has(prompt_feature::image_url));
  EXPECT_FALSE(openai->unmappable(endpoint_kind::responses, flex).has(prompt_feature::seed));
  const auto o = openai->decode("/v1/chat/completions",
                                reply(200, R"({"status":"completed","output":[]})"), flex);
  EXPECT_EQ(json(o.body).at("object"), "chat.completion");
}

TEST(responses_form_answer, everything_at_once) {
  const auto o = answer(R"({"id":"resp_9","object":"response","status":"completed","model":"g",
    "service_tier":"default","error":null,"incomplete_details":null,"output":[
      {"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},
      {"type":"message","role":"assistant","content":[
        {"type":"output_text","text":"one ","annotations":[]},{"type":"output_text","text":"two"}]},
      {"type":"function_call","id":"fc_1","call_id":"c1","name":"look","arguments":"{\"x\":1}"}],
    "usage":{"input_tokens":20,"input_tokens_details":{"cached_tokens":8},"output_tokens":12,
      "output_tokens_details":{"reasoning_tokens":5},"total_tokens":32}})");
  ASSERT_EQ(verdict(o), "A");
  EXPECT_EQ(json(o.body), json(R"({"id":"chatcmpl-resp_9","object":"chat.completion",
    "created":1800000000,"model":"g","service_tier":"default","choices":[{"index":0,"message":{
      "role":"assistant","content":"one two","refusal":null,"tool_calls":[{"id":"c1",
        "type":"function","function":{"name":"look","arguments":"{\"x\":1}"}}]},
      "logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":20,
      "completion_tokens":12,"total_tokens":32,"prompt_tokens_details":{"cached_tokens":8},
      "completion_tokens_details":{"reasoning_tokens":5}}})"));
}

TEST(responses_form_answer, refusals_and_cut_answers) {
  EXPECT_EQ(choice(answer(R"({"status":"completed","output":[{"type":"message",
    "content":[{"type":"refusal","refusal":"I won't"}]}]})")),
            json(R"({"index":0,"message":{"role":"assistant","content":null,
    "refusal":"I won't"},"logprobs":null,"finish_reason":"stop"})"));
  const auto cut = [](std::string_view reason) {
    return choice(answer(R"({"status":"incomplete","incomplete_details":{"reason":")" +
                         std::string(reason) + R"("},"output":[{"type":"reasoning"}]})"))
        .at("finish_reason");
  };
  EXPECT_EQ(cut("max_output_tokens"), "length");
  EXPECT_EQ(cut("content_filter"), "content_filter");
}

TEST(responses_form_answer, failures_inside) {
  EXPECT_EQ(choice(answer(R"({"status":"failed","error":{"code":"server_error","message":"m"}})")),
            "Rhc server_error");
  EXPECT_EQ(choice(answer(R"({"status":"failed","error":{"code":"rate_limit_exceeded"}})")),
            "Rq rate_limit_exceeded");
  EXPECT_EQ(choice(answer("{}")), "Rhcd1 malformed_response");
  EXPECT_EQ(choice(answer("")), "Rhcd malformed_response");
}

TEST(responses_form_answer, logprobs_keep_their_form) {
  const auto token = R"({"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[]})";
  EXPECT_EQ(choice(answer(R"({"status":"completed","output":[{"type":"message","content":[
    {"type":"output_text","text":"a","logprobs":[)" +
                          std::string(token) + "]}]}]}"))
                .at("logprobs"),
            json(R"({"refusal":null,"content":[)" + std::string(token) + "]}"));
}

}  // namespace
}  // namespace spillway
