#include "workers/simulator/json_text.hpp"
#include "workers/simulator/reply_frame.hpp"

namespace spillway::simulated {
namespace {

std::string_view azure_operation(call_kind kind) {
  switch (kind) {
    case call_kind::responses: return "Responses_Create";
    case call_kind::embeddings: return "Embeddings_Create";
    case call_kind::completions: return "Completions_Create";
    default: return "ChatCompletions_Create";
  }
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

std::string_view aws_refusal(limit_kind by) {
  switch (by) {
    case limit_kind::tokens_per_day:
      return "Too many tokens per day, please wait before trying again.";
    case limit_kind::tokens:
    case limit_kind::input_tokens:
    case limit_kind::output_tokens:
    case limit_kind::request_too_large: return "Too many tokens, please wait before trying again.";
    default: return "Too many requests, please wait before trying again.";
  }
}

std::string anthropic_refusal(const reply_context& c, const grant& g) {
  std::string m = "This request would exceed your organization's rate limit of ";
  const auto say = [&](const std::optional<allowance>& a, std::string_view unit) {
    append(m, a.value_or(allowance{}).limit, " ", unit, " per minute");
  };
  switch (g.refused_by) {
    case limit_kind::requests: say(c.rates.requests, "requests"); break;
    case limit_kind::output_tokens: say(c.rates.output, "output tokens"); break;
    case limit_kind::input_tokens: say(c.rates.input, "input tokens"); break;
    case limit_kind::concurrency:
      return "Number of concurrent connections has exceeded your rate limit. "
             "Please try again later.";
    default: say(c.rates.tokens, "tokens"); break;
  }
  return m + ". For details, refer to: https://docs.claude.com/en/api/rate-limits.";
}

}  // namespace

void append_refusal(const reply_context& c, const call_facts& call, const grant& g,
                    std::string& out) {
  error_reply e;
  e.status = 429;
  e.retry_after = g.wait;
  const bool too_large = g.refused_by == limit_kind::request_too_large;
  switch (c.form) {
    case wire_form::openai:
      e.code = "rate_limit_exceeded";
      e.type = g.refused_by == limit_kind::requests || g.refused_by == limit_kind::concurrency
                   ? "requests"
                   : "tokens";
      e.message = openai_refusal(c, call, g);
      if (too_large) e.retry_after.reset();
      break;
    case wire_form::azure:
      e.code = "429";
      e.message = azure_refusal(call, g);
      break;
    case wire_form::aws:
    case wire_form::mantle:
      e.code = c.form == wire_form::aws ? "ThrottlingException" : "rate_limit_exceeded";
      e.message = aws_refusal(g.refused_by);
      e.retry_after.reset();  // AWS does not say when
      break;
    case wire_form::google:
    case wire_form::google_list: break;  // the usual text, and RetryInfo
    case wire_form::anthropic: e.message = anthropic_refusal(c, g); break;
    case wire_form::compatible:
      if (g.refused_by == limit_kind::concurrency) e.message = "Too many concurrent requests.";
      if (too_large) {
        e.message = "The request needs more tokens than the limit per minute allows.";
        e.retry_after.reset();
      }
      break;
  }
  append_error(c, e, out);
}

}  // namespace spillway::simulated
