// What of a JSON schema can be enforced while an answer is made, as on Anthropic and Bedrock: types
// and shapes. Source: anthropic (lib/_parse/_transform.py), the pages of both on structured
// outputs.
#pragma once

#include "schemas/features.hpp"
#include "workers/providers/json_reader.hpp"

#include <string>
#include <string_view>

namespace spillway {

/// `open_schema` and `schema_constraints`, as far as they apply.
[[nodiscard]] prompt_features schema_features(simdjson::dom::element schema);

/// The schema with only what can be enforced, and every object closed; the rest goes into
/// descriptions, as Anthropic's own client does it. What is no JSON becomes {}.
[[nodiscard]] std::string enforceable_schema(std::string_view schema_json);

}  // namespace spillway
