#include "workers/providers/generate_content.hpp"

#include "workers/providers/json_each.hpp"
#include "workers/providers/json_writer.hpp"
#include "workers/providers/words.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace spillway {

namespace {

using simdjson::dom::object;

constexpr std::array<std::string_view, 12> filtered = {
    "SAFETY",       "RECITATION",  "LANGUAGE",
    "BLOCKLIST",    "SPII",        "PROHIBITED_CONTENT",
    "IMAGE_SAFETY", "MODEL_ARMOR", "IMAGE_PROHIBITED_CONTENT",
    "ESCALATION",   "JAILBREAK",   "IMAGE_RECITATION"};

/// The model slipped: the next attempt may not.
constexpr std::array<std::string_view, 6> slipped = {
    "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE",  "OTHER",
    "UNEXPECTED_TOOL_CALL",    "TOO_MANY_TOOL_CALLS", "FINISH_REASON_UNSPECIFIED"};

void write_token(const object& candidate, json_writer& out) {
  double value = 0;
  if (candidate.at_key("logProbability").get_double().get(value)) value = 0;
  out.text("token", text_at(candidate, "token")).value("logprob", value).raw("bytes", "null");
}

/// Both lists have an entry a token, in order.
std::string read_logprobs(const object& candidate) {
  const auto result = object_at(candidate, "logprobsResult");
  if (!result || !array_at(*result, "chosenCandidates")) return {};
  std::vector<object> ranks;
  each_object(*result, "topCandidates", [&](const object& rank) { ranks.push_back(rank); });
  std::string text;
  json_writer out(text);
  out.open('{').key("content").open('[');
  std::size_t index = 0;
  each_object(*result, "chosenCandidates", [&](const object& token) {
    out.open('{');
    write_token(token, out);
    out.key("top_logprobs").open('[');
    if (index < ranks.size())
      each_object(ranks[index], "candidates", [&](const object& other) {
        out.open('{');
        write_token(other, out);
        out.close('}');
      });
    out.close(']').close('}');
    ++index;
  });
  out.close(']').raw("refusal", "null").close('}');
  return text;
}

token_usage read_usage(const object& root, chat_answer& answer) {
  token_usage out;
  const auto usage = object_at(root, "usageMetadata");
  if (!usage) return out;
  const auto prompt = count_at(*usage, "promptTokenCount");
  const auto total = count_at(*usage, "totalTokenCount");
  if (!prompt && !total) return out;
  const tokens tools = count_of(count_at(*usage, "toolUsePromptTokenCount"));
  const tokens said = count_of(count_at(*usage, "candidatesTokenCount"));
  const tokens thought = count_of(count_at(*usage, "thoughtsTokenCount"));
  out.known = true;
  out.input = count_of(prompt) + tools;
  out.cached = std::min(out.input, count_of(count_at(*usage, "cachedContentTokenCount")));
  // Some models count their thoughts among the candidates' tokens: the total tells.
  const bool inclusive = total && out.input + said == count_of(total);
  out.output = inclusive ? said : said + thought;
  answer.reasoning_tokens = std::min(thought, out.output).count();
  const auto traffic = text_at(*usage, "trafficType");
  if (traffic == "ON_DEMAND")
    answer.service_tier = "default";
  else if (traffic == "ON_DEMAND_FLEX")
    answer.service_tier = "flex";
  else if (traffic == "ON_DEMAND_PRIORITY")
    answer.service_tier = "priority";
  else if (traffic == "PROVISIONED_THROUGHPUT")
    answer.service_tier = "scale";
  return out;
}

void read_parts(const object& candidate, const std::string& invented, std::size_t& calls,
                chat_choice& choice) {
  std::string text;
  const auto read_part = [&](const object& part) {
    bool thought = false;
    if (!part.at_key("thought").get_bool().get(thought) && thought) return;
    text += text_at(part, "text");
    const auto call = object_at(part, "functionCall");
    if (!call) return;
    chat_tool_call made;
    const auto id = text_at(*call, "id");
    const auto number = std::to_string(calls++);
    made.id = join_call_id(id.empty() ? invented + number : std::string(id),
                           text_at(part, "thoughtSignature"));
    made.name = text_at(*call, "name");
    const auto args = value_at(*call, "args");
    made.arguments = args ? json_of(*args) : "{}";
    choice.tool_calls.push_back(std::move(made));
  };
  if (const auto content = object_at(candidate, "content"))
    each_object(*content, "parts", read_part);
  if (!text.empty() || choice.tool_calls.empty()) choice.text = std::move(text);
}

/// Nothing when the candidate is an answer.
std::optional<error_report> read_candidate(const object& candidate, const std::string& invented,
                                           std::size_t& calls, chat_choice& choice) {
  const auto reason = text_at(candidate, "finishReason");
  const auto detail = text_at(candidate, "finishMessage");
  if (is_one_of(reason, slipped))
    return failure_inside(reason, detail.empty() ? "the model's answer can't be used" : detail);
  read_parts(candidate, invented, calls, choice);
  choice.logprobs_json = read_logprobs(candidate);
  if (is_one_of(reason, filtered))
    choice.finish_reason = "content_filter";
  else if (reason == "MAX_TOKENS" || reason == "CONTINUATION")
    choice.finish_reason = "length";
  else
    choice.finish_reason = choice.tool_calls.empty() ? "stop" : "tool_calls";
  return std::nullopt;
}

/// The prompt was refused: an answer all the same, for it would be refused again.
bool read_block(const object& root, chat_answer& answer) {
  const auto feedback = object_at(root, "promptFeedback");
  const auto reason = feedback ? text_at(*feedback, "blockReason") : std::string_view();
  if (reason.empty()) return false;
  const auto message = text_at(*feedback, "blockReasonMessage");
  chat_choice choice;
  choice.refusal =
      message.empty() ? "the prompt was blocked: " + std::string(reason) : std::string(message);
  choice.finish_reason = "content_filter";
  answer.choices.push_back(std::move(choice));
  return true;
}

}  // namespace

foreign_answer read_generate_content(std::string_view body) {
  foreign_answer out;
  const std::string invented = answer_id("call_", {}, body) + "_";
  const parsed_json json = parse_json(body);
  object root;
  if (json.ok && !json.root.get_object().get(root)) {
    out.answer.usage = read_usage(root, out.answer);
    out.answer.id = text_at(root, "responseId");
    out.answer.model = text_at(root, "modelVersion");
    std::size_t calls = 0;
    each_object(root, "candidates", [&](const object& candidate) {
      chat_choice choice;
      auto error = read_candidate(candidate, invented, calls, choice);
      if (error && !out.error) out.error = std::move(error);
      out.answer.choices.push_back(std::move(choice));
    });
    if (!out.answer.choices.empty() || read_block(root, out.answer)) return out;
  }
  out.error = no_answer(body, "candidates");
  return out;
}

}  // namespace spillway
