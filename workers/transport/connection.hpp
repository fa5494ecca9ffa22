// One TCP or TLS connection of a pool, from connecting to its end, as one coroutine.
#pragma once

#include "workers/transport/asio_types.hpp"
#include "workers/transport/response_reader.hpp"
#include "workers/transport/tls.hpp"
#include "workers/transport/transport.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace spillway::net {

class pool;
using steady_time = std::chrono::steady_clock::time_point;

/// A call with all that the transport needs to know about it.
struct assignment {
  outgoing_call call;
  time_point submitted_at;
  std::uint32_t lane = 0;  ///< index within the pool
};

/// Owned by its pool, which also outlives the coroutine. All calls come from the pool's thread.
class connection {
 public:
  explicit connection(pool& owner);
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// Connects, then carries calls of the pool until the connection can't be used any more.
  [[nodiscard]] task<> run();
  /// Hands a call to a parked connection.
  void give(assignment&& next);
  /// Idle, not closed by the server and without bytes nobody asked for.
  [[nodiscard]] bool still_open();
  /// Ends it now; its call, if any, comes back with `why`.
  void abort(transport_error why);
  /// Ends whatever has taken too long.
  void check_deadline(steady_time now);

  [[nodiscard]] bool carries_call() const { return has_call_; }
  [[nodiscard]] bool parked() const { return phase_ == phase::parked; }
  [[nodiscard]] steady_time deadline() const { return deadline_; }

  std::size_t index = 0;  ///< in the pool's list

 private:
  enum class phase { connecting, busy, parked };
  enum class step { done, want_read, want_write, closed, failed };

  task<bool> connect();
  task<bool> find_addresses();
  task<bool> connect_to_any();
  task<bool> handshake();
  [[nodiscard]] bool open_socket(const tcp_endpoint& to);
  bool connect_failed(transport_error error, std::string detail);

  void begin_exchange();
  task<> exchange();
  step write_some();
  task<> write_rest();
  task<response_reader::state> receive();
  task<response_reader::state> receive_tls();
  response_reader::state receive_failed(const std::string& why);
  void finish_exchange(response_reader::state state);
  void fill_error();

  [[nodiscard]] bool stopped() const { return abort_ != transport_error::none; }
  [[nodiscard]] std::size_t request_size() const {
    return head_.size() + assigned_.call.request.body.size() - body_in_head_;
  }
  [[nodiscard]] bool anything_written() const;
  void close_socket();
  static step step_of(tls_step s);

  pool& pool_;
  tcp_socket socket_;
  std::optional<tls_session> tls_;
  wakeup wakeup_;
  response_reader reader_;

  phase phase_ = phase::connecting;
  transport_error abort_ = transport_error::none;  // why it was ended from outside
  steady_time deadline_;
  steady_time connect_deadline_;
  transport_error connect_error_ = transport_error::none;
  std::string connect_detail_;

  bool has_call_ = false;
  bool reusable_ = false;
  assignment assigned_;
  call_result result_;
  std::string head_;
  std::size_t body_in_head_ = 0;  // TLS: bytes of the body that share the head's record
  std::size_t sent_ = 0;
  std::uint64_t tls_sent_before_ = 0;
  std::string io_error_;
};

}  // namespace spillway::net
