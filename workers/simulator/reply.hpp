// Complete HTTP responses in each provider's own form: status line, headers and body.
#pragma once

#include "workers/simulator/answers.hpp"
#include "workers/simulator/quota.hpp"

#include <string>
#include <string_view>

namespace spillway::simulated {

/// What every response of a call carries.
struct reply_context {
  const pool_spec& pool;
  std::uint64_t call = 0;  ///< unique in the simulator: request ids derive from it
  time_point now;
  rate_state rates;
  bool keep_alive = true;
  wire_form form = wire_form::openai;
};

/// An error before it takes a provider's form. Empty texts: the provider's usual ones for `status`.
struct error_reply {
  int status = 500;
  std::string_view code;
  std::string message;
  std::string_view type;
  std::string_view param;
  std::optional<duration> retry_after;
  std::string_view reason;  ///< Google: of the ErrorInfo in `details`
};

/// All append one response to `out`.
void append_answer(const reply_context&, const call_facts&, const answer_size&, std::string& out);
void append_error(const reply_context&, const error_reply&, std::string& out);
/// 429 for a call that a quota refused.
void append_refusal(const reply_context&, const call_facts&, const grant&, std::string& out);
void append_models(const reply_context&, std::string& out);
/// A response that belongs to no provider; `extra`: more header lines.
void append_plain(int status, std::string_view content_type, std::string_view body, bool keep_alive,
                  std::string& out, std::string_view extra = {});

/// The errors that the protocol itself calls for.
[[nodiscard]] error_reply bad_key_error(wire_form, bool key_given);
[[nodiscard]] error_reply missing_model_error(const reply_context&, std::string_view model);
[[nodiscard]] error_reply bad_call_error(const bad_call&);
[[nodiscard]] error_reply bad_path_error(wire_form, path_problem, std::string_view method,
                                         std::string_view path);

/// A Go duration as OpenAI writes it, rounded up to milliseconds: 20ms, 1s, 6m0s, 17h3m2.5s.
void append_go_duration(duration, std::string& out);

[[nodiscard]] std::string_view reason_phrase(int status);

}  // namespace spillway::simulated
