#include "workers/simulator/body_pass.hpp"

#include "workers/simulator/hash.hpp"

#include <algorithm>
#include <array>

namespace spillway::simulated {
namespace {

namespace json = simdjson::ondemand;

constexpr std::int64_t output_tokens_max = 1'000'000;
constexpr const char* not_json =
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
    "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was "
    "not valid JSON.)";

// What the APIs that refuse unknown fields know, beyond what is read here.
constexpr std::array gemini_fields{"safetySettings", "labels",      "cachedContent",
                                   "model",          "serviceTier", "modelArmorConfig"};
constexpr std::array generation_fields{"temperature",
                                       "topP",
                                       "topK",
                                       "seed",
                                       "stopSequences",
                                       "responseLogprobs",
                                       "logprobs",
                                       "presencePenalty",
                                       "frequencyPenalty",
                                       "thinkingConfig",
                                       "responseModalities",
                                       "audioTimestamp",
                                       "mediaResolution",
                                       "speechConfig",
                                       "routingConfig",
                                       "modelConfig"};
constexpr std::array converse_fields{"additionalModelRequestFields",
                                     "additionalModelResponseFieldPaths",
                                     "guardrailConfig",
                                     "performanceConfig",
                                     "promptVariables",
                                     "requestMetadata",
                                     "serviceTier",
                                     "modelId"};
constexpr std::string_view no_prefill =
    "This model does not support assistant message prefill. The conversation must end with a user "
    "message.";
constexpr std::array inference_fields{"temperature", "topP", "stopSequences"};
constexpr std::array messages_fields{"model",
                                     "stop_sequences",
                                     "temperature",
                                     "top_p",
                                     "top_k",
                                     "thinking",
                                     "metadata",
                                     "service_tier",
                                     "container",
                                     "mcp_servers",
                                     "anthropic_version",
                                     "anthropic_beta",
                                     "context_management",
                                     "cache_control",
                                     "inference_geo"};

template <std::size_t N>
bool among(std::string_view key, const std::array<const char*, N>& known) {
  return std::find(known.begin(), known.end(), key) != known.end();
}

bool read_count(json::value value, std::int64_t& out) {
  if (is_null(value)) return true;
  std::int64_t n = 0;
  if (value.get_int64().get(n) || n < 0) return false;
  out = std::min(n, output_tokens_max);
  return true;
}

std::string_view text_key(call_kind kind) {
  switch (kind) {
    case call_kind::chat:
    case call_kind::converse:
    case call_kind::messages: return "messages";
    case call_kind::responses:
    case call_kind::embeddings: return "input";
    case call_kind::completions: return "prompt";
    case call_kind::titan: return "inputText";
    case call_kind::generate_content: return "contents";
    case call_kind::predict: return "instances";
  }
  return "messages";
}

/// Whether the key of an OpenAI form limits its answers; another form's key is read over.
bool limits(call_kind kind, std::string_view key) {
  if (kind == call_kind::responses) return key == "max_output_tokens";
  if (kind == call_kind::embeddings) return false;
  return key == "max_tokens" || (key == "max_completion_tokens" && kind == call_kind::chat);
}

}  // namespace

bool body_pass::fail(std::string param, std::string message) {
  problem_ = {std::move(message), std::move(param)};
  return false;
}

bool body_pass::invalid(std::string_view key) {
  return fail(std::string(key), "Invalid value for '" + std::string(key) + "'.");
}

bool body_pass::unknown(std::string_view key) {
  const std::string name(key);
  if (facts_.kind == call_kind::messages)
    return fail(name, name + ": Extra inputs are not permitted");
  if (facts_.kind == call_kind::generate_content)
    return fail(name,
                "Invalid JSON payload received. Unknown name \"" + name + "\": Cannot find field.");
  return fail(name, "Malformed input request: #: extraneous key [" + name +
                        "] is not permitted, please reformat your input and try again.");
}

bool body_pass::run(json::document& document, std::string_view path_model) {
  problem_ = {not_json, ""};
  json::object object;
  if (document.get_object().get(object)) return false;
  for (auto field : object) {
    std::string_view key;
    json::value value;
    if (field.unescaped_key().get(key) || field.value().get(value)) return false;
    if (!take(key, value)) return false;
  }
  if (!path_model.empty()) facts_.model = path_model;
  return check();
}

bool body_pass::keep(json::value& value, std::string_view& out) {
  json::json_type type;
  if (value.type().get(type)) return false;
  switch (type) {
    case json::json_type::object: {
      json::object object;
      return !value.get_object().get(object) && !object.raw_json().get(out);
    }
    case json::json_type::array: {
      json::array array;
      return !value.get_array().get(array) && !array.raw_json().get(out);
    }
    case json::json_type::null: return is_null(value);
    default: {
      out = value.raw_json_token();
      std::string_view checked;
      return !value.get_string().get(checked);
    }
  }
}

template <class Take>
bool body_pass::each(json::value& value, Take take_field) {
  json::object object;
  if (value.get_object().get(object)) return false;
  for (auto field : object) {
    std::string_view key;
    json::value inner;
    if (field.unescaped_key().get(key) || field.value().get(inner)) return false;
    if (!take_field(key, inner)) return false;
  }
  return true;
}

bool body_pass::take(std::string_view key, json::value& value) {
  if (key == text_key(facts_.kind)) return take_prompt(key, value);
  switch (facts_.kind) {
    case call_kind::chat:
    case call_kind::responses:
    case call_kind::embeddings:
    case call_kind::completions: return take_openai(key, value);
    case call_kind::converse: return take_converse(key, value);
    case call_kind::titan: return take_titan(key, value);
    case call_kind::generate_content: return take_gemini(key, value);
    case call_kind::predict: return take_predict(key, value);
    case call_kind::messages: return take_messages(key, value);
  }
  return true;
}

bool body_pass::take_prompt(std::string_view key, json::value& value) {
  has_text_ = true;
  const bool listed = embeds(facts_.kind) || facts_.kind == call_kind::completions;
  const bool read = listed ? walk_inputs(value, sum_, texts_) : walk(value, "", 0, sum_);
  return read || invalid(key);
}

bool body_pass::take_system(std::string_view key, json::value& value) {
  // A text, a list of parts, or one object; it costs as much as one message.
  system_.tokens += 4;
  return walk(value, "", 2, system_) || invalid(key);
}

bool body_pass::take_limit(std::string_view key, json::value& value) {
  return read_count(value, facts_.max_output) || invalid(key);
}

bool body_pass::take_openai(std::string_view key, json::value& value) {
  if (key == "model") return !value.get_string().get(facts_.model) || invalid(key);
  if (key == "instructions") return walk(value, "", 0, sum_) || invalid(key);
  if (limits(facts_.kind, key)) return take_limit(key, value);
  if (key == "n") return read_count(value, facts_.choices) || invalid(key);
  if (key == "dimensions") return read_count(value, facts_.dimensions) || invalid(key);
  if (key == "stream") return take_stream(value);
  if (key == "tools") return keep(value, wished_.tools) || invalid(key);
  if (key == "tool_choice") return keep(value, wished_.tool_choice) || invalid(key);
  if (key == "response_format") return keep(value, wished_.format) || invalid(key);
  if (key == "text" && facts_.kind == call_kind::responses)
    return each(value,
                [this](std::string_view inner, json::value& v) {
                  return inner != "format" || keep(v, wished_.format);
                }) ||
           invalid(key);
  if (key == "service_tier")
    return is_null(value) || !value.get_string().get(facts_.service_tier) || invalid(key);
  if (key != "encoding_format") return true;  // skipped by the iteration
  std::string_view format;
  if (value.get_string().get(format)) return invalid(key);
  facts_.base64 = format == "base64";
  return facts_.base64 || format == "float" || invalid(key);
}

bool body_pass::take_stream(json::value& value) {
  if (is_null(value)) return true;
  bool stream = false;
  if (value.get_bool().get(stream)) return invalid("stream");
  return !stream || fail("stream", "The simulator does not stream; send stream: false.");
}

bool body_pass::take_converse(std::string_view key, json::value& value) {
  if (key == "system") return take_system(key, value);
  if (key == "inferenceConfig")
    return each(value, [this](std::string_view inner, json::value& v) {
      if (inner == "maxTokens") return take_limit(inner, v);
      return among(inner, inference_fields) || unknown(inner);
    });
  if (key == "toolConfig")
    return each(value, [this](std::string_view inner, json::value& v) {
      if (inner == "tools") return keep(v, wished_.tools);
      if (inner == "toolChoice") return keep(v, wished_.tool_choice);
      return unknown(inner);
    });
  if (key == "outputConfig")
    return each(value, [this](std::string_view inner, json::value& v) {
      if (inner == "textFormat") return keep(v, wished_.format);
      return inner == "effort" || unknown(inner);
    });
  return among(key, converse_fields) || unknown(key);
}

bool body_pass::take_titan(std::string_view key, json::value& value) {
  if (key == "dimensions") {
    if (!read_count(value, facts_.dimensions)) return invalid(key);
    const auto n = facts_.dimensions;
    return n == 256 || n == 512 || n == 1024 ||
           fail("dimensions", "Malformed input request: #/dimensions: " + std::to_string(n) +
                                  " is not a valid enum value, please reformat your input and "
                                  "try again.");
  }
  return key == "normalize" || key == "embeddingTypes" || unknown(key);
}

bool body_pass::take_generation(json::value& value) {
  return each(value, [this](std::string_view inner, json::value& v) {
    if (inner == "maxOutputTokens") return take_limit(inner, v);
    if (inner == "candidateCount") return read_count(v, facts_.choices) || invalid(inner);
    if (inner == "responseJsonSchema" || inner == "responseSchema") return keep(v, wished_.format);
    if (inner == "responseMimeType") {
      std::string_view type;
      if (v.get_string().get(type)) return invalid(inner);
      wished_.json = type == "application/json";
      return true;
    }
    return among(inner, generation_fields) || unknown("generation_config." + std::string(inner));
  });
}

bool body_pass::take_gemini(std::string_view key, json::value& value) {
  if (key == "systemInstruction") return take_system(key, value);
  if (key == "generationConfig") return take_generation(value);
  if (key == "tools") return keep(value, wished_.tools) || invalid(key);
  if (key == "toolConfig") return keep(value, wished_.tool_choice) || invalid(key);
  return among(key, gemini_fields) || unknown(key);
}

bool body_pass::take_predict(std::string_view key, json::value& value) {
  if (key != "parameters") return unknown(key);
  return each(value, [this](std::string_view inner, json::value& v) {
    if (inner == "outputDimensionality") return read_count(v, facts_.dimensions) || invalid(inner);
    return inner == "autoTruncate" || unknown(inner);
  });
}

bool body_pass::take_messages(std::string_view key, json::value& value) {
  if (key == "system") return take_system(key, value);
  if (key == "model") return !value.get_string().get(facts_.model) || invalid(key);
  if (key == "max_tokens") return take_limit(key, value);
  if (key == "stream") return take_stream(value);
  if (key == "tools") return keep(value, wished_.tools) || invalid(key);
  if (key == "tool_choice") return keep(value, wished_.tool_choice) || invalid(key);
  if (key == "output_format") return keep(value, wished_.format) || invalid(key);
  if (key == "output_config")
    return each(value, [this](std::string_view inner, json::value& v) {
      if (inner == "format") return keep(v, wished_.format);
      return inner == "effort" || unknown("output_config." + std::string(inner));
    });
  return among(key, messages_fields) || unknown(key);
}

bool body_pass::check() {
  if (facts_.model.empty()) return fail("model", "you must provide a model parameter");
  const std::string text(text_key(facts_.kind));
  if (!has_text_) return fail(text, "Missing required parameter: '" + text + "'.");
  if (facts_.choices < 1 || facts_.choices > 128) return invalid("n");
  if (!check_native()) return false;
  facts_.input_tokens = std::max<std::int64_t>(
      1, (sum_.bytes + system_.bytes + 3) / 4 + sum_.tokens + system_.tokens);
  const std::uint64_t hash = system_.hash == 0 ? sum_.hash : mix(system_.hash, sum_.hash);
  facts_.id = facts_.marker.empty() ? hash : hash_bytes(facts_.marker);
  return true;
}

bool body_pass::check_native() {
  switch (facts_.kind) {
    case call_kind::converse:
      if (sum_.messages == 0 || !sum_.starts_with_user)
        return fail("messages",
                    "A conversation must start with a user message. Try again with a conversation "
                    "that starts with a user message.");
      if (!sum_.speaks_with_assistant()) return invalid("messages");
      if (!sum_.alternates)
        return fail("messages",
                    "messages: roles must alternate between \"user\" and \"assistant\", but found "
                    "the same role twice in a row");
      return sum_.ends_with_user || fail("messages", std::string(no_prefill));
    case call_kind::generate_content:
      if (sum_.messages == 0)
        return fail("contents",
                    "Unable to submit request because at least one contents field is required. "
                    "Learn more: https://cloud.google.com/vertex-ai/generative-ai/docs/");
      if (!sum_.speaks_with_model())
        return fail("contents", "Please use a valid role: user, model.");
      return sum_.ends_with_user ||
             fail("contents", "Please ensure that the last content has the role user.");
    case call_kind::messages:
      if (facts_.max_output == 0) return fail("max_tokens", "max_tokens: Field required");
      if (sum_.messages == 0) return fail("messages", "messages: at least one message is required");
      if (!sum_.speaks_with_assistant())
        return fail("messages",
                    "messages: Unexpected role \"system\". The Messages API accepts a top-level "
                    "`system` parameter, not \"system\" as an input message role.");
      return sum_.ends_with_user || fail("messages", std::string(no_prefill));
    case call_kind::titan:
    case call_kind::predict:
      return !texts_.empty() || fail(std::string(text_key(facts_.kind)), "Missing input.");
    default: return true;
  }
}

}  // namespace spillway::simulated
