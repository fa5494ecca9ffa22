// A chat prompt as data, for lanes that are asked in another form than the prompt's own.
#pragma once

#include "schemas/config.hpp"
#include "schemas/features.hpp"
#include "schemas/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

/// All texts are unescaped; all `*_json` are raw JSON values as they stood in the body.

enum class chat_role { system, user, assistant, tool };  ///< developer counts as system

struct chat_part {
  enum class kind { text, refusal, image_data, image_url, other } what = kind::text;
  std::string text;         ///< of a text or a refusal; the url of a remote image
  std::string media_type;   ///< "image/png", of a data URL
  std::string data;         ///< base64 as given, of a data URL
  std::string detail = {};  ///< how closely to look at an image; empty: not said
};

struct chat_tool_call {
  std::string id, name;
  std::string arguments;  ///< the JSON text the model wrote; not always valid JSON
};

struct chat_message {
  chat_role role = chat_role::user;
  std::vector<chat_part> parts;
  std::vector<chat_tool_call> tool_calls;  ///< of an assistant
  std::string tool_call_id;                ///< of a tool's answer
  std::string name;
};

struct chat_tool {
  std::string name, description;
  std::string parameters_json;  ///< empty: none given
  std::optional<bool> strict;
};

enum class chat_tool_choice { unset, none, automatic, required, named };
enum class chat_format { text, json_object, json_schema };

/// Models that think up to a number of tokens take none below, and an answer has to be longer.
inline constexpr std::int64_t thinking_tokens_min = 1024;

/// What a lane of such a model can't map: thinking in answers as short as that, and any where its
/// own limit makes them so.
[[nodiscard]] prompt_features budget_unmappable(const lane_config&);

struct chat_request {
  std::vector<chat_message> messages;
  std::vector<chat_tool> tools;
  chat_tool_choice tool_choice = chat_tool_choice::unset;
  std::string tool_name;  ///< of a named choice
  std::optional<bool> parallel_tool_calls;
  std::optional<std::int64_t> max_tokens;  ///< max_completion_tokens before max_tokens
  std::optional<double> temperature, top_p, presence_penalty, frequency_penalty;
  std::vector<std::string> stop;
  std::optional<std::int64_t> seed;
  std::int64_t n = 1;
  bool logprobs = false;
  std::optional<std::int64_t> top_logprobs;
  std::string logit_bias_json;
  chat_format format = chat_format::text;
  std::string schema_name, schema_description, schema_json;
  std::optional<bool> schema_strict;
  std::string reasoning_effort;  ///< empty: not given
  std::string verbosity;         ///< empty: not given
  std::string service_tier, user;
  prompt_features features;
};

/// Reads the body of a /v1/chat/completions prompt. Fails on what no lane could make sense of.
[[nodiscard]] result<chat_request> read_chat(std::string_view body);

/// What a request has to leave out for a lane that can't map these features: those, what of a pair
/// has to go, and keys that say what goes without saying.
[[nodiscard]] prompt_features withheld(const chat_request&, prompt_features unmappable);

/// The stops that are left when these are.
[[nodiscard]] std::vector<std::string_view> stops_without(const chat_request&, prompt_features);

/// Whether there is nothing but instructions: where a form wants a question, they are asked as one.
[[nodiscard]] bool is_instructions_only(const chat_request&);

}  // namespace spillway
