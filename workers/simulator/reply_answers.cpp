#include "orchestrator/runtime/json_string.hpp"
#include "workers/simulator/hash.hpp"
#include "workers/simulator/json_text.hpp"
#include "workers/simulator/reply_frame.hpp"

namespace spillway::simulated {
namespace {

constexpr std::string_view azure_filters = R"({"hate":{"filtered":false,"severity":"safe"},)"
                                           R"("self_harm":{"filtered":false,"severity":"safe"},)"
                                           R"("sexual":{"filtered":false,"severity":"safe"},)"
                                           R"("violence":{"filtered":false,"severity":"safe"}})";

/// "content":"…" or "content":null,"tool_calls":[…].
void append_content(const reply_context& c, const call_facts& call, const answer_size& size,
                    std::int64_t index, std::string& out) {
  if (call.tool.empty()) {
    out += R"("content":")";
    append_saying(call, size, index, out);
    out += '"';
    return;
  }
  out += R"("content":null,"tool_calls":[{"id":)";
  append_id("call_", c, out);
  out += R"(,"type":"function","function":{"name":)";
  append_json_string(call.tool, out);
  out += R"(,"arguments":)";
  append_json_string(call.arguments, out);
  out += "}}]";
}

std::string_view finish_reason(const call_facts& call, const answer_size& size) {
  if (!call.tool.empty()) return "tool_calls";
  return size.cut ? "length" : "stop";
}

void append_chat_choice(const reply_context& c, const call_facts& call, const answer_size& size,
                        std::int64_t index, std::string& out) {
  append(out, R"({"index":)", index, R"(,"message":{"role":"assistant",)");
  append_content(c, call, size, index, out);
  const std::string_view reason = finish_reason(call, size);
  switch (c.form) {
    case wire_form::azure:
      append(out, R"(,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":")", reason,
             R"(","content_filter_results":)", azure_filters, "}");
      break;
    case wire_form::aws:
    case wire_form::mantle:
    case wire_form::google:
    case wire_form::google_list:
      append(out, R"(},"logprobs":null,"finish_reason":")", reason, R"("})");
      break;
    case wire_form::compatible:
      append(out, R"(,"refusal":null,"annotations":null,"audio":null,"function_call":null,)",
             call.tool.empty() ? R"("tool_calls":[],)" : "",
             R"("reasoning_content":null},"logprobs":null,"finish_reason":")", reason,
             R"(","stop_reason":null,"token_ids":null})");
      break;
    case wire_form::openai:
    case wire_form::anthropic:
      append(out, R"(,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":")", reason,
             R"("})");
      break;
  }
}

void append_chat_usage(const reply_context& c, const answer_size& size, std::string& out) {
  append(out, R"("usage":{"prompt_tokens":)", size.input, R"(,"completion_tokens":)", size.output,
         R"(,"total_tokens":)", size.input + size.output);
  switch (c.form) {
    case wire_form::compatible:
      if (size.cached > 0)
        append(out, R"(,"prompt_tokens_details":{"cached_tokens":)", size.cached, "}}");
      else
        out += R"(,"prompt_tokens_details":null})";
      return;
    case wire_form::google:
    case wire_form::google_list:
      append(out, R"(,"prompt_tokens_details":{"cached_tokens":)", size.cached,
             R"(},"completion_tokens_details":{"reasoning_tokens":)", size.reasoning,
             R"(},"extra_properties":{"google":{"traffic_type":"ON_DEMAND"}}})");
      return;
    default: break;
  }
  append(out, R"(,"prompt_tokens_details":{"cached_tokens":)", size.cached,
         R"(,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":)", size.reasoning,
         R"(,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}})");
}

/// The tier that an answer names.
std::string_view served_tier(const reply_context& c, const call_facts& call) {
  if (!c.pool.served_tier.empty()) return c.pool.served_tier;
  return call.service_tier.empty() || call.service_tier == "auto" ? "default" : call.service_tier;
}

void append_chat(const reply_context& c, const call_facts& call, const answer_size& size,
                 std::string& out) {
  out += R"({"id":)";
  append_id("chatcmpl-", c, out);
  append(out, R"(,"object":"chat.completion","created":)", unix_seconds(c.now), R"(,"model":)");
  append_json_string(call.model, out);
  out += R"(,"choices":[)";
  for (std::int64_t i = 0; i < call.choices; ++i) {
    if (i > 0) out += ',';
    append_chat_choice(c, call, size, i, out);
  }
  out += "],";
  append_chat_usage(c, size, out);
  switch (c.form) {
    case wire_form::openai:
    case wire_form::aws:
    case wire_form::mantle:
      append(out, R"(,"service_tier":")", served_tier(c, call),
             R"(","system_fingerprint":"fp_5111a7ed00"})");
      break;
    case wire_form::azure:
      append(out, R"(,"system_fingerprint":"fp_5111a7ed00","prompt_filter_results":)",
             R"([{"prompt_index":0,"content_filter_results":)", azure_filters, "}]}");
      break;
    case wire_form::google:
    case wire_form::google_list:
    case wire_form::anthropic: out += R"(,"system_fingerprint":""})"; break;
    case wire_form::compatible:
      out += R"(,"service_tier":null,"system_fingerprint":null,"prompt_logprobs":null,)"
             R"("prompt_token_ids":null,"kv_transfer_params":null})";
      break;
  }
}

void append_completion(const reply_context& c, const call_facts& call, const answer_size& size,
                       std::string& out) {
  out += R"({"id":)";
  append_id("cmpl-", c, out);
  append(out, R"(,"object":"text_completion","created":)", unix_seconds(c.now), R"(,"model":)");
  append_json_string(call.model, out);
  out += R"(,"choices":[)";
  for (std::int64_t i = 0; i < call.choices; ++i) {
    append(out, i > 0 ? "," : "", R"({"text":")");
    append_saying(call, size, i, out);
    append(out, R"(","index":)", i, R"(,"logprobs":null,"finish_reason":")",
           finish_reason(call, size), R"("})");
  }
  out += "],";
  append_chat_usage(c, size, out);
  out += '}';
}

/// One item of `output`: a message, or a call of a tool.
void append_output_item(const reply_context& c, const call_facts& call, const answer_size& size,
                        std::string_view status, std::string& out) {
  if (!call.tool.empty()) {
    out += R"({"id":)";
    append_id("fc_", c, out);
    out += R"(,"type":"function_call","status":"completed","call_id":)";
    append_id("call_", c, out);
    out += R"(,"name":)";
    append_json_string(call.tool, out);
    out += R"(,"arguments":)";
    append_json_string(call.arguments, out);
    out += '}';
    return;
  }
  out += R"({"id":)";
  append_id("msg_", c, out);
  append(out, R"(,"type":"message","status":")", status,
         R"(","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":")");
  append_saying(call, size, 0, out);
  out += R"("}],"role":"assistant"})";
}

void append_response(const reply_context& c, const call_facts& call, const answer_size& size,
                     std::string& out) {
  const std::string_view status = size.cut ? "incomplete" : "completed";
  out += R"({"id":)";
  append_id("resp_", c, out);
  append(out, R"(,"object":"response","created_at":)", unix_seconds(c.now), R"(,"status":")",
         status, R"(","background":false,"error":null,"incomplete_details":)",
         size.cut ? R"({"reason":"max_output_tokens"})" : "null",
         R"(,"instructions":null,"max_output_tokens":)");
  if (call.max_output > 0)
    append_number(call.max_output, out);
  else
    out += "null";
  out += R"(,"max_tool_calls":null,"model":)";
  append_json_string(call.model, out);
  out += R"(,"output":[)";
  append_output_item(c, call, size, status, out);
  append(
      out, R"(],"parallel_tool_calls":true,"previous_response_id":null,)",
      R"("prompt_cache_key":null,"reasoning":{"effort":null,"summary":null},)",
      R"("safety_identifier":null,"service_tier":")", served_tier(c, call),
      R"(","store":false,"temperature":1.0,)",
      R"("text":{"format":{"type":"text"},"verbosity":"medium"},"tool_choice":"auto","tools":[],)",
      R"("top_logprobs":0,"top_p":1.0,"truncation":"disabled","usage":{"input_tokens":)",
      size.input, R"(,"input_tokens_details":{"cached_tokens":)", size.cached,
      R"(},"output_tokens":)", size.output, R"(,"output_tokens_details":{"reasoning_tokens":)",
      size.reasoning, R"(},"total_tokens":)", size.input + size.output,
      R"(},"user":null,"metadata":{}})");
}

void append_embeddings(const call_facts& call, const answer_size& size, std::string& out) {
  out += R"({"object":"list","data":[)";
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    append(out, i > 0 ? "," : "", R"({"object":"embedding","index":)", i, R"(,"embedding":)");
    append_embedding(call.inputs[i], call.dimensions, call.base64, out);
    out += '}';
  }
  out += R"(],"model":)";
  append_json_string(call.model, out);
  append(out, R"(,"usage":{"prompt_tokens":)", size.input, R"(,"total_tokens":)", size.input, "}}");
}

void append_anthropic_models(const reply_context& c, reply_frame& frame, std::string& out) {
  out += R"({"data":[)";
  for (std::size_t i = 0; i < c.pool.models.size(); ++i) {
    append(out, i > 0 ? "," : "", R"({"type":"model","id":)");
    append_json_string(c.pool.models[i], out);
    out += R"(,"display_name":)";
    append_json_string(c.pool.models[i], out);
    out += R"(,"created_at":")";
    append_rfc3339(c.now, out);
    out += R"("})";
  }
  out += R"(],"has_more":false,"first_id":null,"last_id":null})";
  frame.finish();
}

}  // namespace

void append_answer(const reply_context& c, const call_facts& call, const answer_size& size,
                   std::string& out) {
  reply_frame frame(c, 200, std::nullopt, out);
  switch (call.kind) {
    case call_kind::chat: append_chat(c, call, size, out); break;
    case call_kind::responses: append_response(c, call, size, out); break;
    case call_kind::embeddings: append_embeddings(call, size, out); break;
    case call_kind::completions: append_completion(c, call, size, out); break;
    default: append_native_answer(c, call, size, out); break;
  }
  frame.finish();
}

void append_models(const reply_context& c, std::string& out) {
  reply_frame frame(c, 200, std::nullopt, out);
  if (c.form == wire_form::anthropic) return append_anthropic_models(c, frame, out);
  out += R"({"object":"list","data":[)";
  for (std::size_t i = 0; i < c.pool.models.size(); ++i) {
    append(out, i > 0 ? "," : "", R"({"id":)");
    append_json_string(c.pool.models[i], out);
    append(out, R"(,"object":"model","created":)", unix_seconds(c.now),
           R"(,"owned_by":"simulator"})");
  }
  out += "]}";
  frame.finish();
}

void append_plain(int status, std::string_view content_type, std::string_view body, bool keep_alive,
                  std::string& out, std::string_view extra) {
  reply_frame frame(status, content_type, keep_alive, out, extra);
  out += body;
  frame.finish();
}

}  // namespace spillway::simulated
