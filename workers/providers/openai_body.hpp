// Reads bodies of the OpenAI wire form: answers with their usage, and every shape errors come in.
#pragma once

#include "schemas/outcome.hpp"
#include "workers/providers/errors.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace spillway {

/// A body read to the end. `line` is the body as one line of JSON, empty when it is not JSON.
struct answer_body {
  std::string line;
  token_usage usage;
  std::string service_tier;  ///< empty: not said
  /// Set when the answer is a failure inside; its status is then 200.
  std::optional<error_report> error;
};

/// The body of a 2xx response to `url`. What cannot be used as an answer comes back as an error
/// with code "malformed_response".
[[nodiscard]] answer_body read_answer(std::string_view url, std::string_view body);

struct error_body {
  std::string line;
  error_report report;  ///< an empty message when the body explains nothing
};

/// The body of any other response. Accepts {error:{…}}, {error:"text"}, top-level errors,
/// {detail:…}, a one-element array around any of them, plain text, HTML and nothing at all.
[[nodiscard]] error_body read_error(int status, std::string_view body);

}  // namespace spillway
