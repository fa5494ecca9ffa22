// What leaves for a provider: the address, the headers, and the body with the lane's model name.
#include "workers/provider.hpp"

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

TEST(provider_encode, only_the_model_token_changes) {
  const std::string body =
      R"( { "messages" : [ { "content" : "\"model\":\"x\" é" } ] , "model"  :  "x" , "n":1 } )";
  const auto r = encode(provider_kind::openai, "https://api.openai.com/v1", "/v1/chat/completions",
                        body, R"("x" ,)", "x");
  // The token given above is longer than the model's on purpose: the splice obeys offsets alone.
  EXPECT_EQ(
      r.body,
      R"( { "messages" : [ { "content" : "\"model\":\"x\" é" } ] , "model"  :  "x" "n":1 } )");
}

TEST(provider_encode, names_are_escaped) {
  const auto r = encode(provider_kind::openai, "https://api.openai.com/v1", "/v1/chat/completions",
                        R"({"model":"m"})", R"("m")", "a\"b\\c\n\x01/ü");
  EXPECT_EQ(r.body, "{\"model\":\"a\\\"b\\\\c\\u000a\\u0001/ü\"}");
}

TEST(provider_encode, longer_and_shorter_names) {
  const auto body = [](std::string as) {
    return encode(provider_kind::openai, "https://api.openai.com/v1", "/v1/embeddings",
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
