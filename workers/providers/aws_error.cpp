#include "workers/providers/aws_error.hpp"

#include "workers/providers/json_reader.hpp"
#include "workers/providers/text.hpp"

namespace spillway {

namespace {

using simdjson::dom::object;

constexpr std::size_t code_bytes_max = 128;

/// "com.amazon.coral.validate#ValidationException:http://…" as "ValidationException".
std::string plain_code(std::string_view text) {
  text = text.substr(0, text.find(':'));
  if (const auto hash = text.rfind('#'); hash != std::string_view::npos)
    text.remove_prefix(hash + 1);
  return one_line(text, code_bytes_max);
}

int status_of(std::string_view code) {
  struct pair {
    std::string_view code;
    int status;
  };
  static constexpr pair known[] = {
      {"ThrottlingException", 429},         {"TooManyRequestsException", 429},
      {"ModelNotReadyException", 429},      {"ServiceQuotaExceededException", 400},
      {"ValidationException", 400},         {"AccessDeniedException", 403},
      {"ResourceNotFoundException", 404},   {"UnknownOperationException", 404},
      {"ModelTimeoutException", 408},       {"ModelErrorException", 424},
      {"InternalServerException", 500},     {"InternalFailure", 500},
      {"ServiceUnavailableException", 503}, {"ServiceUnavailable", 503},
  };
  for (const auto& [name, status] : known)
    if (code == name) return status;
  return 200;
}

void read_fields(const object& root, error_report& report) {
  for (const char* key : {"__type", "code"}) {
    auto code = plain_code(text_at(root, key));
    const bool number = code.find_first_not_of("0123456789") == std::string::npos;
    if (report.code.empty() && !number) report.code = std::move(code);
  }
  for (const char* key : {"message", "Message", "errorMessage"})
    if (report.message.empty()) report.message = text_at(root, key);
  if (report.code != "ModelErrorException") return;
  const auto original = count_at(root, "originalStatusCode").value_or(0);
  if (original >= 400 && original <= 599) report.status = static_cast<int>(original);
}

}  // namespace

error_body read_aws_error(int status, const http_response& response) {
  error_body out = read_error(status, response.body);
  if (const auto type = response.header("x-amzn-errortype"); !type.empty())
    out.report.code = plain_code(type);
  const parsed_json json = parse_json(out.line);
  object root, inner;
  if (!json.ok || json.root.get_object().get(root)) return out;
  read_fields(root, out.report);
  // A frame around the error, as for operations the service does not know.
  if (!root.at_key("Output").get_object().get(inner)) read_fields(inner, out.report);
  return out;
}

error_report aws_failure_inside(const http_response& response, std::string_view missing) {
  auto [line, report] = read_aws_error(200, response);
  if (report.code.empty()) {
    report = malformed_answer("the answer has no " + std::string(missing));
    if (line.empty()) report.type.clear();  // it can't be read
  }
  if (report.status == 200) report.status = status_of(report.code);
  return report;
}

}  // namespace spillway
