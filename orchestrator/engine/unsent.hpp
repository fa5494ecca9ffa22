// A call that comes back without having been sent.
#pragma once

#include "workers/transport/transport.hpp"

namespace spillway {

[[nodiscard]] inline call_result unsent_result(call_id call) {
  call_result result;
  result.id = call;
  result.error = transport_error::cancelled;
  return result;
}

}  // namespace spillway
