#include "orchestrator/runtime/json_string.hpp"
#include "workers/simulator/hash.hpp"
#include "workers/simulator/json_text.hpp"
#include "workers/simulator/reply_frame.hpp"

namespace spillway::simulated {
namespace {

constexpr std::int64_t titan_dimensions = 1024;
constexpr std::string_view thoughts = "The question is clear, and so is the answer.";

void append_vector(const call_facts& call, std::size_t index, std::int64_t usual,
                   std::string& out) {
  append_embedding(call.inputs[index], call.dimensions > 0 ? call.dimensions : usual, false, out);
}

void append_converse(const reply_context& c, const call_facts& call, const answer_size& size,
                     std::string& out) {
  out += R"({"metrics":{"latencyMs":20},"output":{"message":{"content":[)";
  if (size.reasoning > 0)
    append(out, R"({"reasoningContent":{"reasoningText":{"text":")", thoughts,
           R"(","signature":"c2ltdWxhdGVk"}}},)");
  if (call.tool.empty()) {
    out += R"({"text":")";
    append_saying(call, size, 0, out);
    out += R"("})";
  } else {
    out += R"({"toolUse":{"input":)";
    append(out, call.arguments, R"(,"name":)");
    append_json_string(call.tool, out);
    out += R"(,"toolUseId":)";
    append_id("tooluse_", c, out);
    out += "}}";
  }
  std::string_view reason = size.cut ? "max_tokens" : "end_turn";
  if (!call.tool.empty()) reason = "tool_use";
  append(out, R"(],"role":"assistant"}},"stopReason":")", reason,
         R"(","usage":{"cacheReadInputTokens":)", size.cached,
         R"(,"cacheWriteInputTokens":0,"inputTokens":)", size.input - size.cached,
         R"(,"outputTokens":)", size.output, R"(,"totalTokens":)", size.input + size.output, "}}");
}

void append_titan(const call_facts& call, const answer_size& size, std::string& out) {
  out += R"({"embedding":)";
  append_vector(call, 0, titan_dimensions, out);
  append(out, R"(,"inputTextTokenCount":)", size.input, "}");
}

void append_candidate(const reply_context& c, const call_facts& call, const answer_size& size,
                      std::int64_t index, std::string& out) {
  out += R"({"content":{"role":"model","parts":[)";
  if (call.tool.empty()) {
    out += R"({"text":")";
    append_saying(call, size, index, out);
    out += R"("})";
  } else {
    out += R"({"functionCall":{"name":)";
    append_json_string(call.tool, out);
    append(out, R"(,"args":)", call.arguments, "}");
    if (size.reasoning > 0) {
      out += R"(,"thoughtSignature":)";
      append_id("", c, out);
    }
    out += '}';
  }
  append(out, R"(]},"finishReason":")", size.cut ? "MAX_TOKENS" : "STOP", R"(","index":)", index,
         R"(,"avgLogprobs":-0.25})");
}

void append_generated(const reply_context& c, const call_facts& call, const answer_size& size,
                      std::string& out) {
  out += R"({"candidates":[)";
  for (std::int64_t i = 0; i < call.choices; ++i) {
    if (i > 0) out += ',';
    append_candidate(c, call, size, i, out);
  }
  const std::int64_t thought = size.reasoning * call.choices;
  append(out, R"(],"usageMetadata":{"promptTokenCount":)", size.input,
         R"(,"candidatesTokenCount":)", size.output - thought, R"(,"totalTokenCount":)",
         size.input + size.output, R"(,"trafficType":"ON_DEMAND")");
  if (size.cached > 0) append(out, R"(,"cachedContentTokenCount":)", size.cached);
  if (thought > 0) append(out, R"(,"thoughtsTokenCount":)", thought);
  append(out, R"(,"promptTokensDetails":[{"modality":"TEXT","tokenCount":)", size.input,
         R"(}]},"modelVersion":)");
  append_json_string(call.model, out);
  out += R"(,"createTime":")";
  append_rfc3339(c.now, out);
  out += R"(","responseId":)";
  append_id("", c, out);
  out += '}';
}

void append_predictions(const call_facts& call, std::string& out) {
  out += R"({"predictions":[)";
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    append(out, i > 0 ? "," : "", R"({"embeddings":{"statistics":{"truncated":false,)",
           R"("token_count":)", call.input_sizes[i], R"(},"values":)");
    append_vector(call, i, 0, out);
    out += "}}";
    tokens += call.input_sizes[i];
  }
  append(out, R"(],"metadata":{"billableCharacterCount":)", tokens * 4, "}}");
}

void append_message(const reply_context& c, const call_facts& call, const answer_size& size,
                    std::string& out) {
  out += R"({"id":)";
  append_id("msg_", c, out);
  out += R"(,"type":"message","role":"assistant","model":)";
  append_json_string(call.model, out);
  out += R"(,"content":[)";
  if (size.reasoning > 0)
    append(out, R"({"type":"thinking","thinking":")", thoughts, R"(","signature":"c2lt"},)");
  if (call.tool.empty()) {
    out += R"({"type":"text","text":")";
    append_saying(call, size, 0, out);
    out += R"("})";
  } else {
    out += R"({"type":"tool_use","id":)";
    append_id("toolu_", c, out);
    out += R"(,"name":)";
    append_json_string(call.tool, out);
    append(out, R"(,"input":)", call.arguments, "}");
  }
  std::string_view reason = size.cut ? "max_tokens" : "end_turn";
  if (!call.tool.empty()) reason = "tool_use";
  append(out, R"(],"stop_reason":")", reason, R"(","stop_sequence":null,"usage":{"input_tokens":)",
         size.input - size.cached, R"(,"cache_creation_input_tokens":0,)",
         R"("cache_read_input_tokens":)", size.cached,
         R"(,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},)",
         R"("output_tokens":)", size.output, R"(,"service_tier":"standard"}})");
}

}  // namespace

void append_native_answer(const reply_context& c, const call_facts& call, const answer_size& size,
                          std::string& out) {
  switch (call.kind) {
    case call_kind::converse: return append_converse(c, call, size, out);
    case call_kind::titan: return append_titan(call, size, out);
    case call_kind::generate_content: return append_generated(c, call, size, out);
    case call_kind::predict: return append_predictions(call, out);
    case call_kind::messages: return append_message(c, call, size, out);
    default: ensure(false, "an answer in OpenAI's form is not a native one");
  }
}

}  // namespace spillway::simulated
