// The queues and connections of one configured pool. Everything happens on its I/O thread.
#pragma once

#include "workers/transport/address_book.hpp"
#include "workers/transport/connection.hpp"

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace spillway::net {

class io_thread;

class pool {
 public:
  pool(io_thread& thread, const pool_config& config, const endpoint_url& url,
       std::shared_ptr<tls_context> tls);
  ~pool();
  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;

  void submit(std::uint32_t lane, std::vector<outgoing_call> calls, time_point at);
  void cancel_queued();
  void cancel_all();
  /// cancel_all(), and no connection is opened again.
  void close();
  void sweep(steady_time now);
  /// The shortest time anything here may take: how finely sweep() must be called.
  [[nodiscard]] duration shortest_timeout() const;

  // For its connections.

  /// The next call whose lane has room, lanes taking turns. False when there is none.
  [[nodiscard]] bool take(assignment& into);
  /// True if the call may still be written; else it is given back and its place is free.
  [[nodiscard]] bool still_wanted(assignment& taken);
  void finish(std::uint32_t lane, call_result&& result);
  void connected() { --connecting_; }
  /// The attempt is over; one waiting call comes back with the error.
  void connect_failed(transport_error error, const std::string& detail);
  void park(connection& idle) { parked_.push_back(&idle); }

  [[nodiscard]] io_thread& thread() { return thread_; }
  [[nodiscard]] address_book& addresses() { return addresses_; }
  [[nodiscard]] tls_peer* tls() { return tls_.context ? &tls_ : nullptr; }
  [[nodiscard]] const std::string& server() const { return server_; }
  [[nodiscard]] const std::string& head_middle() const { return head_middle_; }
  [[nodiscard]] duration timeout(std::uint32_t lane) const { return lanes_[lane].timeout; }

 private:
  struct waiting_call {
    outgoing_call call;
    time_point submitted_at;
  };
  struct lane_state {
    std::deque<waiting_call> ready;
    std::int64_t running = 0;
    std::int64_t cap = 0;
    duration timeout{};
  };

  void dispatch();
  [[nodiscard]] std::int64_t runnable() const;
  void open_connection();
  void ended(connection& over);
  void return_late(lane_state& lane);
  void return_unsent(waiting_call&& waiting, transport_error error, std::string detail);

  io_thread& thread_;
  address_book addresses_;
  tls_peer tls_;
  std::string server_;       // "host:port" for messages
  std::string head_middle_;  // what stands between the target and the length
  std::int64_t cap_;
  std::vector<lane_state> lanes_;
  std::size_t turn_ = 0;
  bool closed_ = false;
  std::int64_t connecting_ = 0;
  std::vector<std::unique_ptr<connection>> connections_;
  std::deque<connection*> parked_;  // the one idle longest comes first
};

}  // namespace spillway::net
