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

/// The top-level members; false when the text is no JSON object. `padded` outlives `out`.
bool read_members(const std::string& padded, std::size_t length, std::vector<member>& out) {
  thread_local ondemand::parser parser;
  ondemand::document doc;
  ondemand::object object;
  if (parser.iterate(padded.data(), length, padded.size()).get(doc) || doc.get_object().get(object))
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

void append_member(std::string_view key, std::string_view value, std::string& out) {
  if (out.size() > 1) out += ',';
  append_json_string(key, out);
  out += ':';
  out += value;
}

/// Puts a member in front; the object has none of that name.
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

}  // namespace

std::string rewrite_body(std::string_view body, std::span<const member_change> changes) {
  std::string padded(body.size() + simdjson::SIMDJSON_PADDING, '\0');
  std::copy(body.begin(), body.end(), padded.begin());
  std::vector<member> members;
  if (!read_members(padded, body.size(), members)) return std::string(body);
  const auto has = [&](std::string_view key) {
    return std::any_of(members.begin(), members.end(),
                       [&](const member& m) { return m.key == key; });
  };
  std::string out = "{";
  out.reserve(body.size() + 64);
  for (const auto& m : members) {
    const auto change = std::find_if(changes.begin(), changes.end(),
                                     [&](const member_change& c) { return c.key == m.key; });
    if (change == changes.end())
      append_member(m.key, m.value, out);
    else if (change->what == kind::rename && !has(change->text))
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
  for (const auto& key : dropped) more.push_back({kind::remove, key});
  return rewrite_body(prompt.body, more);
}

}  // namespace spillway
