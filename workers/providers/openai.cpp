// The three providers that speak the OpenAI wire form. They differ in their errors' rows and in how
// their limiters count tokens.
#include "workers/providers/adapter.hpp"

#include <algorithm>

namespace spillway {

namespace {

class openai_provider : public adapter {
 public:
  using adapter::adapter;

  [[nodiscard]] http_request encode(const prompt_view& prompt,
                                    const lane_config& lane) const override {
    http_request out;
    out.target = prefix() + std::string(path_of(prompt.url));
    out.headers = json_request_headers;
    out.body = body_with_model(prompt, lane.as);
    return out;
  }
  [[nodiscard]] bool serves(endpoint_kind, const lane_config&) const override { return true; }
  [[nodiscard]] prompt_features unmappable(endpoint_kind, const lane_config&) const override {
    return {};
  }
  /// OpenAI charges whichever is larger, at arrival.
  [[nodiscard]] tokens rate_charge(const token_charge_input& in) const override {
    return std::max(in.estimated_input, in.max_output);
  }

 protected:
  void decode_answer(std::string_view url, const call_result& call, const lane_config&,
                     outcome& out) const override {
    take_openai_answer(url, call.response.body, call, out);
  }
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

}  // namespace

std::unique_ptr<provider> make_openai(const pool_config& pool) {
  if (pool.provider == provider_kind::azure_openai)
    return std::make_unique<azure_openai_provider>(pool);
  if (pool.provider == provider_kind::openai_compatible)
    return std::make_unique<openai_compatible_provider>(pool);
  return std::make_unique<openai_provider>(pool);
}

}  // namespace spillway
