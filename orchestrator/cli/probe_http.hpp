// Single HTTP requests for `pools check`: any method, slow and plain. Calls of
// a run go through the transport instead.
#pragma once

#include "schemas/units.hpp"
#include "workers/http.hpp"

#include <string>

namespace spillway {

struct probe_request {
  bool post = false;
  std::string url;
  std::string headers;  ///< lines ending in "\r\n", as in `http_request`
  std::string body;     ///< of a POST
  std::string ca_file;  ///< empty: the system's trust store
  duration timeout = std::chrono::seconds(10);
};

enum class probe_fault {
  none,
  name,     ///< the host's name can't be resolved
  connect,  ///< refused or unreachable
  tls,
  timed_out,
  other,
};

struct probe_answer {
  probe_fault fault = probe_fault::none;
  std::string detail;      ///< of a fault, one line
  http_response response;  ///< all headers, names in lower case
  duration took{};
};

/// Blocks until the answer is complete or `timeout` is over. Follows no
/// redirects; an answer over 16 MB is a fault. Thread-safe.
[[nodiscard]] probe_answer probe(const probe_request&);

}  // namespace spillway
