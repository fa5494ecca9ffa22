// What leaves for a provider: the address, the headers, and the body with the lane's model name.
#include "workers/provider.hpp"
#include "workers/providers/body_rewrite.hpp"

#include <gtest/gtest.h>

#include <string>

namespace spillway {
namespace {

http_request encode(provider_kind kind, std::string endpoint, std::string_view url,
                    const std::string& body, std::string_view token, std::string as) {
  pool_config pool;
  pool.provider = kind;
  pool.endpoint = std::move(endpoint);
  lane_config lane;
  lane.model = "logical";
  lane.as = std::move(as);
  prompt_view prompt;
  prompt.url = url;
  prompt.body = body;
  prompt.model_offset = body.find(token);
  prompt.model_length = token.size();
  return make_provider(pool)->encode(prompt, lane);
}

TEST(provider_encode, azure_v1_form) {
  const auto r = encode(provider_kind::azure_openai, "https://acme.openai.azure.com/openai/v1",
                        "/v1/chat/completions",
                        R"({"model":"gpt-5.4-mini","messages":[{"role":"user","content":"hi"}]})",
                        R"("gpt-5.4-mini")", "mini-prod");
  EXPECT_EQ(r.target, "/openai/v1/chat/completions");
  EXPECT_EQ(r.body, R"({"model":"mini-prod","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(r.headers, "Content-Type: application/json\r\nAccept: application/json\r\n");
}

TEST(provider_encode, addresses_of_every_endpoint_and_prefix) {
  const auto target = [](std::string endpoint, std::string_view url) {
    return encode(provider_kind::openai_compatible, std::move(endpoint), url, R"({"model":"m"})",
                  R"("m")", "m")
        .target;
  };
  EXPECT_EQ(target("https://api.openai.com/v1", "/v1/responses"), "/v1/responses");
  EXPECT_EQ(target("https://api.openai.com/v1", "/v1/embeddings"), "/v1/embeddings");
  EXPECT_EQ(target("http://127.0.0.1:8000/v1", "/v1/chat/completions"), "/v1/chat/completions");
  EXPECT_EQ(target("http://127.0.0.1:8000", "/v1/chat/completions"), "/chat/completions");
  EXPECT_EQ(target("http://127.0.0.1:8000/pool-a/openai/v1", "/v1/embeddings"),
            "/pool-a/openai/v1/embeddings");
}

/// A prompt of model "x" for a lane and a pool that the caller has prepared.
http_request encode_for(const pool_config& pool, const lane_config& lane, std::string_view url,
                        const std::string& rest) {
  const std::string body = R"({"model":"x")" + rest + "}";
  return make_provider(pool)->encode({url, body, 9, 3}, lane);
}

TEST(provider_encode, an_answer_is_limited_as_the_lane_says_where_the_prompt_does_not) {
  lane_config lane;
  lane.model = "x";
  lane.as = "y";
  lane.max_output_tokens = tokens(9);
  pool_config openai, own;
  openai.endpoint = own.endpoint = "https://x/v1";
  own.provider = provider_kind::openai_compatible;
  const auto sent = [&](const pool_config& pool, std::string_view path, const std::string& rest) {
    return encode_for(pool, lane, "/v1/" + std::string(path), rest).body;
  };
  EXPECT_EQ(sent(openai, "chat/completions", ""),
            R"({"service_tier":"default","max_completion_tokens":9,"model":"y"})");
  EXPECT_EQ(sent(own, "chat/completions", ""), R"({"max_tokens":9,"model":"y"})");
  EXPECT_EQ(sent(own, "responses", ""), R"({"max_output_tokens":9,"model":"y"})");
  EXPECT_EQ(sent(own, "completions", ""), R"({"max_tokens":9,"model":"y"})");
  EXPECT_EQ(sent(own, "embeddings", ""), R"({"model":"y"})");
  EXPECT_EQ(sent(own, "chat/completions", R"(,"max_tokens":null)"),
            R"({"model":"y","max_tokens":9})")
      << "not twice";
  const std::string said = R"({"model":"x","max_tokens":5})";
  EXPECT_EQ(make_provider(own)->encode({"/v1/chat/completions", said, 9, 3, true}, lane).body,
            R"({"model":"y","max_tokens":5})");
}

TEST(provider_encode, azures_dated_form_names_the_deployment_in_the_path) {
  pool_config pool;
  pool.provider = provider_kind::azure_openai;
  pool.api_version = "2024-10-21";
  lane_config lane;
  lane.as = "mini prod/1";
  lane.surface = lane_surface::dated;
  for (const char* endpoint : {"https://a.openai.azure.com", "https://a.openai.azure.com/openai",
                               "https://a.openai.azure.com/openai/v1"}) {
    pool.endpoint = endpoint;
    EXPECT_EQ(encode_for(pool, lane, "/v1/chat/completions", "").target,
              "/openai/deployments/mini%20prod%2F1/chat/completions?api-version=2024-10-21");
    EXPECT_EQ(encode_for(pool, lane, "/v1/embeddings", "").target,
              "/openai/deployments/mini%20prod%2F1/embeddings?api-version=2024-10-21");
    EXPECT_EQ(encode_for(pool, lane, "/v1/responses", "").target,
              "/openai/responses?api-version=2024-10-21");
  }
  pool.endpoint = "http://127.0.0.1:1/sim/openai/v1";
  EXPECT_TRUE(encode_for(pool, lane, "/v1/completions", "")
                  .target.starts_with("/sim/openai/deployments/mini%20prod%2F1/completions?"));
}

TEST(provider_encode, organisation_and_project_travel_as_headers) {
  pool_config pool;
  pool.endpoint = "https://eu.api.openai.com/v1";
  pool.organization = "org-1";
  pool.project_id = "proj_2";
  const auto r = encode_for(pool, {}, "/v1/completions", "");
  EXPECT_NE(r.headers.find("OpenAI-Organization: org-1\r\n"), std::string::npos);
  EXPECT_NE(r.headers.find("OpenAI-Project: proj_2\r\n"), std::string::npos);
  EXPECT_EQ(r.target, "/v1/completions");
}

TEST(provider_encode, a_lane_sells_one_tier) {
  pool_config pool;
  pool.endpoint = "https://api.openai.com/v1";
  lane_config lane;
  lane.as = "y";
  const std::string asks = R"(,"service_tier":"priority","n":1.50)";
  const auto body = [&](const std::string& rest) {
    return encode_for(pool, lane, "/v1/chat/completions", rest).body;
  };
  EXPECT_EQ(body(asks), R"({"model":"y","n":1.50,"service_tier":"default"})");
  EXPECT_EQ(body(R"(,"n":1)"), R"({"service_tier":"default","model":"y","n":1})")
      << "unsaid, the project's own tier would serve it";
  EXPECT_EQ(encode_for(pool, lane, "/v1/responses", "").body,
            R"({"service_tier":"default","model":"y"})");
  EXPECT_EQ(encode_for(pool, lane, "/v1/embeddings", "").body, R"({"model":"y"})");
  lane.tier = lane_tier::provisioned;
  EXPECT_EQ(body(asks), R"({"model":"y","n":1.50})");
  lane.tier = lane_tier::flex;
  EXPECT_EQ(body(asks), R"({"model":"y","n":1.50,"service_tier":"flex"})");
  EXPECT_EQ(body(""), R"({"service_tier":"flex","model":"y"})");
  EXPECT_TRUE(make_provider(pool)
                  ->unmappable(endpoint_kind::chat_completions, lane)
                  .has(prompt_feature::service_tier));
  pool.provider = provider_kind::azure_openai;
  lane.tier = lane_tier::standard;
  EXPECT_EQ(body(asks), R"({"model":"y","n":1.50})");
  EXPECT_EQ(body(""), R"({"model":"y"})");
  pool.provider = provider_kind::openai_compatible;
  EXPECT_EQ(body(asks), R"({"model":"y","service_tier":"priority","n":1.50})");
  EXPECT_TRUE(make_provider(pool)->unmappable(endpoint_kind::chat_completions, lane).empty());
}

TEST(provider_encode, a_chats_limit_goes_out_under_the_key_its_model_takes) {
  pool_config pool;
  pool.endpoint = "https://x/v1";
  lane_config lane;
  lane.model = "x";
  lane.tier = lane_tier::provisioned;
  const auto body = [&](provider_kind kind, std::string as, const std::string& rest,
                        std::string_view url = "/v1/chat/completions") {
    pool.provider = kind;
    lane.as = std::move(as);
    return encode_for(pool, lane, url, rest).body;
  };
  const std::string old_key = R"(,"max_tokens":5)";
  const std::string renamed = R"("max_completion_tokens":5})";
  using enum provider_kind;
  EXPECT_EQ(body(openai, "gpt-4o", old_key), R"({"model":"gpt-4o",)" + renamed);
  EXPECT_EQ(body(openai, "y", R"(,"max_tokens":9,"max_completion_tokens":5)"),
            R"({"model":"y",)" + renamed);
  EXPECT_EQ(body(openai, "y", R"(,"max_tokens":5,"max_completion_tokens":null)"),
            R"({"model":"y",)" + renamed)
      << "what is reserved is sent";
  EXPECT_EQ(body(openai, "y", old_key, "/v1/completions"), R"({"model":"y","max_tokens":5})");
  for (const std::string as : {"gpt-5.4-mini", "prod-gpt-6-sol", "gpt-10", "o3", "o4-mini"})
    EXPECT_EQ(body(azure_openai, as, old_key), R"({"model":")" + as + R"(",)" + renamed);
  for (const std::string as : {"gpt-4o", "gpt-35-turbo", "mini-prod", "gpt-oss-120b", "omni"})
    EXPECT_EQ(body(azure_openai, as, old_key), R"({"model":")" + as + R"(","max_tokens":5})");
  lane.model = "gpt-5.4-mini";
  EXPECT_EQ(body(azure_openai, "mini-prod", old_key), R"({"model":"mini-prod",)" + renamed);
  EXPECT_EQ(body(openai_compatible, "gpt-5", old_key), R"({"model":"gpt-5","max_tokens":5})");
}

TEST(rewrite_body, leaves_every_other_value_byte_for_byte) {
  using kind = member_change::kind;
  const member_change changes[] = {{kind::remove, "a"},
                                   {kind::rename, "b", "c"},
                                   {kind::rename, "d", "e"},
                                   {kind::set, "f", "[1]"}};
  EXPECT_EQ(
      rewrite_body(R"({"a":{"b":1},"b": 1e2,"d":"\u00e9","e" : [ ],"x\n":{"a": 2}})", changes),
      R"({"c":1e2,"e":[ ],"x\u000a":{"a": 2},"f":[1]})");
  EXPECT_EQ(rewrite_body("{}", changes), R"({"f":[1]})");
  EXPECT_EQ(rewrite_body("[1", changes), "[1");
}

TEST(provider_encode, only_the_model_token_changes) {
  const std::string body =
      R"( { "messages" : [ { "content" : "\"model\":\"x\" é" } ] , "model"  :  "x" , "n":1 } )";
  const auto r = encode(provider_kind::openai_compatible, "https://api.openai.com/v1",
                        "/v1/chat/completions", body, R"("x" ,)", "x");
  // The token given above is longer than the model's on purpose: the splice obeys offsets alone.
  EXPECT_EQ(
      r.body,
      R"( { "messages" : [ { "content" : "\"model\":\"x\" é" } ] , "model"  :  "x" "n":1 } )");
}

TEST(provider_encode, names_are_escaped) {
  const auto r = encode(provider_kind::openai_compatible, "https://api.openai.com/v1",
                        "/v1/chat/completions", R"({"model":"m"})", R"("m")", "a\"b\\c\n\x01/ü");
  EXPECT_EQ(r.body, "{\"model\":\"a\\\"b\\\\c\\u000a\\u0001/ü\"}");
}

TEST(provider_encode, longer_and_shorter_names) {
  const auto body = [](std::string as) {
    return encode(provider_kind::openai_compatible, "https://api.openai.com/v1", "/v1/embeddings",
                  R"({"input":"t","model":"text"})", R"("text")", std::move(as))
        .body;
  };
  EXPECT_EQ(body("e"), R"({"input":"t","model":"e"})");
  EXPECT_EQ(body("global.embedding-of-some-kind"),
            R"({"input":"t","model":"global.embedding-of-some-kind"})");
}

TEST(provider_rate_charge, follows_each_limiter) {
  const auto charge = [](provider_kind kind, std::int64_t in, std::int64_t max,
                         std::int64_t expected) {
    pool_config pool;
    pool.provider = kind;
    pool.endpoint = "https://example.com/v1";
    const token_charge_input input{tokens(in), tokens(max), tokens(expected)};
    return make_provider(pool)->rate_charge(input).count();
  };
  EXPECT_EQ(charge(provider_kind::openai, 100, 400, 50), 400);
  EXPECT_EQ(charge(provider_kind::openai, 500, 400, 50), 500);
  EXPECT_EQ(charge(provider_kind::openai, 100, 0, 50), 100);
  EXPECT_EQ(charge(provider_kind::azure_openai, 100, 400, 50), 500);
  EXPECT_EQ(charge(provider_kind::azure_openai, 100, 0, 50), 150);
  EXPECT_EQ(charge(provider_kind::openai_compatible, 100, 400, 50), 150);
  EXPECT_EQ(charge(provider_kind::openai_compatible, 100, 0, 50), 150);
}

}  // namespace
}  // namespace spillway
