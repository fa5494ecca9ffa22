#include "workers/providers/anthropic_form.hpp"

#include "workers/providers/json_reader.hpp"
#include "workers/providers/json_writer.hpp"

#include <algorithm>
#include <array>

namespace spillway {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

template <std::size_t Size>
bool is_one_of(std::string_view word, const std::array<std::string_view, Size>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 6> plain_keys = {"title", "enum",     "const",
                                                        "$ref",  "required", "type"};
constexpr std::array<std::string_view, 3> maps_of_schemas = {"properties", "$defs", "definitions"};
constexpr std::array<std::string_view, 10> formats = {
    "date-time", "time", "date", "duration", "email", "uri", "ipv4", "ipv6", "hostname", "uuid"};

void write_schema(element schema, json_writer& out);

void write_schemas(element list, json_writer& out) {
  array items;
  if (list.get_array().get(items)) return write_schema(list, out);
  out.open('[');
  for (const element item : items) write_schema(item, out);
  out.close(']');
}

void write_members(const object& schemas, json_writer& out) {
  out.open('{');
  for (const auto [name, schema] : schemas) {
    out.key(name);
    write_schema(schema, out);
  }
  out.close('}');
}

/// False when the keyword is one that only a description can carry.
bool write_keyword(std::string_view key, element value, json_writer& out) {
  std::string_view word;
  std::int64_t count = 0;
  object members;
  if (is_one_of(key, plain_keys)) {
    out.raw(key, json_of(value));
  } else if (is_one_of(key, maps_of_schemas) && !value.get_object().get(members)) {
    out.key(key);
    write_members(members, out);
  } else if (key == "anyOf" || key == "allOf" || key == "oneOf" || key == "items") {
    out.key(key == "oneOf" ? "anyOf" : key);
    write_schemas(value, out);
  } else if (key == "format" && !value.get_string().get(word) && is_one_of(word, formats)) {
    out.text(key, word);
  } else if (key == "minItems" && !value.get_int64().get(count) && count <= 1) {
    out.value(key, count);
  } else {
    return false;
  }
  return true;
}

void write_schema(element schema, json_writer& out) {
  object fields;
  if (schema.get_object().get(fields)) {
    out.raw(json_of(schema));
    return;
  }
  std::string described(text_at(fields, "description")), notes;
  out.open('{');
  for (const auto [key, value] : fields) {
    bool closed = true;
    if (key == "description") continue;
    if (key == "additionalProperties" && !value.get_bool().get(closed) && !closed) continue;
    if (!write_keyword(key, value, out)) {
      if (!notes.empty()) notes += ", ";
      notes.append(std::string_view(key)).append(": ").append(json_of(value));
    }
  }
  if (text_at(fields, "type") == "object" || object_at(fields, "properties"))
    out.value("additionalProperties", false);
  if (!notes.empty()) described += (described.empty() ? "{" : "\n\n{") + notes + "}";
  if (!described.empty()) out.text("description", described);
  out.close('}');
}

}  // namespace

std::string enforceable_schema(std::string_view schema_json) {
  const parsed_json json = parse_json(schema_json);
  if (!json.ok) return "{}";
  std::string body;
  json_writer out(body);
  write_schema(json.root, out);
  return body;
}

}  // namespace spillway
