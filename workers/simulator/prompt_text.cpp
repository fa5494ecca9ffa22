#include "workers/simulator/prompt_text.hpp"

#include "workers/simulator/hash.hpp"

namespace spillway::simulated {
namespace {

namespace json = simdjson::ondemand;

constexpr std::int64_t tokens_per_message = 4;
constexpr std::int64_t tokens_per_image = 300;
constexpr int depth_max = 64;

bool holds_media(std::string_view key) {
  return key == "url" || key == "image_url" || key == "data" || key == "file_data" ||
         key == "bytes" || key == "fileUri";
}
bool is_label(std::string_view key) {
  return key == "type" || key == "role" || key == "id" || key == "mimeType" ||
         key == "media_type" || key == "format" || key == "thoughtSignature";
}

bool walk_object(json::value& value, int depth, text_sum& sum) {
  json::object object;
  if (value.get_object().get(object)) return false;
  if (depth == 1) sum.tokens += tokens_per_message;
  for (auto field : object) {
    std::string_view key;
    json::value inner;
    if (field.unescaped_key().get(key) || field.value().get(inner)) return false;
    if (!walk(inner, key, depth + 1, sum)) return false;
  }
  return true;
}

bool walk_array(json::value& value, std::string_view key, int depth, text_sum& sum) {
  json::array array;
  if (value.get_array().get(array)) return false;
  for (auto element : array) {
    json::value inner;
    if (element.get(inner) || !walk(inner, key, depth + 1, sum)) return false;
  }
  return true;
}

bool walk_string(json::value& value, std::string_view key, int depth, text_sum& sum) {
  std::string_view text;
  if (value.get_string().get(text)) return false;
  if (is_label(key)) {
    sum.hash = hash_bytes(text, sum.hash);
    if (depth == 2 && key == "role") sum.role(text);
  } else if (holds_media(key)) {
    sum.hash = hash_bytes(text, sum.hash);
    sum.tokens += tokens_per_image;
  } else {
    sum.text(text);
  }
  return true;
}

}  // namespace

void text_sum::text(std::string_view s) {
  bytes += static_cast<std::int64_t>(s.size());
  hash = hash_bytes(s, hash);
}

void text_sum::role(std::string_view name) {
  const std::uint64_t now = hash_bytes(name, 1);
  ends_with_user = name == "user";
  if (messages == 0) starts_with_user = ends_with_user;
  if (messages > 0 && now == last_role) alternates = false;
  if (name != "user") ++not_user;
  if (name != "assistant") ++not_assistant;
  if (name != "model") ++not_model;
  last_role = now;
  ++messages;
}

bool is_null(json::value& value) {
  bool null = false;
  return !value.is_null().get(null) && null;
}

bool walk(json::value value, std::string_view key, int depth, text_sum& sum) {
  json::json_type type;
  if (depth > depth_max || value.type().get(type)) return false;
  switch (type) {
    case json::json_type::object: return walk_object(value, depth, sum);
    case json::json_type::array: return walk_array(value, key, depth, sum);
    case json::json_type::string: return walk_string(value, key, depth, sum);
    case json::json_type::number: {
      double number = 0;
      if (value.get_double().get(number)) return false;
      sum.hash = mix(sum.hash, static_cast<std::uint64_t>(static_cast<std::int64_t>(number)));
      ++sum.tokens;
      return true;
    }
    case json::json_type::boolean: {
      bool ignored = false;
      return !value.get_bool().get(ignored);
    }
    case json::json_type::null: return is_null(value);
  }
  return false;
}

bool walk_inputs(json::value value, text_sum& sum, std::vector<embedded_text>& inputs) {
  json::json_type type;
  if (value.type().get(type)) return false;
  if (type != json::json_type::array) {
    if (!walk(value, "", 0, sum)) return false;
    inputs.push_back({sum.hash, sum.total()});
    return true;
  }
  json::array array;
  if (value.get_array().get(array)) return false;
  bool token_ids = false;
  for (auto element : array) {
    json::value inner;
    json::json_type inner_type;
    if (element.get(inner) || inner.type().get(inner_type)) return false;
    text_sum one;
    // An instance of :predict is an object; it costs no more than its text.
    if (!walk(inner, "", 2, one)) return false;
    sum.bytes += one.bytes;
    sum.tokens += one.tokens;
    sum.hash = mix(sum.hash, one.hash);
    if (inner_type == json::json_type::number)
      token_ids = true;
    else
      inputs.push_back({one.hash, one.total()});
  }
  if (token_ids) inputs.assign(1, {sum.hash, sum.total()});
  return true;
}

}  // namespace spillway::simulated
