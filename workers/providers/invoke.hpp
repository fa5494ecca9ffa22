// Embeddings through Bedrock's InvokeModel, whose bodies are each model's own.
#pragma once

#include "schemas/config.hpp"
#include "workers/http.hpp"
#include "workers/providers/embedding.hpp"
#include "workers/providers/foreign_answer.hpp"

#include <string>

namespace spillway {

/// Titan and Cohere embeddings. Others have forms this version does not know.
[[nodiscard]] bool is_invoke_embedding(const lane_config&);

[[nodiscard]] prompt_features invoke_unmappable(const lane_config&);

[[nodiscard]] std::string write_invoke_embedding(const embedding_request&, const lane_config&);

/// A 2xx response.
[[nodiscard]] foreign_embeddings read_invoke_embedding(const http_response&);

}  // namespace spillway
