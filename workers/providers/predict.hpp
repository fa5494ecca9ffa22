// Embedding prompts in the form of Vertex's :predict. Source: google-genai (models.py).
#pragma once

#include "schemas/features.hpp"
#include "workers/providers/chat_answer.hpp"
#include "workers/providers/embedding.hpp"
#include "workers/providers/errors.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace spillway {

[[nodiscard]] prompt_features predict_unmappable(std::string_view model);

[[nodiscard]] std::string write_predict(const embedding_request&);

struct predict_answer {
  embedding_answer answer;  ///< `model` is empty: the form has none
  std::optional<error_report> error;
};
[[nodiscard]] predict_answer read_predict(std::string_view body);

}  // namespace spillway
