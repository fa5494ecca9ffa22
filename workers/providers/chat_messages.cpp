#include "workers/providers/chat_walk.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace spillway {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;
using enum prompt_feature;

namespace {

/// What comes before a data URL's comma, in small letters; empty for any other URL.
std::string data_url_head(std::string_view url) {
  constexpr std::size_t head_bytes_max = 256;
  std::string head(url.substr(0, std::min(url.find(','), head_bytes_max)));
  for (char& c : head) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return head.starts_with("data:") ? head : std::string();
}

/// Form and data of a base64 data URL.
struct data_url {
  std::string media_type;
  std::string_view data;
};

std::optional<data_url> read_data_url(std::string_view head, std::string_view url) {
  if (!head.ends_with(";base64") || head.size() >= url.size()) return std::nullopt;
  head.remove_prefix(head.find(':') + 1);
  data_url out{std::string(head.substr(0, head.find(';'))), url.substr(url.find(',') + 1)};
  if (out.media_type == "image/jpg") out.media_type = "image/jpeg";
  return out;
}

bool is_common_image(std::string_view type) {
  constexpr std::array<std::string_view, 4> types = {"image/png", "image/jpeg", "image/gif",
                                                     "image/webp"};
  return std::find(types.begin(), types.end(), type) != types.end();
}

}  // namespace

void chat_walk::messages(std::string_view key, element value) {
  array list;
  if (value.get_array().get(list) || list.size() == 0)
    return notes_.wrong(key, "a list of messages");
  if (keep_) out_.messages.reserve(list.size());
  for (const element item : list) message(item);
  if (assistant_spoke_) notes_.note(assistant_last, key);
}

void chat_walk::role_of(const object& fields, chat_message& to) {
  const auto role = text_at(fields, "role");
  if (role == "system" || role == "developer")
    to.role = chat_role::system;
  else if (role == "user")
    to.role = chat_role::user;
  else if (role == "assistant")
    to.role = chat_role::assistant;
  else if (role == "tool")
    to.role = chat_role::tool;
  else
    notes_.wrong("messages[].role", "system, developer, user, assistant or tool");
}

void chat_walk::message(element value) {
  object fields;
  if (value.get_object().get(fields)) return notes_.wrong("messages", "a list of objects");
  chat_message made;
  role_of(fields, made);
  const bool assistant = made.role == chat_role::assistant;
  if (made.role != chat_role::system) {
    if (assistant && !begun_) notes_.note(assistant_first, "messages");
    begun_ = true;
    assistant_spoke_ = assistant;
  }
  for (const auto [key, member] : fields) {
    if (member.is_null() || key == "role") continue;
    if (key == "content") {
      content(member, made);
    } else if (key == "name") {
      read_text("messages[].name", member, made.name);
      // A tool's name is known from the call it answers.
      if (made.role != chat_role::tool) notes_.note(unknown_parameter, "messages[].name");
    } else if (key == "tool_calls" && assistant) {
      tool_calls(member, made);
    } else if (key == "tool_call_id" && made.role == chat_role::tool) {
      read_text("messages[].tool_call_id", member, made.tool_call_id);
    } else if (key == "refusal" && assistant) {
      chat_part refused{chat_part::kind::refusal, {}, {}, {}};
      read_text("messages[].refusal", member, refused.text);
      made.parts.push_back(std::move(refused));
    } else if (key == "audio") {
      notes_.note(audio, "messages[].audio");
    } else if (key == "function_call") {
      notes_.note(unknown_content, "messages[].function_call");
    } else if (array list; key == "annotations" && !member.get_array().get(list)) {
      // Of an earlier answer; the provider never reads it.
    } else {
      unknown("messages[].", key, member);
    }
  }
  // An earlier turn's tools bind as much as this one's: a lane without any can't take them.
  if (made.role == chat_role::tool) notes_.note(tools, "messages[].role");
  if (made.role == chat_role::tool && text_at(fields, "tool_call_id").empty())
    notes_.wrong("messages[].tool_call_id", "the id of a call");
  if (keep_) out_.messages.push_back(std::move(made));
}

void chat_walk::content(element value, chat_message& to) {
  std::string_view text;
  array list;
  if (!value.get_string().get(text)) {
    to.parts.push_back({chat_part::kind::text, copy(text), {}, {}});
  } else if (!value.get_array().get(list)) {
    for (const element item : list) part(item, to);
  } else {
    notes_.wrong("messages[].content", "a string or a list of parts");
  }
}

void chat_walk::part(element value, chat_message& to) {
  object fields;
  if (value.get_object().get(fields))
    return notes_.wrong("messages[].content", "a list of objects");
  const auto type = text_at(fields, "type");
  std::string_view payload = type;
  if (type == "text" || type == "refusal") {
    chat_part made{type == "text" ? chat_part::kind::text : chat_part::kind::refusal, {}, {}, {}};
    std::string_view text;
    if (fields.at_key(type).get_string().get(text))
      notes_.wrong("messages[].content[]." + std::string(type), "a string");
    made.text = copy(text);
    to.parts.push_back(std::move(made));
  } else if (element inner; type == "image_url" && !fields.at_key(type).get(inner)) {
    image(inner, to);
  } else {
    payload = {};
    if (type == "input_audio")
      notes_.note(audio, "messages[].content[].input_audio");
    else if (type == "file")
      notes_.note(file_input, "messages[].content[].file");
    else
      notes_.note(unknown_content, "messages[].content[]");
    to.parts.push_back({chat_part::kind::other, {}, {}, {}});
  }
  if (payload.empty()) return;
  for (const auto [key, member] : fields)
    if (key != "type" && key != payload) unknown("messages[].content[].", key, member);
}

void chat_walk::image(element value, chat_message& to) {
  object fields;
  std::string_view url;
  if (value.get_object().get(fields) || fields.at_key("url").get_string().get(url))
    return notes_.wrong("messages[].content[].image_url", "an object with a url");
  std::string_view detail;
  for (const auto [key, member] : fields) {
    if (key == "url") continue;
    if (key != "detail" || member.get_string().get(detail))
      unknown("messages[].content[].image_url.", key, member);
  }
  if (!detail.empty() && detail != "auto")
    notes_.note(image_detail, "messages[].content[].image_url.detail");
  chat_part made;
  const auto head = data_url_head(url);
  if (const auto data = read_data_url(head, url)) {
    made = {chat_part::kind::image_data, {}, data->media_type, copy(data->data)};
    notes_.note(image_data, "messages[].content[].image_url");
    if (!is_common_image(data->media_type))
      notes_.note(unknown_content, "messages[].content[].image_url");
  } else {
    made = {chat_part::kind::image_url, copy(url), {}, {}};
    notes_.note(head.empty() ? image_url : unknown_content, "messages[].content[].image_url");
  }
  made.detail = copy(detail);
  to.parts.push_back(std::move(made));
}

void chat_walk::tool_calls(element value, chat_message& to) {
  array list;
  if (value.get_array().get(list)) return notes_.wrong("messages[].tool_calls", "a list");
  for (const element item : list) {
    object call, function;
    if (item.get_object().get(call)) {
      notes_.wrong("messages[].tool_calls", "a list of objects");
      continue;
    }
    if (call.at_key("function").get_object().get(function) || text_at(function, "name").empty() ||
        text_at(call, "id").empty()) {
      notes_.note(unknown_content, "messages[].tool_calls");
      continue;
    }
    notes_.note(tools, "messages[].tool_calls");
    to.tool_calls.push_back({copy(text_at(call, "id")), copy(text_at(function, "name")),
                             copy(text_at(function, "arguments"))});
    for (const auto [key, member] : call)
      if (key != "id" && key != "type" && key != "function" && key != "index")
        unknown("messages[].tool_calls[].", key, member);
    for (const auto [key, member] : function)
      if (key != "name" && key != "arguments")
        unknown("messages[].tool_calls[].function.", key, member);
  }
}

}  // namespace spillway
