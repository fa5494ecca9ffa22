// Servers for transport tests: one that does exactly what a script says, however wrong, and one
// that answers only when a given number of requests wait.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace spillway::test {

/// A certificate authority and one server certificate signed by it, kept in memory.
struct server_identity {
  std::shared_ptr<X509> authority, certificate;
  std::shared_ptr<EVP_PKEY> key;

  /// `subject_alt_name` as OpenSSL writes it: "DNS:localhost,IP:127.0.0.1".
  static server_identity make(const std::string& subject_alt_name, bool expired = false);
  void write_authority(const std::string& path) const;
};

/// One accepted connection, used by blocking calls on a thread of its own.
class peer {
 public:
  explicit peer(int socket) : socket_(socket) {}
  ~peer();
  peer(const peer&) = delete;
  peer& operator=(const peer&) = delete;

  bool accept_tls(SSL_CTX* context);
  /// The next request, head and body; empty when the client is gone.
  std::optional<std::string> read_request();
  /// The next request's head; its body stays unread.
  std::optional<std::string> read_head();
  void send(std::string_view bytes);
  /// Content-Length framed 200.
  void answer(std::string_view body, std::string_view extra_headers = {});
  /// Ends the connection, over TLS with close_notify.
  void close();
  void close_without_notify();
  /// Ends it by RST.
  void reset();
  /// Waits until the client ends the connection.
  void wait_closed();
  [[nodiscard]] bool session_reused() const { return SSL_session_reused(ssl_.get()) == 1; }

 private:
  friend class scripted_server;
  bool read_more();

  std::atomic<int> socket_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_{nullptr, &SSL_free};
  std::string buffer_;
};

/// Runs `script(peer, connection number)` for each connection, each on its own thread.
class scripted_server {
 public:
  using script = std::function<void(peer&, int)>;

  explicit scripted_server(script s, const server_identity* identity = nullptr);
  ~scripted_server();

  [[nodiscard]] std::string port() const { return std::to_string(port_); }
  [[nodiscard]] std::string endpoint() const { return "http://127.0.0.1:" + port(); }
  [[nodiscard]] int accepted() const { return accepted_; }

 private:
  void accept_loop();

  script script_;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> tls_{nullptr, &SSL_CTX_free};
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> accepted_ = 0;
  std::mutex mutex_;
  std::list<peer> peers_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

/// Answers all waiting requests at once whenever `group` of them wait; `{"n":<body>}`.
class gathering_server {
 public:
  explicit gathering_server(std::size_t group);
  ~gathering_server();

  [[nodiscard]] std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::size_t peak() const { return peak_; }

 private:
  void run();

  std::size_t group_;
  std::atomic<std::size_t> peak_ = 0;
  int listener_ = -1;
  int port_ = 0;
  int stop_pipe_[2] = {-1, -1};
  std::thread thread_;
};

/// A listening socket on 127.0.0.1; returns the descriptor.
int listen_on_loopback(int backlog, int& port);

}  // namespace spillway::test
