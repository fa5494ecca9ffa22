#include "workers/providers/openai_body.hpp"

#include "workers/providers/json_reader.hpp"
#include "workers/providers/text.hpp"

#include <algorithm>

namespace spillway {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

token_usage read_usage(const object& root) {
  object usage;
  if (root.at_key("usage").get_object().get(usage)) return {};
  auto input = count_at(usage, "prompt_tokens");
  auto output = count_at(usage, "completion_tokens");
  std::string_view details_key = "prompt_tokens_details";
  if (!input) {
    input = count_at(usage, "input_tokens");
    output = count_at(usage, "output_tokens");
    details_key = "input_tokens_details";
  }
  if (!input) return {};
  token_usage out;
  out.known = true;
  out.input = tokens(*input);
  if (!output) {  // embeddings have none; a server that gives only the total is taken at its word
    const auto total = count_at(usage, "total_tokens").value_or(*input);
    output = std::max<std::int64_t>(0, total - *input);
  }
  out.output = tokens(*output);
  object details;
  if (!usage.at_key(details_key).get_object().get(details)) {
    const auto cached = std::min(*input, count_at(details, "cached_tokens").value_or(0));
    const auto written = count_at(details, "cache_write_tokens").value_or(0);
    out.cached = tokens(cached);
    out.cache_write = tokens(std::min(*input - cached, written));
  }
  return out;
}

/// Codes come as strings and numbers. A number, or a string that is one, repeats the HTTP status
/// and says nothing.
std::string read_code(const object& in) {
  const auto code = text_at(in, "code");
  if (code.find_first_not_of("0123456789") == std::string_view::npos) return {};
  return one_line(code, 128);
}

std::string first_text(const element& value) {
  std::string_view text;
  if (!value.get_string().get(text)) return std::string(text);
  array list;
  if (!value.get_array().get(list) && list.size() > 0) return first_text(list.at(0).value_unsafe());
  object fields;
  if (!value.get_object().get(fields)) {
    for (const char* key : {"message", "msg"})
      if (const auto found = text_at(fields, key); !found.empty()) return std::string(found);
  }
  return {};
}

void read_error_fields(const object& in, error_report& report) {
  report.code = read_code(in);
  report.type = one_line(text_at(in, "type"), 128);
  for (const char* key : {"innererror", "inner_error"}) {
    object inner;
    if (!in.at_key(key).get_object().get(inner)) report.inner_code = read_code(inner);
  }
  for (const char* key : {"message", "detail"}) {
    element value;
    if (report.message.empty() && !in.at_key(key).get(value)) report.message = first_text(value);
  }
}

/// Whether the object is an error in one of the known shapes.
bool read_error_object(const object& root, error_report& report) {
  element error;
  if (!root.at_key("error").get(error) && !error.is_null()) {
    object fields;
    std::string_view text;
    if (!error.get_object().get(fields)) {
      read_error_fields(fields, report);
    } else if (!error.get_string().get(text)) {
      report.message = text;
      report.code = read_code(root);
      report.type = one_line(text_at(root, "error_type"), 128);
      if (report.message.empty()) report.message = text_at(root, "message");
    }
    return true;
  }
  read_error_fields(root, report);
  return text_at(root, "object") == "error";
}

/// An error page's title, or the text itself.
std::string explain_text(std::string_view body) {
  body = trimmed(body);
  if (!body.starts_with('<')) return one_line(body, error_message_bytes_max);
  const auto open = find_ignoring_case(body, "<title>");
  if (open == std::string_view::npos) return {};
  const auto from = open + std::string_view("<title>").size();
  const auto close = find_ignoring_case(body, "</title>", from);
  if (close == std::string_view::npos) return {};
  return one_line(body.substr(from, close - from), error_message_bytes_max);
}

error_report failure_in_answer(std::string_view code, std::string_view message) {
  error_report report;
  report.status = 200;
  report.code = code;
  report.message = message;
  return report;
}

/// Some servers write no error as "", 0, false, {} or [] instead of null.
bool says_nothing(const element& value) {
  std::string_view text;
  object fields;
  array list;
  bool yes = false;
  double number = 1;
  if (!value.get_string().get(text)) return text.empty();
  if (!value.get_object().get(fields)) return fields.size() == 0;
  if (!value.get_array().get(list)) return list.size() == 0;
  if (!value.get_double().get(number)) return number == 0;
  return value.is_null() || (!value.get_bool().get(yes) && !yes);
}

/// An error told beside or in place of what was asked for.
std::optional<error_report> error_in(const object& in) {
  element error;
  if (in.at_key("error").get(error) || says_nothing(error)) return std::nullopt;
  error_report report;
  read_error_object(in, report);
  report.status = 200;
  report.type = in_an_answer;
  if (report.code.empty()) report.code = "server_error";
  if (report.message.empty()) report.message = "the answer holds an error without an explanation";
  return report;
}

/// An object without the list that was asked for: an error of its own form, or something else
/// altogether.
error_report not_an_answer(const object& root, std::string_view missing) {
  error_report report;
  if (!read_error_object(root, report) || report.message.empty())
    return malformed_answer("the answer has no list \"" + std::string(missing) + "\"");
  report.status = 200;
  report.type = in_an_answer;
  if (report.code.empty()) report.code = "server_error";
  return report;
}

/// Of chat a choice holds a message, of completions a text.
std::optional<error_report> failure_in_choices(const object& root, bool chat) {
  if (auto error = error_in(root)) return error;
  array choices;
  if (root.at_key("choices").get_array().get(choices)) return not_an_answer(root, "choices");
  if (choices.size() == 0) return malformed_answer("the answer's list \"choices\" is empty");
  bool whole = true;
  for (const element choice : choices) {
    object fields;
    if (choice.get_object().get(fields)) {
      whole = false;
      continue;
    }
    if (auto error = error_in(fields)) return error;
    const auto reason = text_at(fields, "finish_reason");
    if (reason == "abort") return failure_in_answer("abort", "the server aborted the generation");
    if (reason == "error")
      return failure_in_answer("server_error", "the generation ended in an error");
    element text;
    whole = whole && (chat ? object_at(fields, "message").has_value()
                           : !fields.at_key("text").get(text) && text.is_string());
  }
  if (whole) return std::nullopt;
  return malformed_answer(chat ? "a choice has no message" : "a choice has no text");
}

std::optional<error_report> failure_in_response(const object& root) {
  const auto status = text_at(root, "status");
  if (status == "failed") {
    auto report = failure_in_answer("", "");
    object error;
    if (!root.at_key("error").get_object().get(error)) read_error_fields(error, report);
    if (report.code.empty()) report.code = "response_failed";
    if (report.message.empty()) report.message = "the response has status failed";
    return report;
  }
  if (status == "cancelled")
    return failure_in_answer("response_cancelled", "the response has status cancelled");
  if (status == "queued" || status == "in_progress")
    return failure_in_answer("response_not_finished",
                             "the response runs in the background: remove \"background\"");
  if (auto error = error_in(root)) return error;
  array output;
  if (root.at_key("output").get_array().get(output)) return not_an_answer(root, "output");
  if (output.size() == 0 && status != "completed" && status != "incomplete")
    return malformed_answer("the response has no output and is not complete");
  return std::nullopt;
}

std::optional<error_report> failure_in_embeddings(const object& root) {
  if (auto error = error_in(root)) return error;
  array data;
  if (root.at_key("data").get_array().get(data)) return not_an_answer(root, "data");
  if (data.size() == 0) return malformed_answer("the answer's list \"data\" is empty");
  for (const element item : data) {
    object fields;
    element vector;
    std::string_view base64;
    if (item.get_object().get(fields) || fields.at_key("embedding").get(vector) ||
        !(is_vector(vector) || (!vector.get_string().get(base64) && !base64.empty())))
      return malformed_answer("an item of \"data\" has no vector");
  }
  return std::nullopt;
}

}  // namespace

answer_body read_answer(std::string_view url, std::string_view body) {
  answer_body out;
  parsed_json json = parse_json(body);
  object root;
  if (!json.ok || json.root.get_object().get(root)) {
    const char* what = json.ok             ? "the answer is not a JSON object"
                       : json.text.empty() ? "the answer is empty"
                                           : "the answer is not JSON";
    out.error = failure_in_answer("malformed_response", what);
  } else {
    out.usage = read_usage(root);
    out.service_tier = one_line(text_at(root, "service_tier"), 32);
    if (url == "/v1/responses")
      out.error = failure_in_response(root);
    else if (url == "/v1/embeddings")
      out.error = failure_in_embeddings(root);
    else
      out.error = failure_in_choices(root, url == "/v1/chat/completions");
  }
  if (json.ok) out.line = as_one_line(std::move(json.text));
  return out;
}

error_body read_error(int status, std::string_view body) {
  error_body out;
  parsed_json json = parse_json(body);
  if (json.ok) {
    element root = json.root;
    array list;
    if (!root.get_array().get(list) && list.size() > 0) root = list.at(0).value_unsafe();
    object fields;
    std::string_view text;
    if (!root.get_object().get(fields))
      read_error_object(fields, out.report);
    else if (!root.get_string().get(text))
      out.report.message = text;
    out.line = as_one_line(std::move(json.text));
  } else {
    out.report.message = explain_text(body);
  }
  out.report.status = status;
  return out;
}

}  // namespace spillway
