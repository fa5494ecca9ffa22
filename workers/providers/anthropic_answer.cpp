#include "workers/providers/anthropic_form.hpp"

#include "workers/providers/json_each.hpp"

#include <algorithm>

namespace spillway {

namespace {

using simdjson::dom::object;

token_usage read_usage(const object& root, chat_answer& answer) {
  token_usage out;
  const auto usage = object_at(root, "usage");
  if (!usage || !count_at(*usage, "input_tokens")) return out;
  out.known = true;
  out.cached = count_of(count_at(*usage, "cache_read_input_tokens"));
  out.cache_write = count_of(count_at(*usage, "cache_creation_input_tokens"));
  out.input = count_of(count_at(*usage, "input_tokens")) + out.cached + out.cache_write;
  if (const auto written = object_at(*usage, "cache_creation"))
    out.cache_write_1h =
        std::min(out.cache_write, count_of(count_at(*written, "ephemeral_1h_input_tokens")));
  out.output = count_of(count_at(*usage, "output_tokens"));
  if (const auto details = object_at(*usage, "output_tokens_details"))
    answer.reasoning_tokens = count_of(count_at(*details, "thinking_tokens")).count();
  const auto tier = text_at(*usage, "service_tier");
  if (tier == "standard") answer.service_tier = "default";
  if (tier == "priority") answer.service_tier = "priority";
  return out;
}

std::string_view finish_reason(std::string_view stop_reason, bool calls) {
  if (stop_reason == "max_tokens" || stop_reason == "model_context_window_exceeded")
    return "length";
  if (stop_reason == "pause_turn") return "length";  // unfinished, and there is no way to go on
  if (stop_reason == "refusal") return "content_filter";
  return calls ? "tool_calls" : "stop";
}

}  // namespace

foreign_answer read_messages(std::string_view body) {
  foreign_answer out;
  const parsed_json json = parse_json(body);
  object root;
  if (!json.ok || json.root.get_object().get(root) || !array_at(root, "content")) {
    out.error = no_answer(body, "content");
    return out;
  }
  out.answer.usage = read_usage(root, out.answer);
  out.answer.id = text_at(root, "id");
  out.answer.model = text_at(root, "model");
  chat_choice choice;
  std::string text;
  each_object(root, "content", [&](const object& block) {
    const auto type = text_at(block, "type");
    if (type == "text") text += text_at(block, "text");
    if (type != "tool_use") return;
    const auto input = value_at(block, "input");
    choice.tool_calls.push_back({std::string(text_at(block, "id")),
                                 std::string(text_at(block, "name")),
                                 input ? json_of(*input) : "{}"});
  });
  const auto reason = text_at(root, "stop_reason");
  choice.finish_reason = finish_reason(reason, !choice.tool_calls.empty());
  if (!text.empty() || choice.tool_calls.empty()) choice.text = std::move(text);
  if (const auto details = object_at(root, "stop_details"); details && reason == "refusal")
    choice.refusal = text_at(*details, "explanation");
  out.answer.choices.push_back(std::move(choice));
  return out;
}

}  // namespace spillway
