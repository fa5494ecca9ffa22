#include "orchestrator/runtime/json_string.hpp"
#include "workers/simulator/json_text.hpp"
#include "workers/simulator/reply_frame.hpp"

namespace spillway::simulated {
namespace {

using namespace std::chrono_literals;

struct usual_error {
  int status;
  std::string_view type, code, message;
};

// What each provider usually says with a status, for faults that do not say otherwise.
constexpr usual_error openai_errors[] = {
    {400, "invalid_request_error", "", "Invalid request."},
    {401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: sim-***."},
    {403, "invalid_request_error", "unsupported_country_region_territory",
     "Country, region, or territory not supported"},
    {404, "invalid_request_error", "model_not_found",
     "The model does not exist or you do not have access to it."},
    {429, "requests", "rate_limit_exceeded", "Rate limit reached. Please try again later."},
    {500, "server_error", "",
     "The server had an error while processing your request. Sorry about that!"},
    {502, "server_error", "bad_gateway", "Bad gateway."},
    {503, "server_error", "server_is_overloaded",
     "Our servers are currently overloaded. Please try again later."},
    {504, "server_error", "", "The server took too long to answer."}};
constexpr usual_error azure_errors[] = {
    {400, "", "BadRequest", "The request is invalid."},
    {401, "", "401",
     "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
     "valid key for an active subscription and use a correct regional API endpoint for your "
     "resource."},
    {403, "", "403", "Access denied due to Virtual Network/Firewall rules."},
    {404, "", "DeploymentNotFound",
     "The API deployment for this resource does not exist. If you created the deployment within "
     "the last 5 minutes, please wait a moment and try again."},
    {408, "", "Timeout", "The operation was timeout."},
    {429, "", "429", "Requests have exceeded the call rate limit. Please retry later."},
    {500, "", "InternalServerError", "The server had an error while processing your request."},
    {503, "", "ServiceUnavailable", "The service is temporarily unable to process your request."}};
constexpr usual_error compatible_errors[] = {
    {400, "BadRequestError", "", "The request is invalid."},
    {404, "NotFoundError", "", "The model does not exist."},
    {429, "RateLimitError", "", "Too many requests."},
    {500, "InternalServerError", "", "Internal server error"},
    {503, "ServiceUnavailableError", "", "The server is overloaded."}};

usual_error usual(provider_kind provider, int status) {
  const auto find = [status](const auto& table) {
    for (const auto& e : table)
      if (e.status == status) return e;
    return usual_error{status, status < 500 ? "invalid_request_error" : "server_error", "",
                       reason_phrase(status)};
  };
  switch (provider) {
    case provider_kind::openai: return find(openai_errors);
    case provider_kind::azure_openai: return find(azure_errors);
    case provider_kind::bedrock:
    case provider_kind::vertex:
    case provider_kind::anthropic:
    case provider_kind::openai_compatible: return find(compatible_errors);
  }
  return find(openai_errors);
}

void append_or_null(std::string_view text, std::string& out) {
  if (text.empty())
    out += "null";
  else
    append_json_string(text, out);
}

void append_error_body(provider_kind provider, const error_reply& e, std::string& out) {
  const usual_error known = usual(provider, e.status);
  // Texts of a fault of its own replace the usual ones as a whole: a usual code beside another
  // message would be a lie.
  const bool own = !e.message.empty() || !e.code.empty();
  const std::string_view code = own ? e.code : known.code;
  const std::string_view message = e.message.empty() ? known.message : e.message;
  std::string_view type = e.type.empty() ? known.type : e.type;
  if (e.type.empty() && e.status == 429 && !e.code.empty()) type = e.code;  // insufficient_quota
  switch (provider) {
    case provider_kind::openai:
      out += R"({"error":{"message":)";
      append_json_string(message, out);
      out += R"(,"type":)";
      append_or_null(type, out);
      out += R"(,"param":)";
      append_or_null(e.param, out);
      out += R"(,"code":)";
      append_or_null(code, out);
      out += "}}";
      return;
    case provider_kind::azure_openai:
      out += R"({"error":{"code":)";
      append_json_string(code.empty() ? known.code : code, out);
      out += R"(,"message":)";
      append_json_string(message, out);
      out += "}}";
      return;
    case provider_kind::bedrock:
    case provider_kind::vertex:
    case provider_kind::anthropic:
    case provider_kind::openai_compatible:
      if (e.status == 401 && !own) {
        out += R"({"error":"Unauthorized"})";
        return;
      }
      out += R"({"error":{"message":)";
      append_json_string(message, out);
      out += R"(,"type":)";
      append_or_null(type, out);
      out += R"(,"param":)";
      append_or_null(e.param, out);
      out += R"(,"code":)";
      if (code.empty())
        append_number(e.status, out);
      else
        append_json_string(code, out);
      out += "}}";
      return;
  }
}

std::string_view azure_operation(call_kind kind) {
  switch (kind) {
    case call_kind::chat: return "ChatCompletions_Create";
    case call_kind::responses: return "Responses_Create";
    case call_kind::embeddings: return "Embeddings_Create";
  }
  return "ChatCompletions_Create";
}

/// "requests per min (RPM): Limit 600, Used 600, Requested 1."
void append_openai_numbers(const reply_context& c, const grant& g, std::string& out) {
  const bool by_tokens = g.refused_by != limit_kind::requests;
  const auto& state = by_tokens ? c.rates.tokens : c.rates.requests;
  const allowance a = state.value_or(allowance{});
  append(out, by_tokens ? "tokens per min (TPM): Limit " : "requests per min (RPM): Limit ",
         a.limit);
  if (g.refused_by != limit_kind::request_too_large) append(out, ", Used ", a.limit - a.remaining);
  append(out, ", Requested ", by_tokens ? g.charge : 1, ". ");
}

std::string openai_refusal(const reply_context& c, const call_facts& call, const grant& g) {
  std::string m;
  if (g.refused_by == limit_kind::request_too_large) {
    append(m, "Request too large for ", call.model, " in organization org-simulated on ");
    append_openai_numbers(c, g, m);
    m += "The input or output tokens must be reduced in order to run successfully. ";
  } else {
    append(m, "Rate limit reached for ", call.model, " in organization org-simulated on ");
    if (g.refused_by == limit_kind::concurrency)
      m += "concurrent requests. ";
    else
      append_openai_numbers(c, g, m);
    m += "Please try again in ";
    append_go_duration(g.wait, m);
    m += ". ";
  }
  return m + "Visit https://platform.openai.com/account/rate-limits to learn more.";
}

std::string azure_refusal(const call_facts& call, const grant& g) {
  std::string m;
  const std::string_view limit = g.refused_by == limit_kind::requests ? "call" : "token";
  append(m, "Requests to the ", azure_operation(call.kind),
         " Operation under Azure OpenAI API version v1 have exceeded ",
         g.refused_by == limit_kind::concurrency ? "concurrency" : limit,
         " rate limit of your current OpenAI S0 pricing tier. Please retry after ",
         std::chrono::ceil<std::chrono::seconds>(g.wait).count(),
         " seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further "
         "increase the default rate limit.");
  return m;
}

}  // namespace

void append_error(const reply_context& c, const error_reply& e, std::string& out) {
  reply_frame frame(c, e.status, e.retry_after, out);
  append_error_body(c.pool.provider, e, out);
  frame.finish();
}

void append_refusal(const reply_context& c, const call_facts& call, const grant& g,
                    std::string& out) {
  error_reply e{
      .status = 429, .code = {}, .message = {}, .type = {}, .param = {}, .retry_after = g.wait};
  switch (c.pool.provider) {
    case provider_kind::openai:
      e.code = "rate_limit_exceeded";
      e.type = g.refused_by == limit_kind::requests || g.refused_by == limit_kind::concurrency
                   ? "requests"
                   : "tokens";
      e.message = openai_refusal(c, call, g);
      if (g.refused_by == limit_kind::request_too_large) e.retry_after.reset();
      break;
    case provider_kind::azure_openai:
      e.code = "429";
      e.message = azure_refusal(call, g);
      break;
    case provider_kind::bedrock:
    case provider_kind::vertex:
    case provider_kind::anthropic:
    case provider_kind::openai_compatible:
      if (g.refused_by == limit_kind::concurrency) e.message = "Too many concurrent requests.";
      if (g.refused_by == limit_kind::request_too_large) {
        e.message = "The request needs more tokens than the limit per minute allows.";
        e.retry_after.reset();
      }
      break;
  }
  append_error(c, e, out);
}

error_reply bad_key_error(provider_kind provider, bool key_given) {
  error_reply e;
  e.status = 401;
  if (provider == provider_kind::openai && !key_given) {
    e.type = "invalid_request_error";
    e.message =
        "You didn't provide an API key. You need to provide your API key in an "
        "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
  }
  return e;
}

error_reply missing_model_error(provider_kind provider, std::string_view model) {
  error_reply e;
  e.status = 404;
  if (provider == provider_kind::azure_openai) return e;
  e.message.append("The model `").append(model).append("` does not exist");
  e.message += provider == provider_kind::openai ? " or you do not have access to it." : ".";
  if (provider == provider_kind::openai)
    e.code = "model_not_found";
  else
    e.param = "model";
  return e;
}

error_reply bad_call_error(const bad_call& problem) {
  error_reply e;
  e.status = 400;
  e.message = problem.message;
  e.param = problem.param;
  return e;
}

error_reply unknown_path_error(provider_kind provider, std::string_view method,
                               std::string_view path) {
  error_reply e;
  e.status = 404;
  switch (provider) {
    case provider_kind::openai:
      e.code = "unknown_url";
      e.message.append("Unknown request URL: ").append(method).append(" ").append(path);
      e.message +=
          ". Please check the URL for typos, or see the docs at "
          "https://platform.openai.com/docs/api-reference/.";
      break;
    case provider_kind::azure_openai:
      e.code = "404";
      e.message = "Resource not found";
      break;
    case provider_kind::bedrock:
    case provider_kind::vertex:
    case provider_kind::anthropic:
    case provider_kind::openai_compatible: e.message = "Not Found"; break;
  }
  return e;
}

}  // namespace spillway::simulated
