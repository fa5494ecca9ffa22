// Credentials for requests. A static key today; signatures and refreshed tokens fit the same seam.
#pragma once

#include "schemas/config.hpp"
#include "schemas/result.hpp"
#include "workers/http.hpp"

#include <memory>

namespace spillway {

class authenticator {
 public:
  virtual ~authenticator() = default;
  /// Adds credential headers to a request that is otherwise complete. Thread-safe.
  virtual void authenticate(http_request&) const = 0;
};

/// Reads the pool's secret once. Fails, naming the reference but never the value, when the
/// variable or file is missing or empty, or holds characters a header can't carry.
/// A key is refused for plain HTTP to anything but loopback.
[[nodiscard]] result<std::unique_ptr<authenticator>> make_authenticator(const pool_config&);

}  // namespace spillway
