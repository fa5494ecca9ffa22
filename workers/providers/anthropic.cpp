// Anthropic's Messages.
#include "workers/providers/anthropic_form.hpp"
#include "workers/providers/anthropic_limits.hpp"
#include "workers/providers/json_each.hpp"
#include "workers/providers/openai_body.hpp"
#include "workers/providers/text.hpp"

namespace spillway {

namespace {

using simdjson::dom::object;

class anthropic_provider final : public translating_adapter {
 public:
  explicit anthropic_provider(const pool_config& pool)
      : translating_adapter(pool), target_(prefix() + "/v1/messages") {
    if (prefix().ends_with("/v1")) target_ = prefix() + "/messages";
  }

  [[nodiscard]] http_request encode(const prompt_view& prompt,
                                    const lane_config& lane) const override {
    http_request out;
    out.target = target_;
    out.headers = json_request_headers;
    out.headers += "anthropic-version: 2023-06-01\r\n";
    out.body = write_messages(chat_of(prompt, lane), lane);
    return out;
  }
  [[nodiscard]] bool serves(endpoint_kind endpoint, const lane_config&) const override {
    return endpoint == endpoint_kind::chat_completions;
  }
  [[nodiscard]] prompt_features unmappable(endpoint_kind, const lane_config& lane) const override {
    return messages_unmappable(lane);
  }
  /// Input and output have limits of their own; output counts as it is made, not as it is allowed.
  [[nodiscard]] tokens rate_charge(const token_charge_input& in) const override {
    return in.estimated_input + in.expected_output;
  }

 protected:
  void decode_answer(std::string_view, const call_result& call, const lane_config& lane,
                     prompt_features, outcome& out) const override {
    take_limits(call, out);
    take_foreign(read_messages(call.response.body), call, lane, out);
  }
  void decode_error(const call_result&, const lane_config&, outcome&) const override;

 private:
  static void take_limits(const call_result& call, outcome& out) {
    const auto rates = read_anthropic_rates(call.response, call.done_at);
    out.requests = rates.requests;
    out.tokens_rate = rates.tokens;
    if (out.request_id.empty()) out.request_id = valid_utf8(call.response.header("request-id"));
  }

  std::string target_;
};

void anthropic_provider::decode_error(const call_result& call, const lane_config&,
                                      outcome& out) const {
  take_limits(call, out);
  auto error = read_error(out.status, call.response.body);
  const parsed_json json = parse_json(error.line);
  object root;
  if (json.ok && !json.root.get_object().get(root))
    if (const auto fields = object_at(root, "error"))
      if (const auto details = object_at(*fields, "details"))
        error.report.inner_code = one_line(text_at(*details, "error_code"), 128);
  out.body = std::move(error.line);
  set_error(std::move(error.report), call, out);
}

}  // namespace

std::unique_ptr<provider> make_anthropic(const pool_config& pool) {
  return std::make_unique<anthropic_provider>(pool);
}

}  // namespace spillway
