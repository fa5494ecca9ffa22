#include "workers/providers/enforceable_schema.hpp"

#include "workers/providers/json_writer.hpp"
#include "workers/providers/words.hpp"

#include <array>

namespace spillway {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::array<std::string_view, 6> shapes = {"title", "enum",     "const",
                                                    "$ref",  "required", "type"};
constexpr std::array<std::string_view, 3> maps_of_schemas = {"properties", "$defs", "definitions"};
constexpr std::array<std::string_view, 4> nested = {"items", "anyOf", "allOf", "oneOf"};
constexpr std::array<std::string_view, 10> formats = {
    "date-time", "time", "date", "duration", "email", "uri", "ipv4", "ipv6", "hostname", "uuid"};
constexpr std::array<std::string_view, 27> constraints = {"pattern",
                                                          "minLength",
                                                          "maxLength",
                                                          "minimum",
                                                          "maximum",
                                                          "exclusiveMinimum",
                                                          "exclusiveMaximum",
                                                          "multipleOf",
                                                          "minItems",
                                                          "maxItems",
                                                          "uniqueItems",
                                                          "contains",
                                                          "minContains",
                                                          "maxContains",
                                                          "prefixItems",
                                                          "additionalItems",
                                                          "unevaluatedItems",
                                                          "minProperties",
                                                          "maxProperties",
                                                          "patternProperties",
                                                          "propertyNames",
                                                          "dependentRequired",
                                                          "dependentSchemas",
                                                          "dependencies",
                                                          "if",
                                                          "not",
                                                          "$dynamicRef"};

enum class keyword {
  shape,
  schemas_by_name,
  schemas,     ///< one or a list
  constraint,  ///< can't be enforced
  remark,      ///< asks for nothing
};

keyword kind_of(std::string_view key, element value) {
  std::string_view word;
  std::int64_t count = 0;
  bool on = true;
  if (is_one_of(key, shapes)) return keyword::shape;
  if (is_one_of(key, maps_of_schemas) && value.is_object()) return keyword::schemas_by_name;
  if (is_one_of(key, nested)) return keyword::schemas;
  // Of the others, such as C#'s and OpenAPI's int32, nobody enforces any.
  if (key == "format")
    return !value.get_string().get(word) && is_one_of(word, formats) ? keyword::shape
                                                                     : keyword::remark;
  if (key == "minItems" && !value.get_int64().get(count) && count <= 1) return keyword::shape;
  if (key == "uniqueItems" && !value.get_bool().get(on) && !on) return keyword::remark;
  return is_one_of(key, constraints) ? keyword::constraint : keyword::remark;
}

/// Whether the keyword leaves room for properties that no schema names.
bool leaves_room(std::string_view key, element value) {
  bool allowed = true;
  if (key == "patternProperties") return true;
  if (key != "additionalProperties" && key != "unevaluatedProperties") return false;
  return value.get_bool().get(allowed) || allowed;
}

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

/// False when only a description can carry it.
bool write_keyword(std::string_view key, element value, json_writer& out) {
  object members;
  switch (kind_of(key, value)) {
    case keyword::shape: out.raw(key, json_of(value)); return true;
    case keyword::schemas_by_name:
      out.key(key);
      if (!value.get_object().get(members)) write_members(members, out);
      return true;
    case keyword::schemas:
      out.key(key == "oneOf" ? "anyOf" : key);
      write_schemas(value, out);
      return true;
    case keyword::constraint:
    case keyword::remark: break;
  }
  return false;
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

prompt_features schema_features(element schema) {
  prompt_features out;
  array list;
  object fields, members;
  if (!schema.get_array().get(list)) {
    for (const element item : list) out |= schema_features(item);
    return out;
  }
  if (schema.get_object().get(fields)) return out;
  for (const auto [key, value] : fields) {
    if (leaves_room(key, value)) out |= prompt_feature::open_schema;
    switch (kind_of(key, value)) {
      case keyword::shape:
      case keyword::remark: break;
      case keyword::schemas: out |= schema_features(value); break;
      case keyword::constraint: out |= prompt_feature::schema_constraints; break;
      case keyword::schemas_by_name:
        if (!value.get_object().get(members))
          for (const auto [name, member] : members) out |= schema_features(member);
        break;
    }
  }
  return out;
}

std::string enforceable_schema(std::string_view schema_json) {
  const parsed_json json = parse_json(schema_json);
  if (!json.ok || !json.root.is_object()) return "{}";
  std::string body;
  json_writer out(body);
  write_schema(json.root, out);
  return body;
}

}  // namespace spillway
