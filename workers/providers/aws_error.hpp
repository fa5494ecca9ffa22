// Errors as Bedrock sends them. Source: botocore (parsers, service model of bedrock-runtime).
#pragma once

#include "workers/http.hpp"
#include "workers/providers/openai_body.hpp"

namespace spillway {

/// The code is the header `x-amzn-errortype` up to its ':', else `__type` or `code` of the body;
/// its namespace is cut off. A ModelErrorException reports the status the model gave. Bodies in the
/// OpenAI form keep what they say.
[[nodiscard]] error_body read_aws_error(int status, const http_response&);

/// An answer of status 200 that is an error inside: the same, with the status its code stands for.
[[nodiscard]] error_report aws_failure_inside(const http_response&, std::string_view missing);

}  // namespace spillway
