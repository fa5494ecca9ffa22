// The rows of Google and Anthropic: bodies as they send them, and the verdict each must get.
#include "tests/unit/provider_verdict.hpp"

#include <gtest/gtest.h>

#include <string>

namespace spillway {
namespace {

constexpr auto google = provider_kind::vertex;
constexpr auto claude = provider_kind::anthropic;

class cloud_errors : public testing::TestWithParam<error_case> {};

TEST_P(cloud_errors, verdict_code_and_message) { check(GetParam()); }

const error_case google_cases[] = {
    {"shared quota", google, 429,
     R"({"error":{"code":429,"message":"Resource exhausted. Please try again later. Please refer to https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details.","status":"RESOURCE_EXHAUSTED"}})",
     "Rq", "RESOURCE_EXHAUSTED", "try again later"},
    {"quota, with details", google, 429,
     R"({"error":{"code":429,"message":"Quota exceeded for aiplatform.googleapis.com/generate_content_requests_per_minute_per_project_per_base_model with base model: gemini-2.5-pro.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED","domain":"googleapis.com"}]}})",
     "Rq", "RESOURCE_EXHAUSTED", "Quota exceeded"},
    {"stale token", google, 401,
     R"({"error":{"code":401,"message":"Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.","status":"UNAUTHENTICATED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"ACCESS_TOKEN_TYPE_UNSUPPORTED"}]}})",
     "Ls auth", "UNAUTHENTICATED", "invalid authentication"},
    {"stale token in a list of one", google, 401,
     R"([{"error":{"code":401,"message":"Request had invalid authentication credentials.","status":"UNAUTHENTICATED"}}])",
     "Ls auth", "UNAUTHENTICATED", "invalid authentication"},
    {"expired token said in details", google, 400,
     R"({"error":{"code":400,"message":"Expired","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"ACCESS_TOKEN_EXPIRED"}]}})",
     "Ls auth", "INVALID_ARGUMENT", "Expired"},
    {"no permission", google, 403,
     R"({"error":{"code":403,"message":"Permission 'aiplatform.endpoints.predict' denied on resource '//aiplatform.googleapis.com/projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro' (or it may not exist).","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"IAM_PERMISSION_DENIED","domain":"aiplatform.googleapis.com"}]}})",
     "L auth", "PERMISSION_DENIED", "aiplatform.endpoints.predict"},
    {"service off", google, 403,
     R"({"error":{"code":403,"message":"Vertex AI API has not been used in project p before or it is disabled.","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"SERVICE_DISABLED"}]}})",
     "L auth", "PERMISSION_DENIED", "has not been used"},
    {"no billing, by reason", google, 403,
     R"({"error":{"code":403,"message":"This API method requires billing.","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"BILLING_DISABLED"}]}})",
     "L billing", "PERMISSION_DENIED", "requires billing"},
    {"no billing, in words", google, 403,
     R"({"error":{"code":403,"message":"This API method requires billing to be enabled. Please enable billing on project #1.","status":"PERMISSION_DENIED"}})",
     "L billing", "PERMISSION_DENIED", "enable billing"},
    {"suspended", google, 403,
     R"({"error":{"code":403,"message":"Consumer has been suspended.","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"CONSUMER_SUSPENDED"}]}})",
     "L auth", "PERMISSION_DENIED", "suspended"},
    {"wrong project", google, 400,
     R"({"error":{"code":400,"message":"Invalid resource field value in the request.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"CONSUMER_INVALID"}]}})",
     "L auth", "INVALID_ARGUMENT", "resource field"},
    {"wrong key", google, 400,
     R"({"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}})",
     "L auth", "INVALID_ARGUMENT", "API key"},
    {"no such model", google, 404,
     R"({"error":{"code":404,"message":"Publisher Model `projects/p/locations/us-central1/publishers/google/models/gemini-9` was not found or your project does not have access to it. Please ensure you are using a valid model version.","status":"NOT_FOUND"}})",
     "L model", "NOT_FOUND", "was not found"},
    {"not in this place", google, 400,
     R"({"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}})",
     "L model", "FAILED_PRECONDITION", "location"},
    {"bad request", google, 400,
     R"({"error":{"code":400,"message":"Unable to submit request because it must have a text parameter.","status":"INVALID_ARGUMENT"}})",
     "D", "INVALID_ARGUMENT", "text parameter"},
    {"out of range", google, 400,
     R"({"error":{"code":400,"message":"topP out of range","status":"OUT_OF_RANGE"}})", "D",
     "OUT_OF_RANGE", "topP"},
    {"too long", google, 400,
     R"({"error":{"code":400,"message":"The input token count (1500000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}})",
     "S", "INVALID_ARGUMENT", "1500000"},
    {"too long, other words", google, 400,
     R"({"error":{"code":400,"message":"Input token count 9000 exceeds the model limit of 8192","status":"INVALID_ARGUMENT"}})",
     "S", "INVALID_ARGUMENT", "9000"},
    {"too large", google, 400,
     R"({"error":{"code":400,"message":"Request payload size exceeds the limit: 524288000 bytes.","status":"INVALID_ARGUMENT"}})",
     "S", "INVALID_ARGUMENT", "payload"},
    {"internal", google, 500,
     R"({"error":{"code":500,"message":"Internal error encountered.","status":"INTERNAL"}})", "Rhc",
     "INTERNAL", "Internal"},
    {"unavailable", google, 503,
     R"({"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}})",
     "Rhc", "UNAVAILABLE", "overloaded"},
    {"deadline", google, 504,
     R"({"error":{"code":504,"message":"Deadline expired before operation could complete.","status":"DEADLINE_EXCEEDED"}})",
     "Rhcd1", "DEADLINE_EXCEEDED", "Deadline"},
    {"cancelled", google, 499,
     R"({"error":{"code":499,"message":"The operation was cancelled.","status":"CANCELLED"}})",
     "Rcd1", "CANCELLED", "cancelled"},
    {"aborted", google, 409, R"({"error":{"code":409,"message":"Conflict.","status":"ABORTED"}})",
     "Rc", "ABORTED", "Conflict"},
    {"the proxy's own page", google, 404,
     "<!DOCTYPE html><html><title>Error 404 (Not Found)!!1</title></html>", "L model", "http_404",
     "Not Found"},
    {"partner's form", google, 400,
     R"({"error":{"message":"This model's maximum context length is 8 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}})",
     "S", "context_length_exceeded", "maximum context"},
};
INSTANTIATE_TEST_SUITE_P(google, cloud_errors, testing::ValuesIn(google_cases));

const error_case anthropic_cases[] = {
    {"rate limit", claude, 429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 50,000 input tokens per minute."},"request_id":"req_1"})",
     "Rq", "rate_limit_error", "input tokens per minute"},
    {"growing too fast", claude, 429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"Ramp.","details":{"error_code":"ramp_limit_exceeded"}}})",
     "Rqv", "rate_limit_error", "Ramp"},
    {"contract spent", claude, 429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"contract_spend_limit_reached"}}})",
     "L billing", "rate_limit_error", "m"},
    {"tier's spend", claude, 429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}})",
     "L billing", "rate_limit_error", "m"},
    {"linked organisation spent", claude, 403,
     R"({"type":"error","error":{"type":"permission_error","message":"m","details":{"error_code":"linked_organization_spend_limit_reached"}}})",
     "L billing", "permission_error", "m"},
    {"linked organisation can't pay", claude, 403,
     R"({"type":"error","error":{"type":"permission_error","message":"m","details":{"error_code":"linked_organization_billing_unavailable"}}})",
     "L billing", "permission_error", "m"},
    {"billing", claude, 402,
     R"({"type":"error","error":{"type":"billing_error","message":"Payment required."}})",
     "L billing", "billing_error", "Payment"},
    {"no credit", claude, 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."}})",
     "L billing", "invalid_request_error", "credit balance"},
    {"own spend limit", claude, 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."}})",
     "L billing", "invalid_request_error", "regain access"},
    {"on hold", claude, 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"m","details":{"error_code":"organization_on_hold"}}})",
     "L auth", "invalid_request_error", "m"},
    {"disabled", claude, 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"This organization has been disabled."}})",
     "L auth", "invalid_request_error", "disabled"},
    {"key", claude, 401,
     R"({"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}})",
     "Ls auth", "authentication_error", "x-api-key"},
    {"permission", claude, 403,
     R"({"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission to use the specified resource."}})",
     "L auth", "permission_error", "permission"},
    {"no such model", claude, 404,
     R"({"type":"error","error":{"type":"not_found_error","message":"model: claude-99"},"request_id":"req_2"})",
     "L model", "not_found_error", "claude-99"},
    {"too long", claude, 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}})",
     "S", "invalid_request_error", "208310"},
    {"too long with the answer", claude, 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again"}})",
     "S", "invalid_request_error", "190000"},
    {"too large", claude, 413,
     R"({"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}})",
     "S", "request_too_large", "maximum size"},
    {"bad request", claude, 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"messages.0.content: Field required"}})",
     "D", "invalid_request_error", "Field required"},
    {"overloaded", claude, 529,
     R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})", "Rhc",
     "overloaded_error", "Overloaded"},
    {"overloaded, as a 429", claude, 429,
     R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})", "Rh",
     "overloaded_error", "Overloaded"},
    {"internal", claude, 500,
     R"({"type":"error","error":{"type":"api_error","message":"Internal server error"}})", "Rhc",
     "api_error", "Internal"},
    {"timeout", claude, 504,
     R"({"type":"error","error":{"type":"timeout_error","message":"Request timed out"}})", "Rhcd",
     "timeout_error", "timed out"},
};
INSTANTIATE_TEST_SUITE_P(anthropic, cloud_errors, testing::ValuesIn(anthropic_cases));

TEST(cloud_retry_after, google_says_it_in_details) {
  const auto wait = [](const char* delay) {
    return decode_reply(google, 429,
                        std::string(R"([{"error":{"status":"RESOURCE_EXHAUSTED","message":"m",
      "details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":")") +
                            delay + R"("}]}}])")
        .retry_after;
  };
  EXPECT_EQ(wait("7s"), std::chrono::seconds(7));
  EXPECT_EQ(wait("0.250s"), std::chrono::milliseconds(250));
  EXPECT_EQ(wait("soon"), std::nullopt);
}

TEST(cloud_retry_after, rows_that_can_never_succeed_stay_firm) {
  for (const auto& list : {std::pair{std::begin(google_cases), std::end(google_cases)},
                           std::pair{std::begin(anthropic_cases), std::end(anthropic_cases)}})
    for (auto c = list.first; c != list.second; ++c) {
      const outcome o = decode_reply(c->kind, c->status, c->body, "true");
      const bool again = std::string_view(c->verdict) == "D" || c->verdict[0] == 'R';
      EXPECT_EQ(o.kind == outcome_kind::retry, again) << c->name;
    }
}

}  // namespace
}  // namespace spillway
