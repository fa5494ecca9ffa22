// Errors as Google's services write them. Source: google.rpc.Status, ErrorInfo and RetryInfo.
#pragma once

#include "schemas/units.hpp"
#include "workers/providers/openai_body.hpp"

#include <optional>
#include <string_view>

namespace spillway {

struct google_error {
  error_body
      body;  ///< `code` is the status ("RESOURCE_EXHAUSTED"), `inner_code` ErrorInfo's reason
  std::optional<duration> retry_delay;
};

/// {error:{code,message,status,details}}, also in a list of one; whatever else `read_error` takes.
[[nodiscard]] google_error read_google_error(int status, std::string_view body);

}  // namespace spillway
