#include "workers/providers/body_rewrite.hpp"

#include "orchestrator/runtime/json_string.hpp"

#include <simdjson.h>

#include <algorithm>

namespace spillway {

namespace {

namespace ondemand = simdjson::ondemand;
using kind = member_change::kind;

struct member {
  std::string key;
  std::string_view value;  ///< raw
};

/// The members of an object; false when the text is none. Readable padding follows the text.
bool read_members(std::string_view json, std::vector<member>& out) {
  thread_local ondemand::parser parser;
  ondemand::document doc;
  ondemand::object object;
  if (parser.iterate(json.data(), json.size(), json.size() + simdjson::SIMDJSON_PADDING).get(doc) ||
      doc.get_object().get(object))
    return false;
  for (auto field : object) {
    std::string_view key, value;
    if (field.unescaped_key().get(key)) return false;
    std::string name(key);
    if (simdjson::to_json_string(field.value()).get(value)) return false;
    out.push_back({std::move(name), value});
  }
  return true;
}

/// The same for the items of a list.
bool read_items(std::string_view json, std::vector<std::string_view>& out) {
  thread_local ondemand::parser parser;
  ondemand::document doc;
  ondemand::array array;
  if (parser.iterate(json.data(), json.size(), json.size() + simdjson::SIMDJSON_PADDING).get(doc) ||
      doc.get_array().get(array))
    return false;
  for (auto item : array) {
    std::string_view value;
    if (simdjson::to_json_string(item).get(value)) return false;
    out.push_back(value);
  }
  return true;
}

std::string padded_copy(std::string_view text) {
  std::string out(text.size() + simdjson::SIMDJSON_PADDING, '\0');
  std::copy(text.begin(), text.end(), out.begin());
  return out;
}

void append_member(std::string_view key, std::string_view value, std::string& out) {
  if (out.size() > 1) out += ',';
  append_json_string(key, out);
  out += ':';
  out += value;
}

/// Whether an object's key says something there, although elsewhere it is an unknown one: the
/// payload of a part has the name of its type, and some keys of a message are its role's own.
bool belongs(const std::vector<member>& fields, std::string_view key) {
  const auto says = [&](std::string_view name, std::string_view word) {
    return std::any_of(fields.begin(), fields.end(), [&](const member& m) {
      return m.key == name && m.value == json_string(word);
    });
  };
  if (key == "name" || key == "tool_call_id") return says("role", "tool");
  if (key == "tool_calls" || key == "refusal") return says("role", "assistant");
  return says("type", key);
}

/// The value without what lies at the paths: ".a.b" in objects, "[]" for each item of a list.
/// All else stays, byte for byte. Readable padding follows the text.
std::string without(std::string_view json, const std::vector<std::string_view>& paths) {
  const auto next = [&](std::string_view step) {
    std::vector<std::string_view> out;
    for (auto path : paths) {
      if (!path.starts_with(step)) continue;
      path.remove_prefix(step.size());
      if (path.empty() || path.front() == '.' || path.front() == '[') out.push_back(path);
    }
    return out;
  };
  std::string out;
  if (json.starts_with('[')) {
    std::vector<std::string_view> items;
    const auto inner = next("[]");
    if (inner.empty() || !read_items(json, items)) return std::string(json);
    for (const auto item : items) out.append(out.empty() ? "[" : ",").append(without(item, inner));
    return out.empty() ? "[]" : out + ']';
  }
  std::vector<member> members;
  if (!json.starts_with('{') || !read_members(json, members)) return std::string(json);
  out = "{";
  for (const auto& m : members) {
    const auto inner = next('.' + m.key);
    const bool named = std::find(inner.begin(), inner.end(), "") != inner.end();
    if (named && !belongs(members, m.key)) continue;
    append_member(m.key, inner.empty() ? std::string(m.value) : without(m.value, inner), out);
  }
  return out += '}';
}

}  // namespace

void add_member(std::string& body, std::string_view key, std::string_view json) {
  const auto open = body.find('{');
  if (open == std::string::npos) return;
  const auto next = body.find_first_not_of(" \t\r\n", open + 1);
  std::string text;
  append_json_string(key, text);
  text.append(":").append(json);
  if (next != std::string::npos && body[next] != '}') text += ',';
  body.insert(open + 1, text);
}

std::string rewrite_body(std::string_view body, std::span<const member_change> changes) {
  const auto padded = padded_copy(body);
  std::vector<member> members;
  if (!read_members(std::string_view(padded).substr(0, body.size()), members))
    return std::string(body);
  const auto find = [&](std::string_view key) {
    return std::find_if(members.begin(), members.end(),
                        [&](const member& m) { return m.key == key; });
  };
  for (const auto& change : changes) {
    if (change.what != kind::rename) continue;
    const auto old_name = find(change.key), new_name = find(change.text);
    if (old_name == members.end() || new_name == members.end()) continue;
    members.erase(new_name->value == "null" ? new_name : old_name);
  }
  std::string out = "{";
  out.reserve(body.size() + 64);
  for (const auto& m : members) {
    const auto change = std::find_if(changes.begin(), changes.end(),
                                     [&](const member_change& c) { return c.key == m.key; });
    if (change == changes.end())
      append_member(m.key, m.value, out);
    else if (change->what == kind::rename)
      append_member(change->text, m.value, out);
  }
  for (const auto& change : changes)
    if (change.what == kind::set) append_member(change.key, change.text, out);
  return out += '}';
}

void limit_answer(std::string& body, const prompt_view& prompt, const lane_config& lane,
                  std::string_view chat_key) {
  if (prompt.limited || !lane.max_output_tokens) return;
  std::string_view key;
  if (prompt.url == url_of(endpoint_kind::chat_completions))
    key = chat_key;
  else if (prompt.url == url_of(endpoint_kind::responses))
    key = "max_output_tokens";
  else if (prompt.url == url_of(endpoint_kind::completions))
    key = "max_tokens";
  else
    return;
  const auto limit = std::to_string(lane.max_output_tokens->count());
  if (body.find(R"("max_)") == std::string::npos) return add_member(body, key, limit);
  const member_change set[] = {{kind::set, key, limit}};  // there may be one that says null
  body = rewrite_body(body, set);
}

std::string body_without(const prompt_view& prompt, std::string_view model, prompt_features refused,
                         std::vector<member_change> more) {
  const auto name = json_string(model);
  const auto dropped = parameters_of(prompt, refused & droppable_features);
  more.push_back({kind::set, "model", name});
  std::vector<std::string> nested;
  for (const auto& key : dropped) {
    more.push_back({kind::remove, key});
    if (key.find('.') != std::string::npos) nested.push_back('.' + key);
  }
  if (nested.empty()) return rewrite_body(prompt.body, more);
  const auto padded = padded_copy(prompt.body);
  return rewrite_body(without(std::string_view(padded).substr(0, prompt.body.size()),
                              {nested.begin(), nested.end()}),
                      more);
}

}  // namespace spillway
