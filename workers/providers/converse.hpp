// Chat prompts in the form of Bedrock's Converse, and its answers. Source: botocore's service model
// of bedrock-runtime.
#pragma once

#include "schemas/config.hpp"
#include "workers/providers/chat.hpp"
#include "workers/providers/foreign_answer.hpp"

#include <string>
#include <string_view>

namespace spillway {

/// What Converse has no place for, or this model refuses.
[[nodiscard]] prompt_features converse_unmappable(const lane_config&);

/// The request body. What is unmappable is left out.
[[nodiscard]] std::string write_converse(const chat_request&, const lane_config&);

/// The body of a 2xx response. An answer the model spoilt is an error.
[[nodiscard]] foreign_answer read_converse(std::string_view body);

}  // namespace spillway
