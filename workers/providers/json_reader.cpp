#include "workers/providers/json_reader.hpp"

#include "schemas/result.hpp"
#include "workers/providers/text.hpp"

namespace spillway {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::size_t parser_bytes_min = 64u << 10;
constexpr std::size_t parser_bytes_kept_max = 4u << 20;

/// One parser a thread; it holds the strings of the last document it read.
simdjson::dom::parser& thread_parser() {
  thread_local simdjson::dom::parser parser;
  // One huge document must not pin a huge tape for the rest of the run.
  if (parser.capacity() > parser_bytes_kept_max) parser = simdjson::dom::parser();
  if (parser.capacity() == 0)
    ensure(parser.allocate(parser_bytes_min) == simdjson::SUCCESS, "memory for a JSON parser");
  return parser;
}

std::string padded_copy(std::string_view text) {
  std::string copy;
  copy.reserve(text.size() + simdjson::SIMDJSON_PADDING);  // the parser then reads it in place
  copy.assign(text);
  return copy;
}

}  // namespace

parsed_json parse_json(std::string_view body) {
  parsed_json out;
  out.text = padded_copy(trimmed(body));
  auto& parser = thread_parser();
  auto error = parser.parse(out.text).get(out.root);
  if (error == simdjson::UTF8_ERROR) {
    out.text = padded_copy(valid_utf8(out.text));
    error = parser.parse(out.text).get(out.root);
  }
  if (error == simdjson::STRING_ERROR) {
    out.text = padded_copy(pair_surrogates(out.text));
    error = parser.parse(out.text).get(out.root);
  }
  out.ok = error == simdjson::SUCCESS;
  return out;
}

std::string as_one_line(std::string json) {
  // Two searches for one byte each run at memory speed; find_first_of does not.
  const bool single = json.find('\n') == std::string::npos && json.find('\r') == std::string::npos;
  if (single) return json;
  std::string line(json.size() + simdjson::SIMDJSON_PADDING, '\0');
  std::size_t length = 0;
  if (simdjson::minify(json.data(), json.size(), line.data(), length)) return {};
  line.resize(length);
  line.shrink_to_fit();
  return line;
}

std::string json_of(element value) { return simdjson::minify(value); }

std::optional<std::int64_t> count_at(const object& in, std::string_view key) {
  std::int64_t value = 0;
  if (in.at_key(key).get_int64().get(value) || value < 0) return std::nullopt;
  return std::min(value, count_max);
}

std::string_view text_at(const object& in, std::string_view key) {
  std::string_view value;
  if (in.at_key(key).get_string().get(value)) return {};
  return value;
}

std::optional<element> value_at(const object& in, std::string_view key) {
  element value;
  if (in.at_key(key).get(value) || value.is_null()) return std::nullopt;
  return value;
}

std::optional<object> object_at(const object& in, std::string_view key) {
  object value;
  if (in.at_key(key).get_object().get(value)) return std::nullopt;
  return value;
}

std::optional<array> array_at(const object& in, std::string_view key) {
  array value;
  if (in.at_key(key).get_array().get(value)) return std::nullopt;
  return value;
}

bool is_vector(element value) {
  array numbers;
  if (value.get_array().get(numbers) || numbers.size() == 0) return false;
  for (const element number : numbers)
    if (!number.is_number()) return false;
  return true;
}

}  // namespace spillway
