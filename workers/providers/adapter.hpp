// What all adapters share: failed calls, request ids, rate readings, and the verdict on an error.
#pragma once

#include "workers/provider.hpp"
#include "workers/providers/errors.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace spillway {

/// Header lines of every request, before credentials.
inline constexpr std::string_view json_request_headers =
    "Content-Type: application/json\r\nAccept: application/json\r\n";

class adapter : public provider {
 public:
  explicit adapter(const pool_config&);

  [[nodiscard]] outcome decode(std::string_view url, const call_result&, const lane_config&,
                               prompt_features asked = {}) const final;

 protected:
  /// The response has a 2xx status. Sets kind, usage and body, or calls `set_error`.
  virtual void decode_answer(std::string_view url, const call_result&, const lane_config&,
                             prompt_features asked, outcome&) const = 0;
  /// Any other status. Reads the shapes of `read_error` unless a provider has one of its own.
  virtual void decode_error(const call_result&, const lane_config&, outcome&) const;

  /// The verdict of the error table, and everything an error row says.
  void set_error(error_report, const call_result&, outcome&) const;
  /// An answer that is one line of OpenAI-form JSON of `url` already.
  void take_openai_answer(std::string_view url, std::string_view body, const call_result&,
                          outcome&) const;

  [[nodiscard]] const std::string& prefix() const { return prefix_; }
  [[nodiscard]] error_source source() const { return source_; }

 private:
  error_source source_;
  std::string prefix_;
};

/// The path of a prompt's url without its "/v1".
[[nodiscard]] std::string_view path_of(std::string_view url);

/// The prompt's body with the lane's name for the model.
[[nodiscard]] std::string body_with_model(const prompt_view&, std::string_view model);

/// One for OpenAI, Azure OpenAI and servers that speak like them.
[[nodiscard]] std::unique_ptr<provider> make_openai(const pool_config&);
[[nodiscard]] std::unique_ptr<provider> make_bedrock(const pool_config&);
[[nodiscard]] std::unique_ptr<provider> make_vertex(const pool_config&);
[[nodiscard]] std::unique_ptr<provider> make_anthropic(const pool_config&);

}  // namespace spillway
