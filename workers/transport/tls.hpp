// TLS for client connections: OpenSSL on a non-blocking socket, no I/O loop of its own.
//
// Not asio::ssl::stream: that keeps two BIO pairs and two 17 KB buffers for each connection (72 KB;
// a session here holds its buffers only while bytes move) and can't tell whether anything left.
#pragma once

#include "schemas/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

// OpenSSL's own names for its opaque types.
struct ssl_ctx_st;
struct ssl_st;
struct ssl_session_st;
struct bio_st;

namespace spillway::net {

struct openssl_free {
  void operator()(ssl_ctx_st*) const;
  void operator()(ssl_st*) const;
  void operator()(ssl_session_st*) const;
};

/// Trust and protocol settings, shared by all pools with the same CA file. Thread-safe.
class tls_context {
 public:
  /// An empty `ca_file` means the system's trust store. Fails when the file can't be used.
  [[nodiscard]] static result<std::shared_ptr<tls_context>> make(const std::string& ca_file);
  [[nodiscard]] ssl_ctx_st* native() const { return context_.get(); }

 private:
  explicit tls_context(std::unique_ptr<ssl_ctx_st, openssl_free> c) : context_(std::move(c)) {}
  std::unique_ptr<ssl_ctx_st, openssl_free> context_;
};

/// The server a pool talks to, with the last session for quick resumption. One thread.
struct tls_peer {
  std::shared_ptr<tls_context> context;
  std::string host;
  std::unique_ptr<ssl_session_st, openssl_free> session;
};

enum class tls_step { done, want_read, want_write, closed, failed };

/// One TLS connection over a connected socket it doesn't own. Every call returns at once;
/// `want_*` asks to call again when the socket is ready.
class tls_session {
 public:
  tls_session(tls_peer& peer, int socket);
  tls_session(const tls_session&) = delete;
  tls_session& operator=(const tls_session&) = delete;

  [[nodiscard]] tls_step handshake();
  [[nodiscard]] tls_step read(char* data, std::size_t size, std::size_t& got);
  [[nodiscard]] tls_step write(const char* data, std::size_t size, std::size_t& put);
  /// Handles what is pending on an idle connection; true when it is still open and silent.
  [[nodiscard]] bool idle_and_open();
  /// Says goodbye without waiting for an answer.
  void shutdown();
  /// To be called when the socket is closed: its number may soon be another connection's.
  void detach() { socket_ = -1; }

  /// Bytes the kernel took, the handshake's included.
  [[nodiscard]] std::uint64_t bytes_sent() const { return bytes_sent_; }
  /// Why the last step failed, and what to do about it.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  friend struct tls_bio;
  tls_step step_of(int returned);
  void explain(int code);

  tls_peer& peer_;
  int socket_;
  int socket_errno_ = 0;
  bool socket_eof_ = false;
  std::uint64_t bytes_sent_ = 0;
  std::string error_;
  std::unique_ptr<ssl_st, openssl_free> ssl_;
};

}  // namespace spillway::net
