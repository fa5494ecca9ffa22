#include "workers/providers/adapter.hpp"

#include "orchestrator/runtime/json_string.hpp"
#include "workers/providers/headers.hpp"
#include "workers/providers/openai_body.hpp"
#include "workers/providers/text.hpp"

namespace spillway {

adapter::adapter(const pool_config& pool) : source_(source_of(pool.provider)) {
  // The transport refuses an endpoint that is no URL, so a pool with one never sends.
  if (const auto endpoint = parse_endpoint(pool.endpoint)) prefix_ = endpoint->prefix;
}

outcome adapter::decode(std::string_view url, const call_result& call, const lane_config& lane,
                        prompt_features asked) const {
  outcome out;
  if (call.error != transport_error::none) {
    apply_transport_error(call, out);
    return out;
  }
  out.status = call.response.status;
  out.request_id = valid_utf8(read_request_id(call.response));
  const auto rates = read_rates(call.response);
  out.requests = rates.requests;
  out.tokens_rate = rates.tokens;
  if (out.status >= 200 && out.status < 300)
    decode_answer(url, call, lane, asked, out);
  else
    decode_error(call, lane, out);
  return out;
}

void adapter::take_openai_answer(std::string_view url, std::string_view body,
                                 const call_result& call, outcome& out) const {
  auto answer = read_answer(url, body);
  out.body = std::move(answer.line);
  out.usage = answer.usage;
  out.service_tier = std::move(answer.service_tier);
  if (answer.error)
    set_error(std::move(*answer.error), call, out);
  else
    out.kind = outcome_kind::answered;
}

void adapter::decode_error(const call_result& call, const lane_config&, outcome& out) const {
  auto error = read_error(out.status, call.response.body);
  out.body = std::move(error.line);
  set_error(std::move(error.report), call, out);
}

void adapter::set_error(error_report report, const call_result& call, outcome& out) const {
  apply_rule(rule_for(source_, report), report, call.response.header("x-should-retry"), out);
  out.retry_after = read_retry_after(call.response, call.done_at);
  if (!report.code.empty())
    out.error_code = std::move(report.code);
  else if (!report.type.empty())
    out.error_code = std::move(report.type);
  else
    out.error_code = "http_" + std::to_string(out.status);
  out.error_message = one_line(report.message, error_message_bytes_max);
  if (out.error_message.empty())
    out.error_message = "status " + std::to_string(out.status) + " without an explanation";
}

std::string_view path_of(std::string_view url) {
  constexpr std::string_view version_prefix = "/v1";
  ensure(url.starts_with(version_prefix), "a prompt's url begins with /v1");
  return url.substr(version_prefix.size());
}

std::string body_with_model(const prompt_view& prompt, std::string_view model) {
  ensure(prompt.model_length >= 2 && prompt.model_offset <= prompt.body.size() &&
             prompt.model_length <= prompt.body.size() - prompt.model_offset,
         "a prompt's model token lies within its body");
  const auto before = prompt.body.substr(0, prompt.model_offset);
  const auto after = prompt.body.substr(prompt.model_offset + prompt.model_length);
  const auto name = json_string(model);
  std::string out;
  out.reserve(before.size() + name.size() + after.size());
  out.append(before).append(name).append(after);
  return out;
}

std::unique_ptr<provider> make_provider(const pool_config& pool) {
  switch (pool.provider) {
    case provider_kind::openai:
    case provider_kind::azure_openai:
    case provider_kind::openai_compatible: return make_openai(pool);
    case provider_kind::bedrock: return make_bedrock(pool);
    case provider_kind::vertex: return make_vertex(pool);
    case provider_kind::anthropic: return make_anthropic(pool);
  }
  ensure(false, "a provider kind without an adapter");
  return nullptr;
}

}  // namespace spillway
