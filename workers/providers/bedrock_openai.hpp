// Bedrock's OpenAI-compatible surfaces: what they refuse, and what has to be tidied both ways.
// Facts: LiteLLM's live tests against the runtime host.
#pragma once

#include "schemas/config.hpp"
#include "workers/provider.hpp"

#include <string>
#include <string_view>

namespace spillway {

/// `mantle`: of the Mantle host, else of the runtime's.
[[nodiscard]] prompt_features bedrock_openai_unmappable(endpoint_kind, const lane_config&,
                                                        bool mantle);

/// The prompt's body with the lane's model and tier, without what the lane refuses.
[[nodiscard]] std::string bedrock_openai_body(const prompt_view&, const lane_config&,
                                              prompt_features refused);

/// A chat answer without the reasoning that gpt-oss puts in front of its content, and with ids of
/// tool calls that differ between answers; unchanged when there is nothing of either.
[[nodiscard]] std::string tidied_chat_answer(std::string_view body, bool inline_reasoning);

}  // namespace spillway
