#include "workers/providers/foreign_answer.hpp"

#include "workers/providers/json_reader.hpp"
#include "workers/providers/openai_body.hpp"
#include "workers/providers/text.hpp"

namespace spillway {

chat_request chat_of(const prompt_view& prompt, const lane_config& lane) {
  auto chat = value_or_empty(read_chat(prompt.body));
  if (!chat.max_tokens && lane.max_output_tokens) chat.max_tokens = lane.max_output_tokens->count();
  return chat;
}

error_report failure_inside(std::string_view code, std::string_view message) {
  error_report report;
  report.status = 200;
  report.code = one_line(code, 128);
  report.message = message;
  return report;
}

error_report no_answer(std::string_view body, std::string_view missing) {
  error_report report = read_error(200, body).report;
  const parsed_json json = parse_json(body);
  if (json.ok && json.root.is_object() && !report.message.empty()) {
    if (report.code.empty()) report.code = "server_error";
    return report;
  }
  if (json.ok && json.root.is_object())
    return malformed_answer("the answer has no " + std::string(missing));
  return failure_inside("malformed_response", "the answer is not a JSON object");
}

tokens count_of(std::optional<std::int64_t> count) { return tokens(count.value_or(0)); }

void translating_adapter::take_foreign(foreign_answer read, const call_result& call,
                                       const lane_config& lane, outcome& out) const {
  out.usage = read.answer.usage;
  if (read.error) {
    out.body = read_error(out.status, call.response.body).line;
    set_error(std::move(*read.error), call, out);
    return;
  }
  chat_answer& answer = read.answer;
  answer.id = answer_id("chatcmpl-", answer.id, call.response.body);
  if (answer.model.empty()) answer.model = lane.as;
  answer.created = created_at(call.done_at);
  out.service_tier = answer.service_tier;
  out.body = write_chat_answer(answer);
  out.kind = outcome_kind::answered;
}

void translating_adapter::take_embeddings(foreign_embeddings read, const call_result& call,
                                          const lane_config& lane, prompt_features asked,
                                          outcome& out) const {
  out.usage = read.answer.usage;
  if (read.error) {
    out.body = read_error(out.status, call.response.body).line;
    set_error(std::move(*read.error), call, out);
    return;
  }
  if (read.answer.model.empty()) read.answer.model = lane.as;
  read.answer.base64 = asked.has(prompt_feature::base64_vectors);
  out.body = write_embedding_answer(read.answer);
  out.kind = outcome_kind::answered;
}

}  // namespace spillway
