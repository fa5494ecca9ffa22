#include "workers/simulator/wishes.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <vector>

namespace spillway::simulated {
namespace {

namespace json = boost::json;

constexpr int depth_max = 16;

const json::value* member(const json::value& value, std::string_view key) {
  const auto* object = value.if_object();
  return object ? object->if_contains(key) : nullptr;
}

const json::value* member(const json::value& value, std::string_view a, std::string_view b) {
  const auto* inner = member(value, a);
  return inner ? member(*inner, b) : nullptr;
}

std::string text_of(const json::value* value) {
  if (!value || !value->is_string()) return {};
  return std::string(value->get_string());
}

json::value parsed(std::string_view text) {
  json::error_code ec;
  json::value value = json::parse(json::string_view(text.data(), text.size()), ec);
  return ec ? json::value() : value;
}

class sampler {
 public:
  sampler(const json::value& root, std::string_view marker) : root_(root), marker_(marker) {}

  json::value sample(const json::value& schema, int depth = 0) {
    if (depth > depth_max || !schema.is_object()) return "…";
    if (const auto* constant = member(schema, "const")) return *constant;
    if (const auto* choices = member(schema, "enum"); choices && choices->is_array())
      return choices->get_array().empty() ? json::value() : choices->get_array().front();
    if (const auto* target = referred(schema)) return sample(*target, depth + 1);
    for (const char* either : {"anyOf", "oneOf", "allOf"})
      if (const auto* list = member(schema, either); list && list->is_array())
        if (!list->get_array().empty()) return sample(list->get_array().front(), depth + 1);
    return typed(schema, type_of(schema), depth);
  }

 private:
  /// Lower case: generateContent may write types in capitals.
  static std::string type_of(const json::value& schema) {
    const auto* type = member(schema, "type");
    if (type && type->is_array() && !type->get_array().empty()) type = &type->get_array().front();
    std::string name = text_of(type);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (name.empty()) name = member(schema, "properties") ? "object" : "string";
    return name;
  }

  [[nodiscard]] const json::value* referred(const json::value& schema) const {
    const std::string path = text_of(member(schema, "$ref"));
    if (!path.starts_with('#')) return nullptr;
    json::error_code ec;
    return root_.find_pointer(path.substr(1), ec);
  }

  json::value typed(const json::value& schema, const std::string& type, int depth) {
    if (type == "object") return object(schema, depth);
    if (type == "array") {
      const auto* items = member(schema, "items");
      const auto* least = member(schema, "minItems");
      json::array out;
      const std::int64_t count = least && least->is_int64() ? least->get_int64() : 1;
      for (std::int64_t i = 0; items && i < std::min<std::int64_t>(count, 16); ++i)
        out.push_back(sample(*items, depth + 1));
      return out;
    }
    if (type == "integer" || type == "number") {
      const auto* least = member(schema, "minimum");
      return least && least->is_number() ? *least : json::value(7);
    }
    if (type == "boolean") return true;
    if (type == "null") return nullptr;
    std::string text = "a clear answer";
    if (!marker_.empty()) text = "[[re:" + std::string(marker_) + "]] " + text;
    marker_ = {};
    return json::value(text);
  }

  json::value object(const json::value& schema, int depth) {
    json::object out;
    const auto* properties = member(schema, "properties");
    if (!properties || !properties->is_object()) return out;
    const auto* required = member(schema, "required");
    for (const auto& [name, inner] : properties->get_object()) {
      const bool wanted = !required || !required->is_array() ||
                          std::find(required->get_array().begin(), required->get_array().end(),
                                    json::value(name)) != required->get_array().end();
      if (wanted) out[name] = sample(inner, depth + 1);
    }
    return out;
  }

  const json::value& root_;
  std::string_view marker_;
};

struct tool {
  std::string name;
  const json::value* schema = nullptr;
};

/// Whatever the form: a tool is an object with a name, its schema beside it.
void collect_tools(const json::value& value, std::vector<tool>& out) {
  if (const auto* list = value.if_array()) {
    for (const auto& element : *list) collect_tools(element, out);
    return;
  }
  for (const char* wrapper : {"function", "toolSpec", "functionDeclarations"})
    if (const auto* inner = member(value, wrapper); inner && !inner->is_string())
      return collect_tools(*inner, out);
  tool found{text_of(member(value, "name")), nullptr};
  for (const char* key :
       {"parameters", "parametersJsonSchema", "parameters_json_schema", "input_schema"})
    if (const auto* schema = member(value, key)) found.schema = schema;
  if (const auto* schema = member(value, "inputSchema", "json")) found.schema = schema;
  if (!found.name.empty()) out.push_back(std::move(found));
}

/// Whether a tool must be called, and which; an empty name leaves it open.
struct choice {
  bool forced = false;
  std::string name;
};

choice choice_of(const json::value& value, call_kind kind) {
  if (value.is_string()) {
    const std::string word = text_of(&value);
    return {word == "required" || word == "any", {}};
  }
  switch (kind) {
    case call_kind::converse:
      if (const auto* name = member(value, "tool", "name")) return {true, text_of(name)};
      return {member(value, "any") != nullptr, {}};
    case call_kind::generate_content: {
      const auto* config = member(value, "functionCallingConfig");
      if (!config || text_of(member(*config, "mode")) != "ANY") return {};
      const auto* names = member(*config, "allowedFunctionNames");
      if (!names || !names->is_array() || names->get_array().empty()) return {true, {}};
      return {true, text_of(&names->get_array().front())};
    }
    default: break;
  }
  const std::string type = text_of(member(value, "type"));
  if (type == "any") return {true, {}};
  if (type != "function" && type != "tool") return {};
  const auto* wrapped = member(value, "function", "name");
  return {true, text_of(wrapped ? wrapped : member(value, "name"))};
}

/// The schema inside what names the form of the answer; null = any object will do.
const json::value* schema_in(const json::value& format, json::value& own) {
  for (const char* outer : {"json_schema", "format"})
    if (const auto* inner = member(format, outer)) {
      const auto* schema = member(*inner, "schema");
      return schema ? schema : nullptr;
    }
  if (const auto* written = member(format, "structure", "jsonSchema")) {
    own = parsed(text_of(member(*written, "schema")));
    return own.is_object() ? &own : nullptr;
  }
  if (const auto* schema = member(format, "schema")) return schema;
  return text_of(member(format, "type")) == "json_object" ? nullptr : &format;
}

std::string sampled(const json::value* schema, std::string_view marker) {
  static const json::value any = {{"type", "object"},
                                  {"properties", {{"answer", {{"type", "string"}}}}}};
  const json::value& used = schema ? *schema : any;
  return json::serialize(sampler(used, marker).sample(used));
}

bool wants_json(const json::value& format) {
  const std::string type = text_of(member(format, "type"));
  const std::string inner = text_of(member(format, "format", "type"));
  const std::string said = inner.empty() ? type : inner;
  return said != "text";
}

}  // namespace

std::string sample_of_schema(std::string_view schema, std::string_view marker) {
  const json::value root = parsed(schema);
  return sampled(root.is_object() ? &root : nullptr, marker);
}

bool grant_wishes(const call_facts& call, const wishes& w, granted_wishes& out, bad_call& problem) {
  if (!w.tool_choice.empty()) {
    const choice wanted = choice_of(parsed(w.tool_choice), call.kind);
    if (wanted.forced) {
      const json::value list = parsed(w.tools);
      std::vector<tool> tools;
      collect_tools(list, tools);
      const auto found = std::find_if(tools.begin(), tools.end(), [&](const tool& t) {
        return wanted.name.empty() || t.name == wanted.name;
      });
      if (found == tools.end()) {
        problem = {"Tool choice '" + wanted.name + "' not found in 'tools' parameter.",
                   "tool_choice"};
        return false;
      }
      out.tool = found->name;
      out.arguments = found->schema ? sampled(found->schema, call.marker) : "{}";
      return true;
    }
  }
  if (w.format.empty() && !w.json) return true;
  const json::value format = parsed(w.format);
  if (!w.json && !wants_json(format)) return true;
  json::value own;
  out.json_text = sampled(w.format.empty() ? nullptr : schema_in(format, own), call.marker);
  return true;
}

}  // namespace spillway::simulated
