// A credential as a value, and the seam behind which the ways to get one are.
#pragma once

#include "workers/auth/file_stamp.hpp"
#include "workers/auth/sigv4.hpp"
#include "workers/auth/world.hpp"

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace spillway {

struct credential {
  std::string header;            ///< "Name: value\r\n"; empty when requests are signed with `keys`
  std::optional<aws_keys> keys;  ///< to sign with
  time_point expires = time_never;
  std::vector<file_stamp> files;  ///< what it was read from: a change means that there is another
  [[nodiscard]] bool same_secret(const credential& other) const {
    return header == other.header && keys == other.keys;
  }
};

/// One way to get a credential. Used by one thread at a time; may block on files and the network.
class credential_source {
 public:
  virtual ~credential_source() = default;
  /// A failure's text names references and hosts, never values.
  [[nodiscard]] virtual result<credential> get(auth_world&, const std::stop_token&) = 0;
};

}  // namespace spillway
