// What credentials need of the outside: time, environment, HTTP. A test supplies its own.
#pragma once

#include "schemas/result.hpp"
#include "schemas/units.hpp"

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace spillway {

class authenticator;
struct pool_config;

/// A call to a token endpoint or metadata server.
struct token_request {
  std::string method = "GET";
  std::string url;
  std::string headers;  ///< "Name: value\r\n" lines
  std::string body;
  std::string ca_file;  ///< trusted besides the system's store; may be empty
  duration timeout = std::chrono::seconds(20);
};

struct token_response {
  int status = 0;
  std::string body;
};

/// Thread-safe. Outlives the authenticators made with it.
class auth_world {
 public:
  virtual ~auth_world() = default;
  /// Unix time as the engine counts it; never goes back.
  [[nodiscard]] virtual time_point now() const = 0;
  /// The machine's clock, which may be set while we run: what signatures and expiries go by.
  [[nodiscard]] virtual time_point wall() const { return now(); }
  /// May block until the request's timeout or the stop. Any status is an answer; a failure says why
  /// there was none, without secrets.
  [[nodiscard]] virtual result<token_response> fetch(const token_request&,
                                                     const std::stop_token&) = 0;
  [[nodiscard]] virtual std::optional<std::string> environment(const std::string& name) const = 0;
  /// A credential came, was replaced or went. Called by any thread; must not call back.
  virtual void changed() {}
  /// False: no threads are made; what is due is done within the calls of an authenticator, so that
  /// a simulated run repeats.
  [[nodiscard]] virtual bool has_threads() const { return true; }
};

/// The machine itself: libcurl with TLS verification, no redirects, no proxies, answers of at most
/// 256 KB.
[[nodiscard]] auth_world& system_world();

/// `make_authenticator` in a world of the caller's. Does not wait for the network: what has to be
/// fetched is fetched in the background, and `missing` says so until it is there.
[[nodiscard]] result<std::unique_ptr<authenticator>> make_authenticator(const pool_config&,
                                                                        auth_world&);

}  // namespace spillway
