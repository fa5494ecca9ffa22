// The three providers that speak the OpenAI wire form. They differ in their errors' rows and in how
// their limiters count tokens.
#include "orchestrator/runtime/json_string.hpp"
#include "workers/provider.hpp"
#include "workers/providers/errors.hpp"
#include "workers/providers/headers.hpp"
#include "workers/providers/openai_body.hpp"
#include "workers/providers/text.hpp"

#include <algorithm>

namespace spillway {

namespace {

constexpr std::string_view version_prefix = "/v1";
constexpr std::string_view request_headers =
    "Content-Type: application/json\r\nAccept: application/json\r\n";

class openai_provider : public provider {
 public:
  explicit openai_provider(const pool_config& pool) : source_(source_of(pool.provider)) {
    // The transport refuses an endpoint that is no URL, so a pool with one never sends.
    if (const auto endpoint = parse_endpoint(pool.endpoint)) prefix_ = endpoint->prefix;
  }

  [[nodiscard]] http_request encode(const prompt_view& prompt,
                                    const lane_config& lane) const override;
  [[nodiscard]] outcome decode(std::string_view url, const call_result& call,
                               const lane_config& lane) const override;
  [[nodiscard]] bool serves(endpoint_kind, const lane_config&) const override { return true; }
  [[nodiscard]] prompt_features unmappable(endpoint_kind, const lane_config&) const override {
    return {};
  }

  /// OpenAI charges whichever is larger, at arrival.
  [[nodiscard]] tokens rate_charge(const token_charge_input& in) const override {
    return std::max(in.estimated_input, in.max_output);
  }

 private:
  void decode_answer(std::string_view url, const call_result& call, outcome& out) const;
  void decode_error(const call_result& call, outcome& out) const;
  void set_error(error_report report, const call_result& call, outcome& out) const;

  error_source source_;
  std::string prefix_;
};

/// Azure reserves the whole allowed output at arrival.
class azure_openai_provider final : public openai_provider {
 public:
  using openai_provider::openai_provider;
  [[nodiscard]] tokens rate_charge(const token_charge_input& in) const override {
    return in.estimated_input + (in.max_output > tokens(0) ? in.max_output : in.expected_output);
  }
};

/// A server of one's own counts nothing; a limit set for it means tokens it really works on.
class openai_compatible_provider final : public openai_provider {
 public:
  using openai_provider::openai_provider;
  [[nodiscard]] tokens rate_charge(const token_charge_input& in) const override {
    return in.estimated_input + in.expected_output;
  }
};

http_request openai_provider::encode(const prompt_view& prompt, const lane_config& lane) const {
  ensure(prompt.url.starts_with(version_prefix), "a prompt's url begins with /v1");
  ensure(prompt.model_length >= 2 && prompt.model_offset <= prompt.body.size() &&
             prompt.model_length <= prompt.body.size() - prompt.model_offset,
         "a prompt's model token lies within its body");
  const auto path = prompt.url.substr(version_prefix.size());
  const auto before = prompt.body.substr(0, prompt.model_offset);
  const auto after = prompt.body.substr(prompt.model_offset + prompt.model_length);
  const auto model = json_string(lane.as);

  http_request out;
  out.target.reserve(prefix_.size() + path.size());
  out.target.append(prefix_).append(path);
  out.headers = request_headers;
  out.body.reserve(before.size() + model.size() + after.size());
  out.body.append(before).append(model).append(after);
  return out;
}

outcome openai_provider::decode(std::string_view url, const call_result& call,
                                const lane_config&) const {
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
    decode_answer(url, call, out);
  else
    decode_error(call, out);
  return out;
}

void openai_provider::decode_answer(std::string_view url, const call_result& call,
                                    outcome& out) const {
  auto answer = read_answer(url, call.response.body);
  out.body = std::move(answer.line);
  out.usage = answer.usage;
  if (answer.error)
    set_error(std::move(*answer.error), call, out);
  else
    out.kind = outcome_kind::answered;
}

void openai_provider::decode_error(const call_result& call, outcome& out) const {
  auto error = read_error(out.status, call.response.body);
  out.body = std::move(error.line);
  set_error(std::move(error.report), call, out);
}

void openai_provider::set_error(error_report report, const call_result& call, outcome& out) const {
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

}  // namespace

std::unique_ptr<provider> make_provider(const pool_config& pool) {
  switch (pool.provider) {
    case provider_kind::openai: return std::make_unique<openai_provider>(pool);
    case provider_kind::azure_openai: return std::make_unique<azure_openai_provider>(pool);
    case provider_kind::openai_compatible:
      return std::make_unique<openai_compatible_provider>(pool);
    case provider_kind::bedrock:
    case provider_kind::vertex:
    case provider_kind::anthropic: break;
  }
  ensure(false, "a provider kind without an adapter");
  return nullptr;
}

prompt_features features_of(const prompt_view&) { return {}; }

std::vector<std::string> parameters_of(const prompt_view&, prompt_features) { return {}; }

}  // namespace spillway
