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

std::int64_t unix_seconds(time_point t) {
  return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
}

void append_id(std::string_view prefix, const reply_context& c, std::string& out) {
  append(out, "\"", prefix);
  append_hex(mix(c.call ^ 0x1D), out);
  append_hex(mix(c.call ^ 0x2D), out);
  out += '"';
}

void append_chat_choice(const reply_context& c, const call_facts& call, const answer_size& size,
                        std::int64_t index, std::string& out) {
  append(out, R"({"index":)", index, R"(,"message":{"role":"assistant","content":")");
  append_text(call, size.output_each, index, out);
  const std::string_view reason = size.cut ? "length" : "stop";
  switch (c.pool.provider) {
    case provider_kind::openai:
      append(out, R"(","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":")", reason,
             R"("})");
      break;
    case provider_kind::azure_openai:
      append(out, R"(","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":")", reason,
             R"(","content_filter_results":)", azure_filters, "}");
      break;
    case provider_kind::bedrock:
    case provider_kind::vertex:
    case provider_kind::anthropic:
    case provider_kind::openai_compatible:
      append(out, R"(","refusal":null,"annotations":null,"audio":null,"function_call":null,)",
             R"("tool_calls":[],"reasoning_content":null},"logprobs":null,"finish_reason":")",
             reason, R"(","stop_reason":null,"token_ids":null})");
      break;
  }
}

void append_chat_usage(const reply_context& c, const answer_size& size, std::string& out) {
  append(out, R"("usage":{"prompt_tokens":)", size.input, R"(,"completion_tokens":)", size.output,
         R"(,"total_tokens":)", size.input + size.output);
  if (c.pool.provider == provider_kind::openai_compatible) {
    if (size.cached > 0)
      append(out, R"(,"prompt_tokens_details":{"cached_tokens":)", size.cached, "}}");
    else
      out += R"(,"prompt_tokens_details":null})";
    return;
  }
  append(out, R"(,"prompt_tokens_details":{"cached_tokens":)", size.cached,
         R"(,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,)",
         R"("audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}})");
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
  switch (c.pool.provider) {
    case provider_kind::openai:
      out += R"(,"service_tier":"default","system_fingerprint":"fp_5111a7ed00"})";
      break;
    case provider_kind::azure_openai:
      append(out, R"(,"system_fingerprint":"fp_5111a7ed00","prompt_filter_results":)",
             R"([{"prompt_index":0,"content_filter_results":)", azure_filters, "}]}");
      break;
    case provider_kind::bedrock:
    case provider_kind::vertex:
    case provider_kind::anthropic:
    case provider_kind::openai_compatible:
      out += R"(,"service_tier":null,"system_fingerprint":null,"prompt_logprobs":null,)"
             R"("prompt_token_ids":null,"kv_transfer_params":null})";
      break;
  }
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
  out += R"(,"output":[{"id":)";
  append_id("msg_", c, out);
  append(out, R"(,"type":"message","status":")", status,
         R"(","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":")");
  append_text(call, size.output_each, 0, out);
  append(
      out, R"("}],"role":"assistant"}],"parallel_tool_calls":true,"previous_response_id":null,)",
      R"("prompt_cache_key":null,"reasoning":{"effort":null,"summary":null},)",
      R"("safety_identifier":null,"service_tier":"default","store":false,"temperature":1.0,)",
      R"("text":{"format":{"type":"text"},"verbosity":"medium"},"tool_choice":"auto","tools":[],)",
      R"("top_logprobs":0,"top_p":1.0,"truncation":"disabled","usage":{"input_tokens":)",
      size.input, R"(,"input_tokens_details":{"cached_tokens":)", size.cached,
      R"(},"output_tokens":)", size.output,
      R"(,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":)",
      size.input + size.output, R"(},"user":null,"metadata":{}})");
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

}  // namespace

void append_answer(const reply_context& c, const call_facts& call, const answer_size& size,
                   std::string& out) {
  reply_frame frame(c, 200, std::nullopt, out);
  switch (call.kind) {
    case call_kind::chat: append_chat(c, call, size, out); break;
    case call_kind::responses: append_response(c, call, size, out); break;
    case call_kind::embeddings: append_embeddings(call, size, out); break;
  }
  frame.finish();
}

void append_models(const reply_context& c, std::string& out) {
  reply_frame frame(c, 200, std::nullopt, out);
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
                  std::string& out) {
  reply_frame frame(status, content_type, keep_alive, out);
  out += body;
  frame.finish();
}

}  // namespace spillway::simulated
