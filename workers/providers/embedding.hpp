// An embedding prompt as data, for lanes that are asked in another form than the prompt's own.
#pragma once

#include "schemas/features.hpp"
#include "schemas/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

struct embedding_request {
  std::vector<std::string> texts;  ///< empty when the input is token ids
  std::optional<std::int64_t> dimensions;
  prompt_features features;
};

/// Reads the body of a /v1/embeddings prompt. Fails on what no lane could make sense of.
[[nodiscard]] result<embedding_request> read_embedding(std::string_view body);

}  // namespace spillway
