// Answers in the OpenAI form, put together from what other forms say.
#pragma once

#include "schemas/outcome.hpp"
#include "workers/providers/chat.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

/// All texts are valid UTF-8; they are escaped here.
struct chat_choice {
  std::optional<std::string> text;  ///< absent: null, as where only tools are called
  std::string refusal;              ///< empty: none
  std::vector<chat_tool_call> tool_calls;
  std::string finish_reason = "stop";  ///< stop, length, tool_calls or content_filter
  std::string logprobs_json;           ///< empty: null
};

struct chat_answer {
  std::string id;  ///< see `answer_id`
  std::string model;
  std::int64_t created = 0;  ///< Unix seconds
  std::vector<chat_choice> choices;
  token_usage usage;  ///< left out when unknown
  std::int64_t reasoning_tokens = 0;
  std::string service_tier;  ///< as OpenAI names it: default, flex, priority; empty: left out
};

/// One line of JSON: a chat.completion as openai's types read it.
[[nodiscard]] std::string write_chat_answer(const chat_answer&);

struct embedding_answer {
  std::string model;
  std::vector<std::string> vectors_json;  ///< each a JSON array of numbers
  bool base64 = false;                    ///< to be written as base64 of little-endian float32
  token_usage usage;
};

/// One line of JSON: a list of embeddings.
[[nodiscard]] std::string write_embedding_answer(const embedding_answer&);

/// `prefix` and the provider's own id of the call, or a hash of the body where it gave none.
[[nodiscard]] std::string answer_id(std::string_view prefix, std::string_view request_id,
                                    std::string_view body);

/// Unix seconds.
[[nodiscard]] std::int64_t created_at(time_point);

/// Whether the text is a JSON object, as a tool's arguments have to be; `compact` then holds it
/// on one line.
[[nodiscard]] bool is_json_object(std::string_view text, std::string& compact);

}  // namespace spillway
