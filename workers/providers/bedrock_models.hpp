// What the models on Bedrock take, by the beginnings of their ids. Facts: LiteLLM's price file and
// its Bedrock code (1.109.1), the Bedrock user guide.
#pragma once

#include "schemas/config.hpp"
#include "schemas/features.hpp"

#include <string>
#include <string_view>

namespace spillway {

/// How a model is told how hard to think, in Converse's additionalModelRequestFields.
enum class effort_form {
  none,       ///< it can't be told
  plain,      ///< {"reasoning_effort": x}
  reasoning,  ///< {"reasoning": {"effort": x}}
  nova,       ///< {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": x}}
  adaptive,   ///< {"thinking": {"type": "adaptive"}, "output_config": {"effort": x}}
  budget,     ///< {"thinking": {"type": "enabled", "budget_tokens": n}}
};

struct bedrock_model {
  std::string_view prefix;  ///< of the id without its geography
  prompt_features refuses;  ///< of what Converse itself can carry
  effort_form effort = effort_form::none;
  int output_burndown = 1;   ///< tokens of quota for one of output, once it is there
  int max_tokens_least = 1;  ///< smallest output limit it takes
};

/// "us.anthropic.claude-x" and ".../inference-profile/us.anthropic.claude-x" as
/// "anthropic.claude-x". An ARN that names no model, as of an application's own profile, comes back
/// as what follows its last slash.
[[nodiscard]] std::string_view base_model(std::string_view id);

/// By the pool's name for the model, else by the logical one. A model not known here is taken to
/// have tools and eyes: its own refusal is the better judge.
[[nodiscard]] const bedrock_model& bedrock_model_of(const lane_config&);

/// Claude from 4.5 on can be told to call one tool at a time (`disable_parallel_tool_use`).
[[nodiscard]] bool takes_single_calls(const bedrock_model&);

[[nodiscard]] bool is_bedrock_claude(const bedrock_model&);

/// Of those that can't be told how hard to think: they don't.
[[nodiscard]] bool thinks_only_if_told(const bedrock_model&);

/// GPT-5 and later, which refuse sampling parameters while they reason.
[[nodiscard]] bool is_bedrock_gpt(const lane_config&);
[[nodiscard]] bool is_bedrock_gpt_oss(const lane_config&);

}  // namespace spillway
