// Amazon Bedrock: chat through Converse, embeddings through InvokeModel, and the OpenAI forms of
// both its hosts.
#include "workers/providers/aws_error.hpp"
#include "workers/providers/bedrock_models.hpp"
#include "workers/providers/bedrock_openai.hpp"
#include "workers/providers/converse.hpp"
#include "workers/providers/foreign_answer.hpp"
#include "workers/providers/hosts.hpp"
#include "workers/providers/invoke.hpp"
#include "workers/providers/responses_form.hpp"
#include "workers/providers/text.hpp"

namespace spillway {

namespace {

constexpr std::string_view chat_url = "/v1/chat/completions", responses_url = "/v1/responses";

/// Daily quotas turn over at midnight UTC, as far as the documentation says.
duration until_tomorrow(time_point now) {
  return std::chrono::ceil<std::chrono::days>(now + std::chrono::nanoseconds(1)) - now;
}

class bedrock_provider final : public translating_adapter {
 public:
  explicit bedrock_provider(const pool_config&);

  [[nodiscard]] http_request encode(const prompt_view&, const lane_config&) const override;
  [[nodiscard]] bool serves(endpoint_kind, const lane_config&) const override;
  [[nodiscard]] prompt_features unmappable(endpoint_kind, const lane_config&) const override;
  /// Reserves all it may answer, and settles by what it did: cached input is free, and a token of
  /// Claude's output takes five of the quota.
  [[nodiscard]] tokens rate_charge(const token_charge_input& in) const override {
    return in.estimated_input + (in.max_output > tokens(0) ? in.max_output : in.expected_output);
  }
  [[nodiscard]] tokens settled_charge(const token_usage& used, tokens,
                                      const lane_config& lane) const override {
    return used.input - used.cached + used.output * bedrock_model_of(lane).output_burndown;
  }

 protected:
  void decode_answer(std::string_view url, const call_result&, const lane_config&,
                     prompt_features asked, outcome&) const override;
  void decode_error(const call_result&, const lane_config&, outcome&) const override;

 private:
  [[nodiscard]] std::string openai_root(const lane_config&) const;

  bool mantle_ = false;
  std::string root_;         ///< what native paths follow
  std::string openai_root_;  ///< what OpenAI paths follow; empty: by the model
};

bedrock_provider::bedrock_provider(const pool_config& pool)
    : translating_adapter(pool), mantle_(pool.mantle), root_(prefix()) {
  if (const auto endpoint = parse_endpoint(pool.endpoint))
    mantle_ = mantle_ || is_mantle_host(endpoint->host);
  if (!root_.ends_with("/v1")) return;
  openai_root_ = root_;
  for (const std::string_view part : {"/v1", "/openai"})
    if (root_.ends_with(part)) root_.resize(root_.size() - part.size());
}

/// Mantle has GPT under one prefix and open-weight models under the other; the wrong one errors.
std::string bedrock_provider::openai_root(const lane_config& lane) const {
  if (!openai_root_.empty()) return openai_root_;
  return root_ + (mantle_ && !is_bedrock_gpt(lane) ? "/v1" : "/openai/v1");
}

http_request bedrock_provider::encode(const prompt_view& prompt, const lane_config& lane) const {
  http_request out;
  out.headers = json_request_headers;
  const auto model_root = root_ + "/model/" + percent_encoded(lane.as);
  const auto chat = [&] { return chat_of(prompt, lane); };
  switch (lane.surface) {
    case lane_surface::converse:
      out.target = model_root + "/converse";
      out.body = write_converse(chat(), lane);
      break;
    case lane_surface::invoke:
      out.target = model_root + "/invoke";
      if (lane.tier == lane_tier::flex)
        out.headers += "X-Amzn-Bedrock-Service-Tier: flex\r\n";
      else if (lane.tier == lane_tier::priority)
        out.headers += "X-Amzn-Bedrock-Service-Tier: priority\r\n";
      out.body = write_invoke_embedding(value_or_empty(read_embedding(prompt.body)), lane);
      break;
    case lane_surface::responses:
      out.target = openai_root(lane) + "/responses";
      if (prompt.url == responses_url)
        out.body = bedrock_openai_body(prompt, lane, unmappable(endpoint_kind::responses, lane));
      else
        out.body =
            write_responses(chat(), lane.as, unmappable(endpoint_kind::chat_completions, lane));
      break;
    default:
      out.target = openai_root(lane) + std::string(path_of(prompt.url));
      out.body = bedrock_openai_body(
          prompt, lane,
          unmappable(prompt.url == responses_url ? endpoint_kind::responses
                                                 : endpoint_kind::chat_completions,
                     lane));
  }
  return out;
}

bool bedrock_provider::serves(endpoint_kind endpoint, const lane_config& lane) const {
  const bool chat = endpoint == endpoint_kind::chat_completions;
  switch (lane.surface) {
    case lane_surface::converse: return chat;
    case lane_surface::invoke:
      return endpoint == endpoint_kind::embeddings && is_invoke_embedding(lane);
    default: return chat || endpoint == endpoint_kind::responses;
  }
}

prompt_features bedrock_provider::unmappable(endpoint_kind endpoint,
                                             const lane_config& lane) const {
  switch (lane.surface) {
    case lane_surface::converse: return converse_unmappable(lane);
    case lane_surface::invoke: return invoke_unmappable(lane);
    case lane_surface::responses: {
      // Asked for as a Responses prompt whichever it is; that form takes tools as they are.
      const auto refused = bedrock_openai_unmappable(endpoint_kind::responses, lane, mantle_);
      return endpoint == endpoint_kind::responses ? refused : refused | responses_form_unmappable;
    }
    default: return bedrock_openai_unmappable(endpoint, lane, mantle_);
  }
}

void bedrock_provider::decode_answer(std::string_view url, const call_result& call,
                                     const lane_config& lane, prompt_features asked,
                                     outcome& out) const {
  const std::string_view body = call.response.body;
  if (lane.surface == lane_surface::converse) {
    auto read = read_converse(body);
    read.answer.id = out.request_id;
    if (read.error && read.error->code != "malformed_model_output" &&
        read.error->code != "malformed_tool_use")
      read.error = aws_failure_inside(call.response, "output.message");
    take_foreign(std::move(read), call, lane, out);
  } else if (lane.surface == lane_surface::invoke) {
    take_embeddings(read_invoke_embedding(call.response), call, lane, asked, out);
    out.service_tier = one_line(call.response.header("x-amzn-bedrock-service-tier"), 32);
  } else if (lane.surface == lane_surface::responses && url != responses_url) {
    take_foreign(read_responses(body), call, lane, out);
  } else if (url == chat_url) {
    take_openai_answer(url, tidied_chat_answer(body, is_bedrock_gpt_oss(lane)), call, out);
  } else {
    take_openai_answer(url, body, call, out);
  }
}

void bedrock_provider::decode_error(const call_result& call, const lane_config&,
                                    outcome& out) const {
  auto error = read_aws_error(out.status, call.response);
  const bool daily = find_ignoring_case(error.report.message, "per day") != std::string_view::npos;
  out.body = std::move(error.line);
  set_error(std::move(error.report), call, out);
  if (daily && out.quota_signal && !out.retry_after) out.retry_after = until_tomorrow(call.done_at);
}

}  // namespace

std::unique_ptr<provider> make_bedrock(const pool_config& pool) {
  return std::make_unique<bedrock_provider>(pool);
}

}  // namespace spillway
