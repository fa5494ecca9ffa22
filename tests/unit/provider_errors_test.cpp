// The error taxonomy, row by row: bodies as the providers send them, and the verdict each must get.
#include "tests/unit/provider_verdict.hpp"

#include <gtest/gtest.h>

#include <cctype>
#include <string>

namespace spillway {
namespace {

constexpr auto openai = provider_kind::openai;
constexpr auto azure = provider_kind::azure_openai;
constexpr auto local = provider_kind::openai_compatible;

struct error_case {
  const char* name;
  provider_kind kind;
  int status;
  const char* body;
  const char* verdict;
  const char* code;
  const char* message_part;
};

void PrintTo(const error_case& c, std::ostream* os) { *os << c.name; }

class provider_errors : public testing::TestWithParam<error_case> {};

TEST_P(provider_errors, verdict_code_and_message) {
  const auto& c = GetParam();
  const outcome o = decode_reply(c.kind, c.status, c.body);
  EXPECT_EQ(verdict(o), c.verdict) << c.name;
  EXPECT_EQ(o.error_code, c.code) << c.name;
  EXPECT_NE(o.error_message.find(c.message_part), std::string::npos)
      << c.name << ": " << o.error_message;
  EXPECT_EQ(o.status, c.status);
  EXPECT_FALSE(o.usage.known);
}

const error_case openai_cases[] = {
    {"rate limit", openai, 429,
     R"({"error":{"message":"Rate limit reached for gpt-5.4-mini in organization org-Ab on tokens per min (TPM): Limit 30000, Used 29500, Requested 812. Please try again in 624ms. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"tokens","param":null,"code":"rate_limit_exceeded"}})",
     "Rq", "rate_limit_exceeded", "Used 29500"},
    {"request limit", openai, 429,
     R"({"error":{"message":"Rate limit reached for gpt-5.4-mini in organization org-Ab on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.","type":"requests","param":null,"code":"rate_limit_exceeded"}})",
     "Rq", "rate_limit_exceeded", "RPM"},
    {"request too large", openai, 429,
     R"({"error":{"message":"Request too large for gpt-5.4 (for limit gpt-5.4) in organization org-Ab on tokens per min (TPM): Limit 30000, Requested 37313. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}})",
     "S", "rate_limit_exceeded", "Requested 37313"},
    {"request too large, thousands separated", openai, 429,
     R"({"error":{"message":"Request too large on tokens per min: Limit: 30,000 / min. Requested: 342,389.","type":"tokens","param":null,"code":"rate_limit_exceeded"}})",
     "S", "rate_limit_exceeded", "342,389"},
    {"request too large, no numbers", openai, 429,
     R"({"error":{"message":"Request too large for gpt-5.4.","type":"tokens","code":"rate_limit_exceeded"}})",
     "S", "rate_limit_exceeded", "too large"},
    {"called too large but within the limit", openai, 429,
     R"({"error":{"message":"Request too large for gpt-5.4: Limit 30000, Requested 20000.","type":"tokens","code":"rate_limit_exceeded"}})",
     "Rq", "rate_limit_exceeded", "20000"},
    {"more than the limit, other words", openai, 429,
     R"({"error":{"message":"Rate limit reached: Limit 100, Used 0, Requested 200.","type":"tokens","code":"rate_limit_exceeded"}})",
     "S", "rate_limit_exceeded", "200"},
    {"a quota closed for a time", openai, 429,
     R"({"error":{"message":"Rate limit reached for gpt-5.4-mini on requests per min (RPM): Limit 0, Used 0, Requested 1. Please try again in 60s.","type":"requests","code":"rate_limit_exceeded"}})",
     "Rq", "rate_limit_exceeded", "Limit 0"},
    {"no money", openai, 429,
     R"({"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}})",
     "L billing", "insufficient_quota", "billing details"},
    {"credit balance", openai, 429,
     R"({"error":{"message":"Your credit balance is exhausted.","type":"insufficient_quota","param":null,"code":"credit_balance_exhausted"}})",
     "L billing", "credit_balance_exhausted", "credit"},
    {"organization spend limit", openai, 429,
     R"({"error":{"message":"Spend limit reached.","type":"requests","param":null,"code":"organization_spend_limit_exceeded"}})",
     "L billing", "organization_spend_limit_exceeded", "Spend"},
    {"project spend limit", openai, 429,
     R"({"error":{"message":"Spend limit reached.","type":"requests","param":null,"code":"project_spend_limit_exceeded"}})",
     "L billing", "project_spend_limit_exceeded", "Spend"},
    {"organization usage limit", openai, 429,
     R"({"error":{"message":"Usage limit reached.","type":"requests","param":null,"code":"organization_usage_limit_exceeded"}})",
     "L billing", "organization_usage_limit_exceeded", "Usage"},
    {"the code decides, not the type", openai, 429,
     R"({"error":{"message":"Rate limit reached.","type":"insufficient_quota","param":null,"code":"rate_limit_exceeded"}})",
     "Rq", "rate_limit_exceeded", "Rate limit"},
    {"payment required", openai, 402,
     R"({"error":{"message":"Pay first","type":"billing","code":null}})", "L billing", "billing",
     "Pay first"},
    {"ramp too fast", openai, 429,
     R"({"error":{"message":"Traffic grew too fast.","type":"requests","param":null,"code":"slow_down"}})",
     "Rv", "slow_down", "too fast"},
    {"ramp too fast, 503", openai, 503,
     R"({"error":{"message":"Slow Down","type":"server_error","param":null,"code":"slow_down"}})",
     "Rcv", "slow_down", "Slow Down"},
    {"flex capacity", openai, 429,
     R"({"error":{"message":"Resource Unavailable","type":"server_error","param":null,"code":"resource_unavailable"}})",
     "R", "resource_unavailable", "Resource"},
    {"context", openai, 400,
     R"({"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 140031 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}})",
     "S", "context_length_exceeded", "128000"},
    {"context of the Responses API", openai, 400,
     R"({"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":null}})",
     "S", "invalid_request_error", "context window"},
    {"invalid prompt", openai, 400,
     R"({"error":{"message":"Invalid prompt: your prompt was flagged.","type":"invalid_request_error","param":null,"code":"invalid_prompt"}})",
     "D", "invalid_prompt", "flagged"},
    {"bad parameter", openai, 400,
     R"({"error":{"message":"Unsupported value: 'temperature' does not support 0.2 with this model.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}})",
     "D", "unsupported_value", "temperature"},
    {"code null", openai, 400,
     R"({"error":{"message":"you must provide a model parameter","type":"invalid_request_error","param":null,"code":null}})",
     "D", "invalid_request_error", "model parameter"},
    {"body too large", openai, 413,
     "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body></body></html>",
     "D", "http_413", "413 Request Entity Too Large"},
    {"wrong key", openai, 401,
     R"({"error":{"message":"Incorrect API key provided: sk-****cdef.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}})",
     "Ls auth", "invalid_api_key", "Incorrect"},
    {"country", openai, 403,
     R"({"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported","param":null,"type":"request_forbidden"}})",
     "L auth", "unsupported_country_region_territory", "Country"},
    {"missing model", openai, 404,
     R"({"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}})",
     "L model", "model_not_found", "gpt-9"},
    {"missing model, forbidden", openai, 403,
     R"({"error":{"message":"Project `p` does not have access to model `m`","type":"invalid_request_error","param":null,"code":"model_not_found"}})",
     "L model", "model_not_found", "access"},
    {"unknown address", openai, 404,
     R"j({"error":{"message":"Invalid URL (POST /v1/chat/completion)","type":"invalid_request_error","param":null,"code":null}})j",
     "S", "invalid_request_error", "Invalid URL"},
    {"missing reference of one prompt", openai, 404,
     R"({"error":{"message":"Vector store with id vs_1 not found","type":"invalid_request_error","param":null,"code":null}})",
     "S", "invalid_request_error", "vs_1"},
    {"request timeout", openai, 408, "", "Rhcd", "http_408", "status 408 without an explanation"},
    {"lock", openai, 409, R"({"error":{"message":"Conflict","type":"conflict","code":null}})",
     "Rhc", "conflict", "Conflict"},
    {"server error", openai, 500,
     R"({"error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":null}})",
     "Rhc", "server_error", "Sorry"},
    {"bad gateway page", openai, 502,
     "<html>\n<head><TITLE>502 Bad\n Gateway</TITLE></head><body>cloudflare</body></html>", "Rhc",
     "http_502", "502 Bad Gateway"},
    {"overloaded", openai, 503,
     R"({"error":{"message":"The engine is currently overloaded, please try again later","type":"server_error","param":null,"code":"server_is_overloaded"}})",
     "Rhc", "server_is_overloaded", "overloaded"},
    {"plain text", openai, 503, "upstream connect error or\r\n disconnect/reset before headers",
     "Rhc", "http_503", "upstream connect error or disconnect/reset before headers"},
    {"gateway timeout", openai, 504, "stream timeout", "Rhcd", "http_504", "stream timeout"},
    {"odd 5xx", openai, 529, "{}", "Rhc", "http_529", "status 529"},
    {"redirect", openai, 302, "", "L auth", "http_302", "status 302"},
    {"no status of ours", openai, 777, "", "Rhcd", "http_777", "status 777"},
};

const error_case azure_cases[] = {
    {"token rate", azure, 429,
     R"({"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current AIServices S0 pricing tier. Please retry after 6 seconds. Please contact Azure support service if you would like to further increase the default rate limit."}})",
     "Rq", "http_429", "token rate limit"},
    {"new rate text", azure, 429,
     R"({"error":{"code":"RateLimitReached","message":"Your requests to gpt-5.4-mini for mini-prod in Sweden Central have exceeded the token rate limit for your current AIServices S0 pricing tier. Please retry after 45 seconds."}})",
     "Rq", "RateLimitReached", "45 seconds"},
    {"larger than the deployment", azure, 429,
     R"({"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 86400 seconds."}})",
     "S", "http_429", "86400"},
    {"high demand", azure, 429,
     R"({"error":{"code":"too_many_requests","message":"The system is currently experiencing high demand and cannot process your request. Your request exceeds the maximum usage size allowed during peak load. Please retry after 20 seconds."}})",
     "Rh", "too_many_requests", "high demand"},
    {"content filter", azure, 400,
     R"({"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}})",
     "D", "content_filter", "policy"},
    {"policy by inner code alone", azure, 403,
     R"({"error":{"message":"Refused","code":null,"innererror":{"code":"ResponsibleAIPolicyViolation"}}})",
     "D", "http_403", "Refused"},
    {"deployment", azure, 404,
     R"({"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again."}})",
     "L model", "DeploymentNotFound", "deployment"},
    {"wrong path", azure, 404, R"({"error":{"code":"404","message":"Resource not found"}})", "S",
     "http_404", "Resource not found"},
    {"wrong operation", azure, 400,
     R"({"error":{"code":"OperationNotSupported","message":"The chatCompletion operation does not work with the specified model, text-embedding-3-small."}})",
     "S", "OperationNotSupported", "chatCompletion"},
    {"wrong key", azure, 401,
     R"({"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}})",
     "Ls auth", "http_401", "Access denied"},
    {"key missing, gateway's form", azure, 401,
     R"({ "statusCode": 401, "message": "Unauthorized. Access token is missing, invalid, audience is incorrect, or have expired." })",
     "Ls auth", "http_401", "Access token"},
    {"network rule", azure, 403,
     R"({"error":{"code":"403","message":"Access denied due to Virtual Network/Firewall rules."}})",
     "L auth", "http_403", "Firewall"},
    {"no money", azure, 429,
     R"({"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"You exceeded your current quota"}})",
     "L billing", "insufficient_quota", "quota"},
    {"internal", azure, 500,
     R"({"error":{"code":"InternalServerError","message":"Backend failure"}})", "Rhc",
     "InternalServerError", "Backend"},
};

const error_case compatible_cases[] = {
    {"vLLM context", local, 400,
     R"({"error":{"message":"This model's maximum context length is 4096 tokens. However, you requested 5012 tokens (4000 in the messages, 1012 in the completion).","type":"BadRequestError","param":null,"code":400}})",
     "S", "BadRequestError", "4096"},
    {"vLLM context, old form", local, 400,
     R"({"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400})",
     "S", "BadRequestError", "4096"},
    {"vLLM prompt length", local, 400,
     R"({"error":{"message":"The decoder prompt (length 5000) is longer than the maximum model length of 4096.","type":"BadRequestError","param":null,"code":400}})",
     "S", "BadRequestError", "decoder prompt"},
    {"vLLM bad request", local, 400,
     R"({"error":{"message":"temperature must be non-negative, got -1.0.","type":"BadRequestError","param":"temperature","code":400}})",
     "D", "BadRequestError", "temperature"},
    {"vLLM 401", local, 401, R"({"error":"Unauthorized"})", "Ls auth", "http_401", "Unauthorized"},
    {"vLLM missing model", local, 404,
     R"({"error":{"message":"The model `llama` does not exist.","type":"NotFoundError","param":"model","code":404}})",
     "L model", "NotFoundError", "llama"},
    {"vLLM engine", local, 500,
     R"({"error":{"message":"EngineCore encountered an issue.","type":"InternalServerError","param":null,"code":500}})",
     "Rhc", "InternalServerError", "EngineCore"},
    {"FastAPI wrong path", local, 404, R"({"detail":"Not Found"})", "S", "http_404", "Not Found"},
    {"FastAPI validation", local, 422,
     R"({"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{}}]})",
     "D", "http_422", "Field required"},
    {"SGLang context", local, 400,
     R"({"object":"error","message":"The input (5000 tokens) is longer than the model's context length (4096 tokens).","type":"BadRequestError","param":null,"code":400})",
     "S", "BadRequestError", "5000 tokens"},
    {"SGLang bad request", local, 400,
     R"({"object":"error","message":"top_p must be in (0, 1], got 2.0.","type":"Bad Request","param":null,"code":400})",
     "D", "Bad Request", "top_p"},
    {"SGLang busy", local, 503,
     R"({"object":"error","message":"The request queue is full.","type":"SERVICE_UNAVAILABLE","code":503})",
     "Rhc", "SERVICE_UNAVAILABLE", "queue"},
    {"llama.cpp context", local, 400,
     R"({"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":14429,"n_ctx":8192}})",
     "S", "exceed_context_size_error", "context size"},
    {"llama.cpp context as 500", local, 500,
     R"({"error":{"code":500,"message":"the request exceeds the available context size.","type":"exceed_context_size_error"}})",
     "S", "exceed_context_size_error", "context size"},
    {"llama.cpp loading", local, 503,
     R"({"error":{"message":"Loading model","type":"unavailable_error","code":503}})", "Rhc",
     "unavailable_error", "Loading"},
    {"llama.cpp key", local, 401,
     R"({"error":{"message":"Invalid API Key","type":"authentication_error","code":401}})",
     "Ls auth", "authentication_error", "Invalid API Key"},
    {"llama.cpp without embeddings", local, 501,
     R"({"error":{"code":501,"message":"This server does not support embeddings. Start it with `--embeddings`","type":"not_supported_error"}})",
     "S", "not_supported_error", "--embeddings"},
    {"llama.cpp wrong path", local, 404,
     R"({"error":{"code":404,"message":"File Not Found","type":"not_found_error"}})", "S",
     "not_found_error", "File Not Found"},
    {"ollama missing model", local, 404,
     R"({"error":{"message":"model \"llama3\" not found, try pulling it first","type":"api_error","param":null,"code":null}})",
     "L model", "api_error", "pulling"},
    {"TGI overloaded", local, 429, R"({"error":"Model is overloaded","error_type":"overloaded"})",
     "R", "overloaded", "overloaded"},
    {"TGI generation", local, 424,
     R"({"error":"Request failed during generation: Server error: CUDA out of memory","error_type":"generation"})",
     "Rc", "generation", "CUDA"},
    {"TGI validation", local, 422,
     R"({"error":"Input validation error: `temperature` must be strictly positive","error_type":"validation"})",
     "D", "validation", "temperature"},
    {"TGI context", local, 422,
     R"({"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000","error_type":"validation"})",
     "S", "validation", "4096"},
    {"someone's rate limit", local, 429, "slow please", "Rq", "http_429", "slow please"},
    {"error in a list", local, 500, R"([{"error":{"code":500,"message":"Internal"}}])", "Rhc",
     "http_500", "Internal"},
    {"error is a number", local, 500, R"({"error":17})", "Rhc", "http_500", "status 500"},
    {"error is null", local, 400, R"({"error":null})", "D", "http_400", "status 400"},
    {"bare text in JSON", local, 400, R"("no such thing")", "D", "http_400", "no such thing"},
};

const auto case_name = [](const auto& info) {
  std::string name;
  for (const char c : std::string(info.param.name))
    name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name + "_" + std::to_string(info.index);
};

INSTANTIATE_TEST_SUITE_P(openai, provider_errors, testing::ValuesIn(openai_cases), case_name);
INSTANTIATE_TEST_SUITE_P(azure, provider_errors, testing::ValuesIn(azure_cases), case_name);
INSTANTIATE_TEST_SUITE_P(compatible, provider_errors, testing::ValuesIn(compatible_cases),
                         case_name);

}  // namespace
}  // namespace spillway
