// A small HTTP/1.1 server for a member's own pages: GET and HEAD, one thread, everything bounded.
#pragma once

#include "schemas/result.hpp"
#include "schemas/units.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace spillway::service {

struct server_settings {
  std::string host = "127.0.0.1";  ///< an address, or "localhost"
  std::uint16_t port = 0;          ///< 0: any free one
  std::size_t connections_max = 64;
  std::size_t header_bytes_max = 8 << 10;
  std::size_t body_bytes_max = 16 << 10;                 ///< bodies are read and ignored
  duration idle_timeout = std::chrono::minutes(2);       ///< between requests
  duration request_timeout = std::chrono::seconds(10);   ///< first byte to last
  duration response_timeout = std::chrono::seconds(30);  ///< until the client took all of it
  duration stop_grace = std::chrono::seconds(1);         ///< at stop, for responses under way
};

/// Views are good until the handler returns.
struct request {
  std::string_view method;  ///< as it came; "GET" also for HEAD
  std::string_view path;    ///< begins with '/', not decoded
  std::string_view query;   ///< behind '?', not decoded
};

struct response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string allow;  ///< methods, for a 405
};

/// `{"error":{"status":…,"message":…}}`
[[nodiscard]] response error_response(unsigned status, std::string_view message);

/// Called on the server's thread, one request at a time: it must not block. A handler that throws
/// is answered with 500.
using handler = std::function<response(const request&)>;

/// True when nobody but this machine can reach a server on `host`.
[[nodiscard]] bool is_loopback(const std::string& host);

/// Whatever is no request is answered here: 400, 413, 431; a client that is too slow is cut off. At
/// `connections_max` the connection idle for longest makes room; if none is idle, new ones wait.
class http_server {
 public:
  /// Fails (usage) when it cannot listen there.
  [[nodiscard]] static result<http_server> start(server_settings, handler);
  http_server(http_server&&) noexcept;
  http_server& operator=(http_server&&) noexcept;
  /// As `stop`.
  ~http_server();

  [[nodiscard]] std::uint16_t port() const;
  /// "http://127.0.0.1:9464"
  [[nodiscard]] const std::string& url() const;
  /// Returns when the thread has ended and every connection is closed, `stop_grace` at most after
  /// the handler's current call. Idempotent.
  void stop();

 private:
  class impl;
  explicit http_server(std::unique_ptr<impl>);
  std::unique_ptr<impl> impl_;
};

}  // namespace spillway::service
