// Vertex as a whole: paths, tiers, what its surfaces serve, embeddings, partners.
#include "tests/unit/provider_verdict.hpp"
#include "tests/unit/translation_harness.hpp"

#include <gtest/gtest.h>

namespace spillway {
namespace {

const auto vertex = make_provider(cloud_pool(provider_kind::vertex));
constexpr std::string_view place = "/v1/projects/p-1/locations/us-central1";
constexpr std::string_view chat = R"({"model":"m","messages":[{"role":"user","content":"w"}]})";

std::string target(std::string as, lane_surface surface, std::string_view body = chat,
                   std::string_view url = "/v1/chat/completions") {
  const auto out = vertex->encode(view_of(body, url), cloud_lane(std::move(as), surface)).target;
  EXPECT_TRUE(out.starts_with(place) || out.starts_with("/v1/projects/q")) << out;
  return out.starts_with(place) ? out.substr(place.size()) : out;
}

TEST(vertex_paths, models) {
  constexpr auto own = lane_surface::generate_content;
  EXPECT_EQ(target("gemini-3.8-flash", own),
            "/publishers/google/models/gemini-3.8-flash:generateContent");
  EXPECT_EQ(target("google/gemini-3.8-flash", own),
            "/publishers/google/models/gemini-3.8-flash:generateContent");
  EXPECT_EQ(target("publishers/google/models/gemini-x", own),
            "/publishers/google/models/gemini-x:generateContent");
  EXPECT_EQ(target("endpoints/123", own), "/endpoints/123:generateContent");
  EXPECT_EQ(target("projects/q/locations/eu/endpoints/5", own),
            "/v1/projects/q/locations/eu/endpoints/5:generateContent");
  EXPECT_EQ(target("odd name\r\n?", own),
            "/publishers/google/models/odd%20name%0D%0A%3F:generateContent");
}

TEST(vertex_paths, surfaces) {
  EXPECT_EQ(target("gpt-oss", lane_surface::openai), "/endpoints/openapi/chat/completions");
  EXPECT_EQ(target("gpt-6-sol", lane_surface::responses), "/publishers/openai/v1/responses");
  EXPECT_EQ(target("text-embedding-005", lane_surface::predict, R"({"model":"m","input":"x"})",
                   "/v1/embeddings"),
            "/publishers/google/models/text-embedding-005:predict");
}

TEST(vertex_paths, a_prefix_comes_first) {
  auto pool = cloud_pool(provider_kind::vertex);
  pool.endpoint = "http://localhost:8080/stub";
  pool.location = "";
  const auto out = make_provider(pool)->encode(
      view_of(chat), cloud_lane("gemini-x", lane_surface::generate_content));
  EXPECT_EQ(out.target,
            "/stub/v1/projects/p-1/locations/global/publishers/google/models/"
            "gemini-x:generateContent");
}

TEST(vertex_tiers, are_headers) {
  const auto headers = [](lane_tier tier) {
    auto lane = cloud_lane("gemini-x", lane_surface::generate_content);
    lane.tier = tier;
    return vertex->encode(view_of(chat), lane).headers;
  };
  const std::string name = "X-Vertex-AI-LLM-Shared-Request-Type: ";
  EXPECT_NE(headers(lane_tier::flex).find(name + "flex\r\n"), std::string::npos);
  EXPECT_NE(headers(lane_tier::priority).find(name + "priority\r\n"), std::string::npos);
  EXPECT_EQ(headers(lane_tier::standard).find("X-Vertex"), std::string::npos);
}

TEST(vertex_openai, the_model_names_its_publisher) {
  const auto model = [](std::string as) {
    return json(vertex->encode(view_of(chat), cloud_lane(as, lane_surface::openai)).body)
        .at("model");
  };
  EXPECT_EQ(model("gemini-3.8-flash"), "google/gemini-3.8-flash");
  EXPECT_EQ(model("openai/gpt-oss-120b-maas"), "openai/gpt-oss-120b-maas");
}

TEST(vertex_openai, what_it_would_ignore_is_not_sent) {
  const std::string body = R"({"model":"m","messages":[],"parallel_tool_calls":false,"seed":3,)"
                           R"("logit_bias":{"1":2},"service_tier":"flex","top_k":3})";
  EXPECT_EQ(json(vertex->encode(view_of(body), cloud_lane("x", lane_surface::openai)).body),
            json(R"({"model":"google/x","messages":[],"seed":3})"));
  const std::string response = R"({"model":"m","input":"w","service_tier":"flex"})";
  EXPECT_EQ(json(vertex
                     ->encode(view_of(response, "/v1/responses"),
                              cloud_lane("x", lane_surface::responses))
                     .body),
            json(R"({"model":"x","input":"w","store":false})"));
}

TEST(vertex_serves, by_surface) {
  const auto serves = [](lane_surface surface) {
    std::string out;
    for (const auto kind :
         {endpoint_kind::chat_completions, endpoint_kind::responses, endpoint_kind::embeddings})
      out += vertex->serves(kind, cloud_lane("m", surface)) ? 'y' : 'n';
    return out;
  };
  EXPECT_EQ(serves(lane_surface::generate_content), "ynn");
  EXPECT_EQ(serves(lane_surface::openai), "ynn");
  EXPECT_EQ(serves(lane_surface::responses), "yyn");
  EXPECT_EQ(serves(lane_surface::predict), "nny");
}

TEST(vertex_openai, what_it_would_ignore_is_not_sent_however_deep_it_lies) {
  const std::string body = R"({"model":"m","messages":[
    {"role":"user","name":"n","content":[{"type":"text","text":"a","cache_control":{"x": 1.50}},
      {"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}},
      {"type":"text","text":"b","image_url":{"url":"u"}}]},
    {"role":"assistant","tool_calls":[{"id":"c","type":"function","extra":1,
      "function":{"name":"f","arguments":"{\"name\":1}","more":2}}]},
    {"role":"tool","tool_call_id":"c","name":"f","content":"4.50"},
    {"role":"user","tool_call_id":"c","content":"name"}],
    "tools":[{"type":"function","function":{"name":"f","foo":1,
      "parameters":{"type":"object","properties":{"foo":{"type":"number","minimum":1.50}}}}}],
    "top.k":1})";
  const auto lane = cloud_lane("x", lane_surface::openai);
  const auto sent = vertex->encode(view_of(body), lane).body;
  EXPECT_EQ(json(sent), json(R"({"model":"google/x","messages":[
    {"role":"user","content":[{"type":"text","text":"a"},
      {"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},
      {"type":"text","text":"b"}]},
    {"role":"assistant","tool_calls":[{"id":"c","type":"function",
      "function":{"name":"f","arguments":"{\"name\":1}"}}]},
    {"role":"tool","tool_call_id":"c","name":"f","content":"4.50"},
    {"role":"user","content":"name"}],
    "tools":[{"type":"function","function":{"name":"f",
      "parameters":{"type":"object","properties":{"foo":{"type":"number","minimum":1.50}}}}}]})"));
  EXPECT_NE(sent.find(R"("minimum":1.50)"), std::string::npos) << "all else as it was written";
  const auto after =
      R"({"model":"m",)" +
      sent.substr(sent.find("\"messages\""), sent.rfind(",\"model\"") - sent.find("\"messages\"")) +
      "}";
  EXPECT_TRUE(
      parameters_of(view_of(after), vertex->unmappable(endpoint_kind::chat_completions, lane))
          .empty())
      << after;
}

TEST(vertex_partner, responses_prompts_are_refused_what_their_chat_form_is) {
  const auto lane = cloud_lane("gpt-6-sol", lane_surface::responses);
  const auto refused = [&](const std::string& rest) {
    const std::string body = R"({"model":"m",)" + rest + "}";
    return !(features_of(view_of(body, "/v1/responses")) &
             vertex->unmappable(endpoint_kind::responses, lane))
                .empty();
  };
  const auto part = [&](const std::string& fields) {
    return refused(R"("input":[{"role":"user","content":[{)" + fields + "}]}]");
  };
  EXPECT_TRUE(part(R"("type":"input_image","image_url":"https://x/y.png")"));
  EXPECT_FALSE(part(R"("type":"input_image","image_url":"data:image/png;base64,AA==")"));
  EXPECT_TRUE(part(R"("type":"input_file","file_id":"f")"));
  EXPECT_TRUE(refused(R"("input":"x","previous_response_id":"r")"));
  EXPECT_TRUE(refused(R"("input":"x","tools":[{"type":"web_search"}])"));
  EXPECT_FALSE(refused(R"("input":"x","tools":[{"type":"function","name":"f"}])"));
  EXPECT_FALSE(refused(R"("input":"x","reasoning":{"effort":"low","summary":"auto"})"));
  EXPECT_EQ(
      json(vertex
               ->encode(view_of(R"({"model":"m","input":"w","store":true})", "/v1/responses"), lane)
               .body),
      json(R"({"model":"gpt-6-sol","input":"w","store":false})"));
}

TEST(vertex_partner, responses_prompts_pass_as_they_are) {
  constexpr std::string_view body = R"({"model":"m","input":"w"})";
  const auto lane = cloud_lane("gpt-6-sol", lane_surface::responses);
  EXPECT_EQ(json(vertex->encode(view_of(body, "/v1/responses"), lane).body),
            json(R"({"model":"gpt-6-sol","input":"w","store":false})"));
  const std::string answer =
      R"({"id":"r","object":"response","status":"completed","output":[],"usage":{"input_tokens":1,)"
      R"("output_tokens":2}})";
  const auto o = vertex->decode("/v1/responses", reply(200, answer), lane);
  EXPECT_EQ(verdict(o), "A");
  EXPECT_EQ(o.body, answer);
}

TEST(vertex_partner, chat_prompts_are_translated_both_ways) {
  const auto lane = cloud_lane("gpt-6-sol", lane_surface::responses);
  EXPECT_EQ(json(vertex->encode(view_of(chat), lane).body), json(R"({"model":"gpt-6-sol",
    "input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"w"}]}],
    "store":false})"));
  const auto o = vertex->decode("/v1/chat/completions", reply(200, R"({"id":"resp_1",
    "object":"response","status":"completed","model":"gpt-6-sol-1","output":[{"type":"message",
    "content":[{"type":"output_text","text":"yes"}]}]})"),
                                lane);
  EXPECT_EQ(verdict(o), "A");
  EXPECT_EQ(json(o.body).at("object"), "chat.completion");
  EXPECT_EQ(json(o.body).at("choices").at(0).at("message").at("content"), "yes");
}

TEST(vertex_predict, texts_become_instances) {
  const auto lane = cloud_lane("text-embedding-005", lane_surface::predict);
  const auto body = [&](std::string_view rest) {
    const std::string prompt = R"({"model":"m",)" + std::string(rest) + "}";
    return json(vertex->encode(view_of(prompt, "/v1/embeddings"), lane).body);
  };
  EXPECT_EQ(body(R"("input":"a\"b")"),
            json(R"({"instances":[{"content":"a\"b"}],"parameters":{"autoTruncate":false}})"));
  EXPECT_EQ(body(R"("input":["a","b"],"dimensions":256)"),
            json(R"({"instances":[{"content":"a"},{"content":"b"}],
              "parameters":{"outputDimensionality":256,"autoTruncate":false}})"));
  const auto lacks = [](std::string as) {
    return vertex->unmappable(endpoint_kind::embeddings,
                              cloud_lane(std::move(as), lane_surface::predict));
  };
  EXPECT_FALSE(lacks("text-embedding-005").has(prompt_feature::embedding_many));
  EXPECT_TRUE(lacks("gemini-embedding-001").has(prompt_feature::embedding_many));
  EXPECT_TRUE(lacks("text-embedding-005").has(prompt_feature::embedding_tokens));
  EXPECT_FALSE(lacks("text-embedding-005").has(prompt_feature::dimensions));
}

TEST(vertex_predict, predictions_become_embeddings) {
  const auto lane = cloud_lane("text-embedding-005", lane_surface::predict);
  const auto o = vertex->decode("/v1/embeddings", reply(200, R"({"predictions":[
    {"embeddings":{"values":[0.25,-1e-3],"statistics":{"token_count":4.0,"truncated":false}}},
    {"embeddings":{"values":[1,2],"statistics":{"token_count":3}}}]})"),
                                lane);
  ASSERT_EQ(verdict(o), "A");
  EXPECT_EQ(json(o.body), json(R"({"object":"list","model":"text-embedding-005","data":[
    {"object":"embedding","index":0,"embedding":[0.25,-0.001]},
    {"object":"embedding","index":1,"embedding":[1,2]}],
    "usage":{"prompt_tokens":7,"total_tokens":7}})"));
  EXPECT_EQ(o.usage.input, tokens(7));
  EXPECT_EQ(o.usage.output, tokens(0));
  for (const char* none : {"", "{}", R"({"predictions":[]})", R"({"predictions":[{}]})",
                           R"({"predictions":[{"embeddings":{"values":"x"}}]})"})
    EXPECT_EQ(verdict(vertex->decode("/v1/embeddings", reply(200, none), lane)),
              *none == 0 ? "Rhcd" : "Rhcd1")
        << none;
}

}  // namespace
}  // namespace spillway
