#include "workers/providers/chat_answer.hpp"

#include "orchestrator/runtime/json_string.hpp"
#include "workers/providers/json_reader.hpp"

#include <openssl/evp.h>

#include <bit>

namespace spillway {

namespace {

void append_choice(const chat_choice& choice, std::size_t index, std::string& out) {
  out +=
      "{\"index\":" + std::to_string(index) + ",\"message\":{\"role\":\"assistant\",\"content\":";
  if (choice.text)
    append_json_string(*choice.text, out);
  else
    out += "null";
  out += ",\"refusal\":";
  if (choice.refusal.empty())
    out += "null";
  else
    append_json_string(choice.refusal, out);
  if (!choice.tool_calls.empty()) {
    char separator = '[';
    out += ",\"tool_calls\":";
    for (const auto& call : choice.tool_calls) {
      out += separator;
      separator = ',';
      out += "{\"id\":";
      append_json_string(call.id, out);
      out += ",\"type\":\"function\",\"function\":{\"name\":";
      append_json_string(call.name, out);
      out += ",\"arguments\":";
      append_json_string(call.arguments, out);
      out += "}}";
    }
    out += ']';
  }
  out += "},\"logprobs\":" + (choice.logprobs_json.empty() ? "null" : choice.logprobs_json) +
         ",\"finish_reason\":";
  append_json_string(choice.finish_reason, out);
  out += '}';
}

/// As OpenAI does it for `encoding_format: base64`.
std::string base64_vector(std::string_view numbers_json) {
  static_assert(std::endian::native == std::endian::little);
  std::vector<float> values;
  const parsed_json json = parse_json(numbers_json);
  simdjson::dom::array numbers;
  if (json.ok && !json.root.get_array().get(numbers))
    for (const simdjson::dom::element number : numbers) {
      double value = 0;
      if (!number.get_double().get(value)) values.push_back(static_cast<float>(value));
    }
  const auto bytes = values.size() * sizeof(float);
  std::string out(4 * ((bytes + 2) / 3) + 1, '\0');  // OpenSSL adds a zero byte
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(values.data()),
                                   static_cast<int>(bytes));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

}  // namespace

std::string write_chat_answer(const chat_answer& answer) {
  std::string out = "{\"id\":";
  append_json_string(answer.id, out);
  out += ",\"object\":\"chat.completion\",\"created\":" + std::to_string(answer.created) +
         ",\"model\":";
  append_json_string(answer.model, out);
  out += ",\"choices\":[";
  for (std::size_t i = 0; i < answer.choices.size(); ++i) {
    if (i > 0) out += ',';
    append_choice(answer.choices[i], i, out);
  }
  out += ']';
  if (!answer.service_tier.empty()) {
    out += ",\"service_tier\":";
    append_json_string(answer.service_tier, out);
  }
  if (answer.usage.known) {
    const auto& u = answer.usage;
    out += ",\"usage\":{\"prompt_tokens\":" + std::to_string(u.input.count()) +
           ",\"completion_tokens\":" + std::to_string(u.output.count()) +
           ",\"total_tokens\":" + std::to_string((u.input + u.output).count()) +
           ",\"prompt_tokens_details\":{\"cached_tokens\":" + std::to_string(u.cached.count()) +
           "},\"completion_tokens_details\":{\"reasoning_tokens\":" +
           std::to_string(answer.reasoning_tokens) + "}}";
  }
  out += '}';
  return out;
}

std::string write_embedding_answer(const embedding_answer& answer) {
  std::string out = "{\"object\":\"list\",\"data\":[";
  for (std::size_t i = 0; i < answer.vectors_json.size(); ++i) {
    if (i > 0) out += ',';
    out += "{\"object\":\"embedding\",\"index\":" + std::to_string(i) + ",\"embedding\":";
    if (answer.base64)
      out.append(1, '"').append(base64_vector(answer.vectors_json[i])).append(1, '"');
    else
      out += answer.vectors_json[i];
    out += '}';
  }
  out += "],\"model\":";
  append_json_string(answer.model, out);
  const auto count = std::to_string(answer.usage.input.count());
  out += ",\"usage\":{\"prompt_tokens\":" + count + ",\"total_tokens\":" + count + "}}";
  return out;
}

std::string answer_id(std::string_view prefix, std::string_view request_id, std::string_view body) {
  std::string out(prefix);
  if (!request_id.empty()) return out.append(request_id);
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a: the same answer gets the same id
  for (const char c : body) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  static constexpr char digits[] = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) out += digits[(hash >> shift) & 15];
  return out;
}

std::int64_t created_at(time_point at) {
  return std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count();
}

bool is_json_object(std::string_view text, std::string& compact) {
  const parsed_json json = parse_json(text);
  if (!json.ok || !json.root.is_object()) return false;
  compact = json_of(json.root);
  return true;
}

}  // namespace spillway
