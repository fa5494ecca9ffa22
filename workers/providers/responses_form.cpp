#include "workers/providers/responses_form.hpp"

#include "workers/providers/json_each.hpp"
#include "workers/providers/json_writer.hpp"
#include "workers/providers/openai_body.hpp"

#include <algorithm>

namespace spillway {

namespace {

using simdjson::dom::object;

constexpr std::int64_t output_tokens_min = 16;  // less is refused

bool is_text(const chat_part& part) {
  return part.what == chat_part::kind::text || part.what == chat_part::kind::refusal;
}

std::string joined_text(const chat_message& message) {
  std::string out;
  for (const chat_part& part : message.parts)
    if (is_text(part)) out += part.text;
  return out;
}

void write_input_part(const chat_part& part, json_writer& out) {
  const std::string_view detail = part.detail.empty() ? "auto" : std::string_view(part.detail);
  if (is_text(part)) {
    out.open('{').text("type", "input_text").text("text", part.text).close('}');
  } else if (part.what == chat_part::kind::image_data) {
    const std::string url = "data:" + part.media_type + ";base64," + part.data;
    out.open('{').text("type", "input_image").text("image_url", url);
    out.text("detail", detail).close('}');
  } else if (part.what == chat_part::kind::image_url) {
    out.open('{').text("type", "input_image").text("image_url", part.text);
    out.text("detail", detail).close('}');
  }
}

void write_message(const chat_message& message, json_writer& out) {
  const bool assistant = message.role == chat_role::assistant;
  const bool said = std::any_of(message.parts.begin(), message.parts.end(),
                                [](const chat_part& p) { return !is_text(p) || !p.text.empty(); });
  if (assistant && !said) return;  // it only called tools
  const std::string_view role = assistant                           ? "assistant"
                                : message.role == chat_role::system ? "system"
                                                                    : "user";
  out.open('{').text("type", "message").text("role", role).key("content").open('[');
  for (const chat_part& part : message.parts) {
    if (!assistant)
      write_input_part(part, out);
    else if (part.what == chat_part::kind::text)
      out.open('{').text("type", "output_text").text("text", part.text).close('}');
    else if (part.what == chat_part::kind::refusal)
      out.open('{').text("type", "refusal").text("refusal", part.text).close('}');
  }
  out.close(']').close('}');
}

void write_calls(const chat_message& message, json_writer& out) {
  for (const chat_tool_call& call : message.tool_calls) {
    out.open('{').text("type", "function_call").text("call_id", call.id);
    out.text("name", call.name).text("arguments", call.arguments).close('}');
  }
}

void write_result(const chat_message& message, json_writer& out) {
  out.open('{').text("type", "function_call_output").text("call_id", message.tool_call_id);
  const bool plain = std::all_of(message.parts.begin(), message.parts.end(), is_text);
  if (plain) {
    out.text("output", joined_text(message));
  } else {
    out.key("output").open('[');
    for (const chat_part& part : message.parts) write_input_part(part, out);
    out.close(']');
  }
  out.close('}');
}

/// The system messages at the beginning are the instructions, unless there is nothing else.
void write_messages(const chat_request& chat, json_writer& out) {
  auto rest = std::find_if(chat.messages.begin(), chat.messages.end(),
                           [](const chat_message& m) { return m.role != chat_role::system; });
  if (rest == chat.messages.end()) rest = chat.messages.begin();
  std::string instructions;
  for (auto message = chat.messages.begin(); message != rest; ++message) {
    if (!instructions.empty()) instructions += "\n\n";
    instructions += joined_text(*message);
  }
  if (!instructions.empty()) out.text("instructions", instructions);
  out.key("input").open('[');
  for (; rest != chat.messages.end(); ++rest) {
    if (rest->role == chat_role::tool) {
      write_result(*rest, out);
    } else {
      write_message(*rest, out);
      write_calls(*rest, out);
    }
  }
  out.close(']');
}

void write_tools(const chat_request& chat, json_writer& out) {
  if (!chat.tools.empty()) {
    out.key("tools").open('[');
    for (const chat_tool& tool : chat.tools) {
      out.open('{').text("type", "function").text("name", tool.name);
      if (!tool.description.empty()) out.text("description", tool.description);
      out.raw("parameters", tool.parameters_json);
      // Not said means no in chat, and yes in Responses.
      out.value("strict", tool.strict.value_or(false)).close('}');
    }
    out.close(']');
  }
  switch (chat.tool_choice) {
    case chat_tool_choice::unset: break;
    case chat_tool_choice::none: out.text("tool_choice", "none"); break;
    case chat_tool_choice::automatic: out.text("tool_choice", "auto"); break;
    case chat_tool_choice::required: out.text("tool_choice", "required"); break;
    case chat_tool_choice::named:
      out.key("tool_choice").open('{').text("type", "function");
      out.text("name", chat.tool_name).close('}');
      break;
  }
}

void write_format(const chat_request& chat, json_writer& out) {
  out.key("format").open('{');
  if (chat.format == chat_format::json_object) {
    out.text("type", "json_object");
  } else {
    out.text("type", "json_schema");
    out.text("name", chat.schema_name.empty() ? "response_schema" : chat.schema_name);
    if (!chat.schema_description.empty()) out.text("description", chat.schema_description);
    out.raw("schema", chat.schema_json.empty() ? "{}" : chat.schema_json);
    out.value("strict", chat.schema_strict.value_or(false));
  }
  out.close('}');
}

void write_text_settings(const chat_request& chat, prompt_features without, json_writer& out) {
  const bool format = chat.format != chat_format::text;
  const bool length = !chat.verbosity.empty() && !without.has(prompt_feature::verbosity);
  if (!format && !length) return;
  out.key("text").open('{');
  if (format) write_format(chat, out);
  if (length) out.text("verbosity", chat.verbosity);
  out.close('}');
}

void write_settings(const chat_request& chat, prompt_features without, json_writer& out) {
  if (chat.max_tokens)
    out.value("max_output_tokens", std::max(*chat.max_tokens, output_tokens_min));
  if (chat.temperature && !without.has(prompt_feature::temperature))
    out.value("temperature", *chat.temperature);
  if (chat.top_p && !without.has(prompt_feature::top_p)) out.value("top_p", *chat.top_p);
  if (chat.parallel_tool_calls && !without.has(prompt_feature::parallel_tool_calls))
    out.value("parallel_tool_calls", *chat.parallel_tool_calls);
  if (chat.logprobs && !without.has(prompt_feature::logprobs)) {
    out.key("include").open('[').text("message.output_text.logprobs").close(']');
    if (chat.top_logprobs) out.value("top_logprobs", *chat.top_logprobs);
  }
  if (!chat.reasoning_effort.empty() && !without.has(prompt_feature::reasoning_effort))
    out.key("reasoning").open('{').text("effort", chat.reasoning_effort).close('}');
  if (!chat.service_tier.empty() && !without.has(prompt_feature::service_tier))
    out.text("service_tier", chat.service_tier);
  if (!chat.user.empty()) out.text("user", chat.user);
}

void read_message(const object& item, chat_choice& choice, std::string& logprobs) {
  each_object(item, "content", [&](const object& part) {
    const auto type = text_at(part, "type");
    if (type == "refusal") choice.refusal += text_at(part, "refusal");
    if (type != "output_text") return;
    if (!choice.text) choice.text.emplace();
    *choice.text += text_at(part, "text");
    if (const auto list = array_at(part, "logprobs"))
      for (const simdjson::dom::element token : *list)
        logprobs += (logprobs.empty() ? "" : ",") + json_of(token);
  });
}

void read_items(const object& root, chat_choice& choice) {
  std::string logprobs;
  each_object(root, "output", [&](const object& item) {
    const auto type = text_at(item, "type");
    if (type == "message") read_message(item, choice, logprobs);
    if (type != "function_call") return;
    const auto id = text_at(item, "call_id");
    choice.tool_calls.push_back({std::string(id.empty() ? text_at(item, "id") : id),
                                 std::string(text_at(item, "name")),
                                 std::string(text_at(item, "arguments"))});
  });
  if (!logprobs.empty()) choice.logprobs_json = "{\"content\":[" + logprobs + "],\"refusal\":null}";
  if (!choice.text && choice.refusal.empty() && choice.tool_calls.empty()) choice.text.emplace();
}

}  // namespace

std::string write_responses(const chat_request& chat, std::string_view model,
                            prompt_features without) {
  std::string body;
  json_writer out(body);
  out.open('{').text("model", model);
  write_messages(chat, out);
  write_tools(chat, out);
  write_text_settings(chat, without, out);
  write_settings(chat, withheld(chat, without), out);
  out.value("store", false).close('}');
  return body;
}

foreign_answer read_responses(std::string_view body) {
  foreign_answer out;
  auto read = read_answer("/v1/responses", body);
  out.answer.usage = read.usage;
  out.error = std::move(read.error);
  if (out.error) return out;
  const parsed_json json = parse_json(read.line);
  object root;
  if (!json.ok || json.root.get_object().get(root)) {
    out.error = failure_inside("malformed_response", "the answer is not a JSON object");
    return out;
  }
  out.answer.id = text_at(root, "id");
  out.answer.model = text_at(root, "model");
  out.answer.service_tier = text_at(root, "service_tier");
  if (const auto usage = object_at(root, "usage"))
    if (const auto details = object_at(*usage, "output_tokens_details"))
      out.answer.reasoning_tokens = count_of(count_at(*details, "reasoning_tokens")).count();
  chat_choice choice;
  read_items(root, choice);
  if (!choice.tool_calls.empty()) choice.finish_reason = "tool_calls";
  if (text_at(root, "status") == "incomplete") {
    const auto details = object_at(root, "incomplete_details");
    const bool filter = details && text_at(*details, "reason") == "content_filter";
    choice.finish_reason = filter ? "content_filter" : "length";
  }
  out.answer.choices.push_back(std::move(choice));
  return out;
}

}  // namespace spillway
