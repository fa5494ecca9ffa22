// Google Vertex: Gemini in its own form, other publishers in OpenAI's, embeddings by :predict.
#include "workers/providers/body_rewrite.hpp"
#include "workers/providers/foreign_answer.hpp"
#include "workers/providers/generate_content.hpp"
#include "workers/providers/google_error.hpp"
#include "workers/providers/openai_body.hpp"
#include "workers/providers/predict.hpp"
#include "workers/providers/responses_form.hpp"

#include <cctype>

namespace spillway {

namespace {

// What the OpenAI-compatible endpoint silently ignores, as documented.
constexpr prompt_features compatible_unmappable =
    prompt_feature::parallel_tool_calls | prompt_feature::image_detail |
    prompt_feature::logit_bias | prompt_feature::verbosity | prompt_feature::service_tier |
    prompt_feature::unknown_parameter;

std::string path_text(std::string_view text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  constexpr std::string_view plain = "-._~/@:";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && (std::isalnum(byte) != 0 || plain.find(c) != std::string_view::npos)) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

class vertex_provider final : public translating_adapter {
 public:
  explicit vertex_provider(const pool_config& pool)
      : translating_adapter(pool),
        root_(prefix() + "/v1/"),
        place_("projects/" + path_text(pool.project) + "/locations/" +
               path_text(pool.location.empty() ? "global" : pool.location)) {}

  [[nodiscard]] http_request encode(const prompt_view&, const lane_config&) const override;
  [[nodiscard]] bool serves(endpoint_kind, const lane_config&) const override;
  [[nodiscard]] prompt_features unmappable(endpoint_kind, const lane_config&) const override;
  /// Nothing is reserved: what is used counts.
  [[nodiscard]] tokens rate_charge(const token_charge_input& in) const override {
    return in.estimated_input + in.expected_output;
  }

 protected:
  void decode_answer(std::string_view url, const call_result&, const lane_config&,
                     prompt_features asked, outcome&) const override;
  void decode_error(const call_result&, const lane_config&, outcome&) const override;

 private:
  [[nodiscard]] std::string model_path(std::string_view model) const;

  std::string root_, place_;
};

/// "gemini-x", "google/gemini-x", "publishers/…", a tuned model's "endpoints/123", or a full name.
std::string vertex_provider::model_path(std::string_view model) const {
  const std::string name = path_text(model);
  if (model.starts_with("projects/")) return root_ + name;
  if (model.starts_with("publishers/") || model.starts_with("endpoints/"))
    return root_ + place_ + "/" + name;
  const auto slash = name.find('/');
  if (slash == std::string::npos) return root_ + place_ + "/publishers/google/models/" + name;
  return root_ + place_ + "/publishers/" + name.substr(0, slash) + "/models" + name.substr(slash);
}

http_request vertex_provider::encode(const prompt_view& prompt, const lane_config& lane) const {
  http_request out;
  out.headers = json_request_headers;
  if (lane.tier == lane_tier::flex)
    out.headers += "X-Vertex-AI-LLM-Shared-Request-Type: flex\r\n";
  else if (lane.tier == lane_tier::priority)
    out.headers += "X-Vertex-AI-LLM-Shared-Request-Type: priority\r\n";
  else if (lane.tier == lane_tier::provisioned)
    out.headers += "X-Vertex-AI-LLM-Request-Type: dedicated\r\n";
  switch (lane.surface) {
    case lane_surface::generate_content:
      out.target = model_path(lane.as) + ":generateContent";
      out.body = write_generate_content(chat_of(prompt, lane), lane);
      break;
    case lane_surface::predict:
      out.target = model_path(lane.as) + ":predict";
      out.body = write_predict(value_or_empty(read_embedding(prompt.body)));
      break;
    case lane_surface::responses:
      out.target = root_ + place_ + "/publishers/openai/v1/responses";
      out.body = prompt.url == url_of(endpoint_kind::responses)
                     ? body_without(prompt, lane.as, unmappable(endpoint_kind::responses, lane),
                                    {{member_change::kind::set, "store", "false"}})
                     : write_responses(chat_of(prompt, lane), lane.as,
                                       unmappable(endpoint_kind::chat_completions, lane));
      limit_answer(out.body, prompt, lane);
      break;
    default: {
      const bool published = lane.as.find('/') != std::string::npos;
      out.target = root_ + place_ + "/endpoints/openapi/chat/completions";
      out.body = body_without(prompt, published ? lane.as : "google/" + lane.as,
                              unmappable(endpoint_kind::chat_completions, lane));
      limit_answer(out.body, prompt, lane);
      break;
    }
  }
  return out;
}

bool vertex_provider::serves(endpoint_kind endpoint, const lane_config& lane) const {
  switch (lane.surface) {
    case lane_surface::predict: return endpoint == endpoint_kind::embeddings;
    case lane_surface::responses:
      return endpoint == endpoint_kind::chat_completions || endpoint == endpoint_kind::responses;
    default: return endpoint == endpoint_kind::chat_completions;
  }
}

prompt_features vertex_provider::unmappable(endpoint_kind endpoint, const lane_config& lane) const {
  switch (lane.surface) {
    case lane_surface::generate_content: return generate_content_unmappable(lane);
    case lane_surface::predict: return predict_unmappable(lane.as);
    case lane_surface::responses: {
      const auto refused =
          responses_form_unmappable | prompt_feature::image_url | prompt_feature::service_tier;
      // Keys of the form itself that this version does not know pass.
      return endpoint == endpoint_kind::responses
                 ? refused.without(prompt_feature::unknown_parameter)
                 : refused;
    }
    default: return compatible_unmappable;
  }
}

void vertex_provider::decode_answer(std::string_view url, const call_result& call,
                                    const lane_config& lane, prompt_features asked,
                                    outcome& out) const {
  const std::string_view body = call.response.body;
  if (lane.surface == lane_surface::generate_content)
    take_foreign(read_generate_content(body), call, lane, out);
  else if (lane.surface == lane_surface::predict)
    take_embeddings(read_predict(body), call, lane, asked, out);
  else if (lane.surface == lane_surface::responses && url != url_of(endpoint_kind::responses))
    take_foreign(read_responses(body), call, lane, out);
  else
    take_openai_answer(url, body, call, out);
}

void vertex_provider::decode_error(const call_result& call, const lane_config&,
                                   outcome& out) const {
  auto error = read_google_error(out.status, call.response.body);
  out.body = std::move(error.body.line);
  set_error(std::move(error.body.report), call, out);
  if (!out.retry_after) out.retry_after = error.retry_delay;
}

}  // namespace

std::unique_ptr<provider> make_vertex(const pool_config& pool) {
  return std::make_unique<vertex_provider>(pool);
}

}  // namespace spillway
