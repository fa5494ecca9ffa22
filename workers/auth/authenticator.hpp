// Credentials for requests: static keys, signatures and tokens that refresh themselves.
#pragma once

#include "schemas/config.hpp"
#include "schemas/result.hpp"
#include "workers/http.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace spillway {

/// What a request was given.
struct credential_use {
  std::uint64_t generation = 0;           ///< of the credential; grows whenever it is replaced
  std::optional<time_point> send_before;  ///< the provider refuses it later: a signature's age
};

/// What to do about a call that was refused for its credential.
enum class refused_advice {
  resend,  ///< a newer credential is there, or is being fetched: send it again
  stop,    ///< the newest one was refused: the lane's credentials are wrong
};

/// Thread-safe; no call blocks on I/O.
class authenticator {
 public:
  virtual ~authenticator() = default;
  /// Adds credential headers to a request that is otherwise complete. Fails when there is no usable
  /// credential now: the call must not be sent.
  [[nodiscard]] virtual result<credential_use> authenticate(http_request&) const = 0;
  /// Why nothing can be sent now, in one line without secrets; nothing when a credential is usable.
  [[nodiscard]] virtual std::optional<std::string> missing() const { return std::nullopt; }
  /// The first credential is under way and nothing has failed yet: `missing`, but no trouble.
  [[nodiscard]] virtual bool starting() const { return false; }
  /// The provider refused the credential of this generation. Many calls may say so at once.
  [[nodiscard]] virtual refused_advice refused(std::uint64_t generation) {
    static_cast<void>(generation);
    return refused_advice::stop;
  }
  /// Of the newest credential: a lane that is down for a refused one is tried again when it grows.
  [[nodiscard]] virtual std::uint64_t generation() const { return 0; }
};

/// Fails, naming references but never values, when a secret is missing or empty, or holds
/// characters a header can't carry. A key is refused for plain HTTP to anything but loopback.
[[nodiscard]] result<std::unique_ptr<authenticator>> make_authenticator(const pool_config&);

}  // namespace spillway
