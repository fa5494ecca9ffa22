// Chat prompts in the form of Anthropic's Messages, and its answers as chat completions.
// Source: anthropic (types), LiteLLM's table of models.
#pragma once

#include "schemas/config.hpp"
#include "schemas/features.hpp"
#include "workers/providers/chat.hpp"
#include "workers/providers/foreign_answer.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace spillway {

/// What `model` takes, as far as its name tells; an unknown name is taken for the newest.
struct claude_traits {
  bool sampling = false;        ///< temperature or top_p
  bool one_heat = false;        ///< not both of them
  bool forced_tools = false;    ///< tool_choice "any" or one tool
  bool formats = false;         ///< output_config.format
  bool adaptive = false;        ///< thinks as it sees fit, steered by an effort
  bool budgets = false;         ///< thinks up to a number of tokens
  bool highest_effort = false;  ///< "xhigh"
};
[[nodiscard]] claude_traits claude_traits_of(std::string_view model);
/// An effort in Claude's words; empty: no thinking is asked for.
[[nodiscard]] std::string_view claude_effort(std::string_view effort, const claude_traits&);

/// What the form, or the model, has no place for.
[[nodiscard]] prompt_features messages_unmappable(const lane_config&);

/// The request body. What is unmappable is left out.
[[nodiscard]] std::string write_messages(const chat_request&, const lane_config&);

/// Reads the body of a 2xx response.
[[nodiscard]] foreign_answer read_messages(std::string_view body);

/// The tokens to think for with this effort, below the limit of the answer: as many as LiteLLM
/// gives.
[[nodiscard]] std::int64_t thinking_budget(std::string_view effort, std::int64_t max_tokens);

}  // namespace spillway
