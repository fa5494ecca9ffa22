// Chat prompts in Google's generateContent form, and its answers as chat completions.
// Source: google-genai (types.py), Google's pages on thinking and thought signatures.
#pragma once

#include "schemas/config.hpp"
#include "schemas/features.hpp"
#include "workers/providers/chat.hpp"
#include "workers/providers/foreign_answer.hpp"

#include <string>
#include <string_view>

namespace spillway {

/// What `model` takes, as far as its name tells.
struct gemini_traits {
  bool thinking_levels = false;    ///< Gemini 3 and newer: levels; call ids and signatures required
  bool thinking_budgets = false;   ///< Gemini 2.5: a number of tokens
  bool minimal_level = false;      ///< knows a level below "low"
  bool can_stop_thinking = false;  ///< or does not think at all
  std::int64_t budget_min = 0;
  bool penalties = false;
  bool tools_and_json = false;  ///< in one request
};
[[nodiscard]] gemini_traits gemini_traits_of(std::string_view model);

/// What the form, or the model, has no place for.
[[nodiscard]] prompt_features generate_content_unmappable(const lane_config&);

/// The request body. What is unmappable is left out.
[[nodiscard]] std::string write_generate_content(const chat_request&, const lane_config&);

/// Reads the body of a 2xx response. Failures inside, and answers that a second attempt may better
/// (a malformed call), come back as errors with Google's reason as their code.
[[nodiscard]] foreign_answer read_generate_content(std::string_view body);

/// A call's id and the signature that came with the call: Gemini 3 has to get it back, and nothing
/// else of a tool call survives the OpenAI form.
struct signed_call_id {
  std::string_view id, signature;
};
[[nodiscard]] signed_call_id split_call_id(std::string_view);
[[nodiscard]] std::string join_call_id(std::string_view id, std::string_view signature);

}  // namespace spillway
