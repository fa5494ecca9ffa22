#include "workers/input_bound.hpp"

#include "workers/providers/json_reader.hpp"
#include "workers/providers/words.hpp"

#include <array>

namespace spillway {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

/// Parts and items that stand for something longer than themselves. A file's pages are read as
/// images too, however few bytes they take.
constexpr std::array<std::string_view, 8> unbounded_types = {
    "file",  "input_file", "document",    "item_reference",
    "video", "video_url",  "input_video", "audio_url"};

/// The first such part at any depth; empty when there is none.
std::string part_of(std::string_view where, element value) {
  array list;
  object fields;
  if (!value.get_array().get(list)) {
    for (const element item : list)
      if (auto found = part_of(where, item); !found.empty()) return found;
  } else if (!value.get_object().get(fields)) {
    const auto type = text_at(fields, "type");
    if (is_one_of(type, unbounded_types)) return std::string(where) + "[]." + std::string(type);
    // A spoken answer of an earlier turn is named, not given.
    if (const auto audio = object_at(fields, "audio"); audio && !text_at(*audio, "id").empty())
      return std::string(where) + "[].audio.id";
    for (const auto [key, member] : fields)
      if (auto found = part_of(where, member); !found.empty()) return found;
  }
  return {};
}

/// The provider runs every tool that is not the caller's own.
std::string hosted_tool_of(element tools) {
  constexpr std::array<std::string_view, 2> own = {"function", "custom"};
  array list;
  if (tools.get_array().get(list)) return {};
  for (const element item : list) {
    object tool;
    if (item.get_object().get(tool)) continue;
    const auto type = text_at(tool, "type");
    if (!type.empty() && !is_one_of(type, own)) return "tools[]." + std::string(type);
  }
  return {};
}

}  // namespace

std::string unbounded_input(const prompt_view& prompt) {
  const bool chat = prompt.url == url_of(endpoint_kind::chat_completions);
  const bool responses = prompt.url == url_of(endpoint_kind::responses);
  if (!chat && !responses) return {};
  constexpr std::array<std::string_view, 3> stored = {"previous_response_id", "conversation",
                                                      "prompt"};
  constexpr std::array<std::string_view, 2> searched = {"web_search_options", "data_sources"};
  const parsed_json json = parse_json(prompt.body);
  object body;
  if (!json.ok || json.root.get_object().get(body)) return "body";
  for (const auto [name, value] : body) {
    const std::string_view key(name);
    if (value.is_null()) continue;
    if ((responses && is_one_of(key, stored)) || (chat && is_one_of(key, searched)))
      return std::string(key);
    std::string found;
    if (key == "tools")
      found = hosted_tool_of(value);
    else if (key == (chat ? "messages" : "input"))
      found = part_of(key, value);
    if (!found.empty()) return found;
  }
  return {};
}

}  // namespace spillway
