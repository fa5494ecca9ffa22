#include "workers/providers/converse.hpp"
#include "workers/providers/json_each.hpp"

namespace spillway {

namespace {

using simdjson::dom::object;

/// Reasons that say how a turn ended; two more say that the model spoilt it.
std::string_view finish_reason(std::string_view stop) {
  if (stop == "max_tokens" || stop == "model_context_window_exceeded") return "length";
  if (stop == "tool_use") return "tool_calls";
  if (stop == "content_filtered" || stop == "guardrail_intervened") return "content_filter";
  return "stop";
}

void read_block(const object& block, std::string& text, chat_choice& choice) {
  if (value_at(block, "text")) {
    text += text_at(block, "text");
  } else if (const auto call = object_at(block, "toolUse")) {
    if (value_at(*call, "type")) return;  // the provider's own tool: it has run already
    const auto input = value_at(*call, "input");
    choice.tool_calls.push_back({std::string(text_at(*call, "toolUseId")),
                                 std::string(text_at(*call, "name")),
                                 input ? json_of(*input) : "{}"});
  } else if (const auto cited = object_at(block, "citationsContent")) {
    each_object(*cited, "content", [&](const object& part) { text += text_at(part, "text"); });
  }
}

void read_usage(const object& root, chat_answer& answer) {
  const auto usage = object_at(root, "usage");
  if (!usage || !count_at(*usage, "inputTokens")) return;
  const auto cached = count_of(count_at(*usage, "cacheReadInputTokens"));
  answer.usage.known = true;
  answer.usage.cached = cached;
  answer.usage.cache_write = count_of(count_at(*usage, "cacheWriteInputTokens"));
  answer.usage.input =
      count_of(count_at(*usage, "inputTokens")) + cached + answer.usage.cache_write;
  each_object(*usage, "cacheDetails", [&](const object& written) {
    if (text_at(written, "ttl") == "1h")
      answer.usage.cache_write_1h =
          std::min(answer.usage.cache_write, count_of(count_at(written, "inputTokens")));
  });
  answer.usage.output = count_of(count_at(*usage, "outputTokens"));
  const auto extra = object_at(root, "additionalModelResponseFields");
  const auto inner = extra ? object_at(*extra, "usage") : std::nullopt;
  const auto details = inner ? object_at(*inner, "output_tokens_details") : std::nullopt;
  if (details)
    answer.reasoning_tokens =
        std::min(count_at(*details, "thinking_tokens").value_or(0), answer.usage.output.count());
}

}  // namespace

foreign_answer read_converse(std::string_view body) {
  foreign_answer out;
  const parsed_json json = parse_json(body);
  object root;
  const bool is_object = json.ok && !json.root.get_object().get(root);
  const auto output = is_object ? object_at(root, "output") : std::nullopt;
  const auto message = output ? object_at(*output, "message") : std::nullopt;
  if (!message || !array_at(*message, "content")) {
    out.error = no_answer(body, "output.message");
    return out;
  }
  read_usage(root, out.answer);
  const std::string stop(text_at(root, "stopReason"));
  if (stop.starts_with("malformed_")) {
    out.error = failure_inside(stop, "the model's answer is broken: " + stop);
    return out;
  }
  chat_choice choice;
  std::string text;
  each_object(*message, "content", [&](const object& block) { read_block(block, text, choice); });
  if (!text.empty() || choice.tool_calls.empty()) choice.text = std::move(text);
  choice.finish_reason = finish_reason(stop);
  out.answer.choices.push_back(std::move(choice));
  if (const auto tier = object_at(root, "serviceTier"))
    if (const auto type = text_at(*tier, "type");
        type == "flex" || type == "priority" || type == "default")
      out.answer.service_tier = type;
  return out;
}

}  // namespace spillway
