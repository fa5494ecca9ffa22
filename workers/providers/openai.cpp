// The three providers that speak the OpenAI wire form. They differ in their errors' rows and in how
// their limiters count tokens.
#include "workers/providers/body_rewrite.hpp"
#include "workers/providers/foreign_answer.hpp"
#include "workers/providers/responses_form.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

namespace spillway {

namespace {

/// The words of `service_tier`: a lane sells one tier, whatever a prompt would like.
std::string_view service_tier_of(lane_tier tier) {
  if (tier == lane_tier::flex) return R"("flex")";
  if (tier == lane_tier::priority) return R"("priority")";
  return {};
}

bool names(std::string_view body, std::string_view quoted_key) {
  return body.find(quoted_key) != std::string_view::npos;
}

/// "gpt-5.4-mini", "gpt-6-sol", "o3", "prod-gpt-5": models that refuse `max_tokens`.
bool is_reasoning_model(std::string_view name) {
  const auto digit_at = [&](std::size_t at) {
    return at < name.size() && std::isdigit(static_cast<unsigned char>(name[at])) != 0;
  };
  if (const auto gpt = name.find("gpt-"); gpt != name.npos && digit_at(gpt + 4))
    return name[gpt + 4] >= '5' || (digit_at(gpt + 5) && !name.substr(gpt).starts_with("gpt-35"));
  return name.size() >= 2 && name[0] == 'o' && digit_at(1);
}

/// A chat prompt for a lane that is asked by Responses.
bool is_translated(std::string_view url, const lane_config& lane) {
  return lane.surface == lane_surface::responses && url == url_of(endpoint_kind::chat_completions);
}

class openai_provider : public translating_adapter {
 public:
  explicit openai_provider(const pool_config& pool)
      : translating_adapter(pool), headers_(json_request_headers) {
    if (!pool.organization.empty())
      headers_ += "OpenAI-Organization: " + pool.organization + "\r\n";
    if (!pool.project_id.empty()) headers_ += "OpenAI-Project: " + pool.project_id + "\r\n";
  }

  [[nodiscard]] http_request encode(const prompt_view& prompt,
                                    const lane_config& lane) const override {
    http_request out;
    const bool translate = is_translated(prompt.url, lane);
    out.target = target_of(translate ? "/responses" : path_of(prompt.url), lane);
    out.headers = headers_;
    out.body = translate
                   ? write_responses(chat_of(prompt, lane), lane.as, prompt_feature::service_tier)
                   : body_with_model(prompt, lane.as);
    if (!translate) limit_answer(out.body, prompt, lane, limit_key());
    std::vector<member_change> changes;
    if (prompt.url == url_of(endpoint_kind::chat_completions) && !translate &&
        renames_limit(lane) && names(out.body, R"("max_tokens")"))
      changes.push_back({member_change::kind::rename, "max_tokens", "max_completion_tokens"});
    change_tier(out.body, prompt.url, lane, changes);
    if (!changes.empty()) out.body = rewrite_body(out.body, changes);
    return out;
  }
  [[nodiscard]] bool serves(endpoint_kind, const lane_config&) const override { return true; }
  [[nodiscard]] prompt_features unmappable(endpoint_kind endpoint,
                                           const lane_config& lane) const override {
    if (is_translated(url_of(endpoint), lane))
      return responses_form_unmappable | prompt_feature::service_tier;
    return sells_tiers() ? prompt_features(prompt_feature::service_tier) : prompt_features{};
  }
  /// OpenAI charges whichever is larger, at arrival.
  [[nodiscard]] tokens rate_charge(const token_charge_input& in) const override {
    return std::max(in.estimated_input, in.max_output);
  }

 protected:
  void decode_answer(std::string_view url, const call_result& call, const lane_config& lane,
                     prompt_features, outcome& out) const override {
    if (is_translated(url, lane))
      take_foreign(read_responses(call.response.body), call, lane, out);
    else
      take_openai_answer(url, call.response.body, call, out);
  }
  [[nodiscard]] virtual std::string target_of(std::string_view path, const lane_config&) const {
    return prefix() + std::string(path);
  }
  [[nodiscard]] virtual bool sells_tiers() const { return true; }
  /// What a chat answer is limited by.
  [[nodiscard]] virtual std::string_view limit_key() const { return "max_completion_tokens"; }
  /// Whether a chat's older limit goes out under the newer key: all of OpenAI's models take that,
  /// and some no other.
  [[nodiscard]] virtual bool renames_limit(const lane_config&) const { return true; }
  /// The word for the tier that nothing is added for; empty where leaving it out is enough.
  [[nodiscard]] virtual std::string_view standard_tier() const { return R"("default")"; }

 private:
  /// Says which tier is wanted. Where nobody does, OpenAI takes the project's setting, which may be
  /// a dearer one than the lane's.
  void change_tier(std::string& body, std::string_view url, const lane_config& lane,
                   std::vector<member_change>& changes) const {
    if (!sells_tiers()) return;
    auto tier = service_tier_of(lane.tier);
    const bool tiered =
        url == url_of(endpoint_kind::chat_completions) || url == url_of(endpoint_kind::responses);
    if (tier.empty() && tiered && lane.tier == lane_tier::standard) tier = standard_tier();
    if (!names(body, R"("service_tier")")) {
      if (!tier.empty()) add_member(body, "service_tier", tier);
    } else if (tier.empty()) {
      changes.push_back({member_change::kind::remove, "service_tier"});
    } else {
      changes.push_back({member_change::kind::set, "service_tier", tier});
    }
  }

  std::string headers_;
};

/// Azure reserves the whole allowed output at arrival.
class azure_openai_provider final : public openai_provider {
 public:
  explicit azure_openai_provider(const pool_config& pool)
      : openai_provider(pool), query_("?api-version=" + pool.api_version), dated_(prefix()) {
    for (const std::string_view part : {"/v1", "/openai"})
      if (dated_.ends_with(part)) dated_.resize(dated_.size() - part.size());
    dated_ += "/openai";
  }
  [[nodiscard]] tokens rate_charge(const token_charge_input& in) const override {
    return in.estimated_input + (in.max_output > tokens(0) ? in.max_output : in.expected_output);
  }

 protected:
  /// The dated form has the deployment in the path, except where the body names it: Responses.
  [[nodiscard]] std::string target_of(std::string_view path,
                                      const lane_config& lane) const override {
    if (lane.surface != lane_surface::dated) return openai_provider::target_of(path, lane);
    if (path == "/responses") return dated_ + std::string(path) + query_;
    return dated_ + "/deployments/" + percent_encoded(lane.as) + std::string(path) + query_;
  }
  /// Older deployments know the older key alone.
  [[nodiscard]] bool renames_limit(const lane_config& lane) const override {
    return is_reasoning_model(lane.model) || is_reasoning_model(lane.as);
  }
  /// Its older versions refuse the key.
  [[nodiscard]] std::string_view standard_tier() const override { return {}; }
  /// A limit below the deployment's own is Azure's trouble of the moment, not a quota used up.
  void decode_error(const call_result& call, const lane_config& lane, outcome& out) const override {
    openai_provider::decode_error(call, lane, out);
    const auto told = out.tokens_rate.limit;
    if (!out.quota_signal || !told || *told <= 0 || !lane.quota.tpm) return;
    if (tokens(*told) >= *lane.quota.tpm) return;
    out.quota_signal = false;
    out.unhealthy = true;
  }

 private:
  std::string query_, dated_;
};

/// A server of one's own counts nothing; a limit set for it means tokens it really works on.
class openai_compatible_provider final : public openai_provider {
 public:
  using openai_provider::openai_provider;
  [[nodiscard]] tokens rate_charge(const token_charge_input& in) const override {
    return in.estimated_input + in.expected_output;
  }

 protected:
  [[nodiscard]] bool sells_tiers() const override { return false; }
  [[nodiscard]] bool renames_limit(const lane_config&) const override { return false; }
  /// The older key is the one that all servers know.
  [[nodiscard]] std::string_view limit_key() const override { return "max_tokens"; }
};

}  // namespace

std::unique_ptr<provider> make_openai(const pool_config& pool) {
  if (pool.provider == provider_kind::azure_openai)
    return std::make_unique<azure_openai_provider>(pool);
  if (pool.provider == provider_kind::openai_compatible)
    return std::make_unique<openai_compatible_provider>(pool);
  return std::make_unique<openai_provider>(pool);
}

}  // namespace spillway
