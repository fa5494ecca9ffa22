// Embedding prompts in the form of Vertex's :predict. Source: google-genai (models.py).
#pragma once

#include "schemas/features.hpp"
#include "workers/providers/embedding.hpp"
#include "workers/providers/foreign_answer.hpp"

#include <string>
#include <string_view>

namespace spillway {

[[nodiscard]] prompt_features predict_unmappable(std::string_view model);

[[nodiscard]] std::string write_predict(const embedding_request&);

/// The body of a 2xx response. It names no model.
[[nodiscard]] foreign_embeddings read_predict(std::string_view body);

}  // namespace spillway
