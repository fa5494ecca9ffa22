// One thread with its io_context, the pools bound to it, and the way in and out for calls.
#pragma once

#include "workers/transport/pool.hpp"

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace spillway::net {

class io_thread {
 public:
  io_thread(const transport_limits& limits, std::function<time_point()> now, call_sink sink);
  /// Cancels every call, waits until all have come back and every connection is closed.
  ~io_thread();
  io_thread(const io_thread&) = delete;
  io_thread& operator=(const io_thread&) = delete;

  /// Before start().
  pool& add_pool(const pool_config& config, const endpoint_url& url,
                 std::shared_ptr<tls_context> tls);
  void start();

  // From any thread; carried out in order.
  void submit(pool& to, std::uint32_t lane, std::vector<outgoing_call> calls);
  void cancel_queued();
  void cancel_all();

  // For the pools, on this thread.
  void finished(call_result&& result);
  void connection_began();
  void connection_ended();
  [[nodiscard]] asio::io_context& context() { return context_; }
  [[nodiscard]] time_point now() const { return now_(); }
  [[nodiscard]] const transport_limits& limits() const { return limits_; }

 private:
  enum class what { submit, cancel_queued, cancel_all, close };
  struct command {
    what kind = what::submit;
    pool* to = nullptr;
    std::uint32_t lane = 0;
    time_point at{};
    std::vector<outgoing_call> calls;
  };
  using timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                           asio::wait_traits<std::chrono::steady_clock>, executor>;

  void enqueue(command c);
  void carry_out_all();
  void carry_out(command& c);
  void arm_sweeper();

  transport_limits limits_;
  std::function<time_point()> now_;
  call_sink sink_;
  asio::io_context context_{1};  // one thread runs it
  asio::executor_work_guard<executor> work_;
  timer sweeper_;
  duration sweep_interval_ = std::chrono::milliseconds(50);
  std::size_t connections_ = 0;
  std::vector<std::unique_ptr<pool>> pools_;

  std::vector<call_result> finished_;
  bool flush_posted_ = false;

  std::mutex inbox_mutex_;
  std::vector<command> inbox_;
  std::thread thread_;
};

}  // namespace spillway::net
