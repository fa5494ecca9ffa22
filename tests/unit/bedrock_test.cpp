// Bedrock's addresses and surfaces, its embeddings, and its errors row by row.
#include "tests/unit/provider_verdict.hpp"
#include "tests/unit/translation_harness.hpp"

#include <gtest/gtest.h>

namespace spillway {
namespace {

constexpr auto bedrock = provider_kind::bedrock;
constexpr std::string_view hi = R"("messages":[{"role":"user","content":"hi"}])";

pool_config pool_at(std::string endpoint) {
  pool_config pool = cloud_pool(bedrock);
  pool.endpoint = std::move(endpoint);
  return pool;
}

http_request encoded(const pool_config& pool, const lane_config& lane, std::string_view rest,
                     std::string_view url = "/v1/chat/completions") {
  const std::string body = R"({"model":"m",)" + std::string(rest) + "}";
  return make_provider(pool)->encode(view_of(body, url), lane);
}

TEST(bedrock_address, of_each_surface) {
  const auto target = [](const char* endpoint, const char* model, lane_surface surface,
                         std::string_view url = "/v1/chat/completions") {
    return encoded(pool_at(endpoint), cloud_lane(model, surface), hi, url).target;
  };
  const char* runtime = "https://bedrock-runtime.us-east-1.amazonaws.com";
  const char* mantle = "https://bedrock-mantle.us-east-1.api.aws";
  EXPECT_EQ(target(runtime, "openai.gpt-oss-20b-1:0", lane_surface::converse),
            "/model/openai.gpt-oss-20b-1%3A0/converse");
  EXPECT_EQ(
      target(runtime, "arn:aws:bedrock:us-east-1:1:inference-profile/us.x", lane_surface::converse),
      "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x/converse");
  EXPECT_EQ(target(runtime, "amazon.titan-embed-text-v2:0", lane_surface::invoke, "/v1/embeddings"),
            "/model/amazon.titan-embed-text-v2%3A0/invoke");
  EXPECT_EQ(target(runtime, "openai.gpt-oss-20b-1:0", lane_surface::openai),
            "/openai/v1/chat/completions");
  EXPECT_EQ(target(runtime, "openai.gpt-5.4", lane_surface::responses), "/openai/v1/responses");
  EXPECT_EQ(target(mantle, "openai.gpt-oss-120b", lane_surface::openai), "/v1/chat/completions");
  EXPECT_EQ(target(mantle, "openai.gpt-6-sol", lane_surface::openai),
            "/openai/v1/chat/completions");
  EXPECT_EQ(target("https://bedrock-mantle.us-east-1.api.aws/v1", "openai.gpt-6-sol",
                   lane_surface::openai),
            "/v1/chat/completions");
  EXPECT_EQ(target("http://127.0.0.1:9/east/openai/v1", "x.y", lane_surface::openai),
            "/east/openai/v1/chat/completions");
  EXPECT_EQ(target("http://127.0.0.1:9/east/openai/v1", "x.y", lane_surface::converse),
            "/east/model/x.y/converse");
}

TEST(bedrock_surfaces, serve_what_they_can) {
  const auto adapter = make_provider(cloud_pool(bedrock));
  const auto served = [&](const char* model, lane_surface surface) {
    std::string out;
    for (const auto e :
         {endpoint_kind::chat_completions, endpoint_kind::responses, endpoint_kind::embeddings})
      out += adapter->serves(e, cloud_lane(model, surface)) ? 'y' : 'n';
    return out;
  };
  EXPECT_EQ(served("x", lane_surface::converse), "ynn");
  EXPECT_EQ(served("x", lane_surface::openai), "yyn");
  EXPECT_EQ(served("x", lane_surface::responses), "yyn");
  EXPECT_EQ(served("x", lane_surface::invoke), "nnn");
  EXPECT_EQ(served("us.cohere.embed-v4:0", lane_surface::invoke), "nny");
}

TEST(bedrock_openai_surface, bodies_carry_what_the_lane_takes) {
  lane_config lane = cloud_lane("openai.gpt-6-sol", lane_surface::openai);
  const auto pool = cloud_pool(bedrock);
  EXPECT_EQ(
      json(encoded(pool, lane, std::string(hi) + R"(,"max_tokens":9,"temperature":0,"stop":"x",
      "frequency_penalty":1,"logprobs":true,"service_tier":"auto","seed":3)")
               .body),
      json(R"({"model":"openai.gpt-6-sol","messages":[{"role":"user","content":"hi"}],
      "max_completion_tokens":9,"seed":3})"));
  EXPECT_EQ(json(encoded(pool, lane, std::string(hi) + R"(,"temperature":0,"top_p":0.5,
      "reasoning_effort":"none")")
                     .body),
            json(R"({"model":"openai.gpt-6-sol","messages":[{"role":"user","content":"hi"}],
      "temperature":0,"top_p":0.5,"reasoning_effort":"none"})"))
      << "taken by a model told not to think";
  EXPECT_EQ(json(encoded(pool, lane, std::string(hi) + R"(,"temperature":1)").body),
            json(R"({"model":"openai.gpt-6-sol","messages":[{"role":"user","content":"hi"}]})"))
      << "the key alone is refused";
  lane.as = "openai.gpt-oss-20b-1:0";
  lane.tier = lane_tier::flex;
  EXPECT_EQ(json(encoded(pool, lane, std::string(hi) + R"(,"max_tokens":9,"temperature":0,
      "max_completion_tokens":8,"logit_bias":{"1":1},"top_k":3)")
                     .body),
            json(R"({"model":"openai.gpt-oss-20b-1:0","messages":[{"role":"user","content":"hi"}],
      "max_completion_tokens":8,"temperature":0,"top_k":3,"service_tier":"flex"})"));
}

TEST(bedrock_openai_surface, logprobs_of_responses_go_with_what_asks_for_them) {
  const std::string body = R"({"model":"m","input":"x","top_logprobs":2,
      "include":["message.output_text.logprobs"]})";
  const auto lane = cloud_lane("openai.gpt-6-sol", lane_surface::openai);
  const auto out = make_provider(cloud_pool(bedrock))->encode(view_of(body, "/v1/responses"), lane);
  EXPECT_EQ(json(out.body), json(R"({"model":"openai.gpt-6-sol","input":"x"})"));
}

TEST(bedrock_openai_surface, refusals_by_model_and_host) {
  const auto refused = [](bool mantle, const char* model, prompt_feature f) {
    pool_config pool = cloud_pool(bedrock);
    pool.mantle = mantle;
    return make_provider(pool)
        ->unmappable(endpoint_kind::chat_completions, cloud_lane(model, lane_surface::openai))
        .has(f);
  };
  using enum prompt_feature;
  const char* gpt = "openai.gpt-5.6-sol";
  const char* oss = "openai.gpt-oss-120b-1:0";
  for (const auto f : {sampling_with_reasoning, stop, image_url})
    EXPECT_TRUE(refused(false, gpt, f)) << name_of(f);
  for (const auto f : {temperature, top_p, penalties, logprobs, tools})
    EXPECT_FALSE(refused(false, gpt, f)) << name_of(f);
  EXPECT_TRUE(refused(false, gpt, tools_with_reasoning));
  EXPECT_FALSE(refused(true, gpt, tools_with_reasoning));
  EXPECT_FALSE(refused(false, gpt, choices));
  EXPECT_TRUE(refused(true, gpt, choices));
  EXPECT_TRUE(refused(false, oss, logit_bias));
  EXPECT_TRUE(refused(false, oss, json_schema));
  EXPECT_FALSE(refused(false, oss, temperature));
  EXPECT_FALSE(refused(false, oss, unknown_parameter));
}

TEST(bedrock_openai_surface, answers_are_tidied) {
  const auto adapter = make_provider(cloud_pool(bedrock));
  const auto decoded = [&](const char* model, std::string message) {
    const auto call = reply(200, R"({"id":"c1","choices":[{"index":0,"message":)" + message +
                                     R"(,"finish_reason":"stop"}],"usage":{"prompt_tokens":1}})");
    const auto o =
        adapter->decode("/v1/chat/completions", call, cloud_lane(model, lane_surface::openai));
    EXPECT_EQ(verdict(o), "A");
    return json(o.body).at_pointer("/choices/0/message");
  };
  const char* oss = "openai.gpt-oss-20b-1:0";
  EXPECT_EQ(decoded(oss, R"({"content":"<reasoning>so\n</reasoning>\n 42 <reasoning>"})"),
            json(R"({"content":"42 <reasoning>"})"));
  EXPECT_EQ(decoded(oss, R"({"content":"<reasoning>cut"})"), json(R"({"content":""})"));
  EXPECT_EQ(decoded(oss, R"({"content":null})"), json(R"({"content":null})"));
  EXPECT_EQ(decoded("openai.gpt-6-sol", R"({"content":"<reasoning>x</reasoning>y"})"),
            json(R"({"content":"<reasoning>x</reasoning>y"})"));
  const auto calls =
      decoded("openai.gpt-6-sol",
              R"({"tool_calls":[{"id":"call_0","x":1},{"id":"call_1"},{"id":"call_ab"}]})");
  const auto id = [&](int i) {
    return calls.at("tool_calls").at(static_cast<std::size_t>(i)).at("id");
  };
  EXPECT_NE(id(0), json(R"("call_0")"));
  EXPECT_NE(id(0), id(1));
  EXPECT_EQ(id(2), json(R"("call_ab")"));
  EXPECT_EQ(calls.at_pointer("/tool_calls/0/x"), json("1"));
}

TEST(bedrock_embeddings, bodies_of_each_family) {
  const auto pool = cloud_pool(bedrock);
  const auto body = [&](const char* model, std::string_view rest) {
    return json(
        encoded(pool, cloud_lane(model, lane_surface::invoke), rest, "/v1/embeddings").body);
  };
  EXPECT_EQ(body("amazon.titan-embed-text-v2:0", R"("input":["a\n"],"dimensions":256)"),
            json(R"({"inputText":"a\n","dimensions":256,"normalize":true})"));
  EXPECT_EQ(body("amazon.titan-embed-text-v1", R"("input":"a")"), json(R"({"inputText":"a"})"));
  EXPECT_EQ(body("cohere.embed-v4:0", R"("input":["a","b"],"dimensions":256)"),
            json(R"({"input_type":"search_document","texts":["a","b"],
                     "embedding_types":["float"],"output_dimension":256})"));
  lane_config flex = cloud_lane("amazon.titan-embed-text-v2:0", lane_surface::invoke);
  flex.tier = lane_tier::flex;
  EXPECT_NE(encoded(pool, flex, R"("input":"a")", "/v1/embeddings")
                .headers.find("X-Amzn-Bedrock-Service-Tier: flex\r\n"),
            std::string::npos);
}

TEST(bedrock_embeddings, answers) {
  const auto adapter = make_provider(cloud_pool(bedrock));
  const auto decoded = [&](const char* model, call_result call) {
    return adapter->decode("/v1/embeddings", call, cloud_lane(model, lane_surface::invoke));
  };
  const auto titan = decoded("amazon.titan-embed-text-v2:0",
                             reply(200, R"({"embedding":[0.5,-1],"inputTextTokenCount":4})"));
  EXPECT_EQ(verdict(titan), "A");
  EXPECT_EQ(titan.usage.input.count(), 4);
  EXPECT_EQ(json(titan.body), json(R"({"object":"list","data":[{"object":"embedding","index":0,
      "embedding":[0.5,-1]}],"model":"amazon.titan-embed-text-v2:0",
      "usage":{"prompt_tokens":4,"total_tokens":4}})"));
  auto call = reply(200, R"({"embeddings":{"float":[[1,2],[3,4]]},"id":"x"})");
  call.response.headers = {{"x-amzn-bedrock-input-token-count", "11"}};
  const auto cohere = decoded("cohere.embed-v4:0", call);
  EXPECT_EQ(verdict(cohere), "A");
  EXPECT_EQ(cohere.usage.input.count(), 11);
  EXPECT_EQ(json(cohere.body).at_pointer("/data/1/embedding"), json("[3,4]"));
  EXPECT_EQ(verdict(decoded("cohere.embed-english-v3", reply(200, R"({"embeddings":[[1]]})"))),
            "A");
  auto flex = reply(200, R"({"embedding":[0.5,-1]})");
  flex.response.headers = {{"x-amzn-bedrock-service-tier", "flex"}};
  const auto coded = adapter->decode(
      "/v1/embeddings", flex, cloud_lane("amazon.titan-embed-text-v2:0", lane_surface::invoke),
      prompt_feature::base64_vectors);
  EXPECT_EQ(json(coded.body).at_pointer("/data/0/embedding"), json(R"("AAAAPwAAgL8=")"));
  EXPECT_EQ(coded.service_tier, "flex");
  for (const char* body : {"", "{}", R"({"embedding":[]})", R"({"embedding":["x"]})"})
    EXPECT_EQ(verdict(decoded("amazon.titan-embed-text-v2:0", reply(200, body))),
              *body == 0 ? "Rhcd" : "Rhcd1")
        << body;
}

TEST(bedrock_quota, reserves_the_longest_answer_and_settles_by_the_real_one) {
  const auto adapter = make_provider(cloud_pool(bedrock));
  EXPECT_EQ(adapter->rate_charge({tokens(100), tokens(400), tokens(50)}).count(), 500);
  EXPECT_EQ(adapter->rate_charge({tokens(100), tokens(0), tokens(50)}).count(), 150);
  token_usage used{true, tokens(100), tokens(30), tokens(50)};
  used.cache_write = tokens(20);
  const auto settled = [&](const char* model) {
    return adapter->settled_charge(used, tokens(400), cloud_lane(model, lane_surface::converse))
        .count();
  };
  EXPECT_EQ(settled("global.openai.gpt-6-sol"), 120);
  EXPECT_EQ(settled("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), 320);
}

struct aws_case {
  const char* name;
  int status;
  const char* type;  ///< the x-amzn-errortype header
  const char* body;
  const char* verdict;
  const char* code;
};

const aws_case aws_cases[] = {
    {"throttled", 429, "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
     R"({"message":"Too many requests, please wait before trying again."})", "Rq",
     "ThrottlingException"},
    {"tokens a minute", 429, "ThrottlingException",
     R"({"message":"Too many tokens, please wait before trying again."})", "Rq",
     "ThrottlingException"},
    {"type in the body", 429, "",
     R"({"__type":"com.amazon.coral.availability#ThrottlingException","message":"Rate exceeded"})",
     "Rq", "ThrottlingException"},
    {"not ready", 429, "ModelNotReadyException",
     R"({"message":"Model is not ready for inference."})", "R", "ModelNotReadyException"},
    {"quota as 400", 400, "ServiceQuotaExceededException",
     R"({"message":"Your request exceeds the service quota for your account."})", "Rq",
     "ServiceQuotaExceededException"},
    {"model timeout", 408, "ModelTimeoutException",
     R"({"message":"The request took too long to process. Processing time exceeded the model timeout length."})",
     "Rcd1", "ModelTimeoutException"},
    {"model error", 424, "ModelErrorException",
     R"({"message":"The request failed due to an error while processing the model.","resourceName":"m"})",
     "Rc", "ModelErrorException"},
    {"model error, its 500", 424, "ModelErrorException",
     R"({"message":"failed","originalStatusCode":500,"resourceName":"m"})", "Rhc",
     "ModelErrorException"},
    {"model error, its 400", 424, "ModelErrorException",
     R"({"message":"failed","originalStatusCode":400})", "D", "ModelErrorException"},
    {"model error, its 429", 424, "ModelErrorException",
     R"({"message":"failed","originalStatusCode":429})", "R", "ModelErrorException"},
    {"validation", 400, "ValidationException",
     R"({"message":"Malformed input request: #/temperature: 3 is not less or equal to 1, please reformat your input and try again."})",
     "D", "ValidationException"},
    {"on demand", 400, "ValidationException",
     "{\"message\":\"Invocation of model ID anthropic.claude-sonnet-4-5-20250929-v1:0 with "
     "on-demand throughput isn\xE2\x80\x99t supported. Retry your request with the ID or ARN of an "
     "inference profile that contains this model.\"}",
     "L model", "ValidationException"},
    {"bad id", 400, "ValidationException",
     R"({"message":"The provided model identifier is invalid."})", "L model",
     "ValidationException"},
    {"no tools here", 400, "ValidationException",
     R"({"message":"This model doesn't support tool use."})", "S", "ValidationException"},
    {"no stops here", 400, "ValidationException",
     R"({"message":"This model doesn't support the stopSequences field. Remove stopSequences and try again."})",
     "S", "ValidationException"},
    {"too long", 400, "ValidationException",
     R"({"message":"Input is too long for requested model."})", "S", "ValidationException"},
    {"too long, counted", 400, "ValidationException",
     R"({"message":"The model returned the following errors: prompt is too long: 214073 tokens > 200000 maximum"})",
     "S", "ValidationException"},
    {"too long for Titan", 400, "ValidationException",
     R"({"message":"400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token count: 9001"})",
     "S", "ValidationException"},
    {"too long with its answer", 400, "ValidationException",
     R"({"message":"input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"})",
     "S", "ValidationException"},
    {"answer too long", 400, "ValidationException",
     R"({"message":"The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value that is lower than 4096."})",
     "S", "ValidationException"},
    {"account held", 400, "ValidationException", R"({"message":"Operation not allowed"})", "L auth",
     "ValidationException"},
    {"no access to the model", 403, "AccessDeniedException",
     R"({"message":"You don't have access to the model with the specified model ID."})", "L model",
     "AccessDeniedException"},
    {"no money", 403, "AccessDeniedException",
     R"({"message":"Model access is denied due to INVALID_PAYMENT_INSTRUMENT: A valid payment instrument must be provided."})",
     "L billing", "AccessDeniedException"},
    {"expired", 403, "ExpiredTokenException",
     R"({"message":"The security token included in the request is expired"})", "Ls auth",
     "ExpiredTokenException"},
    {"expired as 400", 400, "ExpiredToken", R"({"message":"expired"})", "Ls auth", "ExpiredToken"},
    {"unknown key", 403, "UnrecognizedClientException",
     R"({"message":"The security token included in the request is invalid."})", "Ls auth",
     "UnrecognizedClientException"},
    {"signature", 403, "InvalidSignatureException",
     R"({"message":"The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."})",
     "Ls auth", "InvalidSignatureException"},
    {"skewed clock", 403, "InvalidSignatureException",
     R"({"message":"Signature expired: 20261127T080000Z is now earlier than 20261127T090000Z (20261127T090500Z - 5 min, now)."})",
     "Ls auth", "InvalidSignatureException"},
    {"signature, old code", 403, "SignatureDoesNotMatch", R"({"message":"m"})", "Ls auth",
     "SignatureDoesNotMatch"},
    {"no signature", 403, "MissingAuthenticationTokenException",
     R"({"message":"Missing Authentication Token"})", "Ls auth",
     "MissingAuthenticationTokenException"},
    {"half a signature", 403, "IncompleteSignatureException",
     R"({"message":"Authorization header requires 'Credential' parameter."})", "Ls auth",
     "IncompleteSignatureException"},
    {"bearer key expired", 403, "AccessDeniedException",
     R"({"Message":"Bearer Token has expired"})", "Ls auth", "AccessDeniedException"},
    {"bearer key wrong", 403, "",
     R"({"Message":"Authentication failed: Please make sure your API Key is valid."})", "Ls auth",
     "http_403"},
    {"no such model", 404, "ResourceNotFoundException",
     R"({"message":"Model use case details have not been submitted for this account."})", "L model",
     "ResourceNotFoundException"},
    {"no such path", 404, "UnknownOperationException", "{}", "L model",
     "UnknownOperationException"},
    {"internal", 500, "InternalServerException",
     R"({"message":"The system encountered an unexpected error during processing. Try your request again."})",
     "Rhc", "InternalServerException"},
    {"unavailable", 503, "ServiceUnavailableException",
     R"({"message":"Bedrock is unable to process your request."})", "Rhc",
     "ServiceUnavailableException"},
    {"overloaded", 529, "", R"({"message":"Overloaded"})", "Rhc", "http_529"},
    {"openai form", 429, "",
     R"({"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}})",
     "Rq", "rate_limit_exceeded"},
    {"openai form, missing model", 404, "",
     R"({"error":{"message":"The model 'x' does not exist","type":"invalid_request_error","code":"model_not_found"}})",
     "L model", "model_not_found"},
    {"no body", 500, "InternalFailure", "", "Rhc", "InternalFailure"},
    {"not JSON", 503, "", "<html><title>Service Unavailable</title></html>", "Rhc", "http_503"},
};

TEST(bedrock_errors, verdict_and_code_of_each) {
  const auto adapter = make_provider(cloud_pool(bedrock));
  for (const auto& c : aws_cases) {
    call_result call = reply(c.status, c.body);
    if (*c.type != '\0') call.response.headers = {{"x-amzn-errortype", c.type}};
    for (const auto surface : {lane_surface::converse, lane_surface::openai}) {
      const outcome o = adapter->decode("/v1/chat/completions", call, cloud_lane("m", surface));
      EXPECT_EQ(verdict(o), c.verdict) << c.name;
      EXPECT_EQ(o.error_code, c.code) << c.name;
      EXPECT_EQ(o.status, c.status) << c.name;
      EXPECT_FALSE(o.error_message.empty()) << c.name;
    }
  }
}

TEST(bedrock_errors, daily_quota_holds_the_lane_until_tomorrow) {
  const auto decoded = [](const char* message) {
    call_result call = reply(429, std::string(R"({"message":")") + message + "\"}");
    call.response.headers = {{"x-amzn-errortype", "ThrottlingException"}};
    return make_provider(cloud_pool(bedrock))->decode("/v1/chat/completions", call, {});
  };
  const auto daily = decoded("Too many tokens per day, please wait before trying again.");
  EXPECT_EQ(verdict(daily), "Rq");
  EXPECT_EQ(daily.retry_after, std::chrono::hours(16));  // the harness's clock shows 08:00 UTC
  EXPECT_EQ(decoded("Too many tokens, please wait before trying again.").retry_after, std::nullopt);
}

TEST(bedrock_errors, request_ids_are_kept) {
  call_result call = reply(500, "");
  call.response.headers = {{"x-amzn-requestid", "abc-1"}};
  EXPECT_EQ(make_provider(cloud_pool(bedrock))->decode("/v1/chat/completions", call, {}).request_id,
            "abc-1");
  for (const char* name :
       {"x-amzn-requestid", "x-amzn-errortype", "request-id", "anthropic-ratelimit-requests-limit",
        "x-amzn-bedrock-input-token-count"})
    EXPECT_TRUE(is_kept_header(name)) << name;
  EXPECT_FALSE(is_kept_header("x-amzn-trace-id"));
}

}  // namespace
}  // namespace spillway
