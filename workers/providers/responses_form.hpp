// Chat prompts as OpenAI Responses, for surfaces that serve a model only so, and the way back.
// Source: openai (types/responses).
#pragma once

#include "schemas/features.hpp"
#include "workers/providers/chat.hpp"
#include "workers/providers/foreign_answer.hpp"

#include <string>
#include <string_view>

namespace spillway {

/// What Responses have no place for. Surfaces take away more: see where it is used.
inline constexpr prompt_features responses_form_unmappable =
    prompt_feature::audio | prompt_feature::file_input | prompt_feature::seed |
    prompt_feature::choices | prompt_feature::stop | prompt_feature::penalties |
    prompt_feature::logit_bias | prompt_feature::unknown_parameter |
    prompt_feature::unknown_content;

/// The request body. Leaves out what is unmappable, and of the droppable features those in
/// `without`.
[[nodiscard]] std::string write_responses(const chat_request&, std::string_view model,
                                          prompt_features without);

/// Reads the body of a 2xx response.
[[nodiscard]] foreign_answer read_responses(std::string_view body);

}  // namespace spillway
