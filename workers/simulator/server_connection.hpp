// One client connection: reads requests, asks the world what happens, carries it out. Private to
// the simulator's .cpp files, because it brings Asio along.
#pragma once

#include "workers/simulator/input_buffer.hpp"
#include "workers/simulator/world.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <type_traits>
#include <unordered_set>

namespace spillway::simulated {

namespace asio = boost::asio;
using error_code = boost::system::error_code;
using executor = asio::io_context::executor_type;  // concrete: any_io_executor costs a call twice
using tcp_socket = asio::basic_stream_socket<asio::ip::tcp, executor>;
using tls_socket = asio::ssl::stream<tcp_socket>;
using steady_timer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, executor>;
template <class T = void>
using task = asio::awaitable<T, executor>;
inline constexpr asio::use_awaitable_t<executor> use_task{};

/// Unix time that never goes back.
class steady_unix_clock {
 public:
  [[nodiscard]] time_point now() const {
    return wall_ + (std::chrono::steady_clock::now() - steady_);
  }

 private:
  time_point wall_ = std::chrono::system_clock::now();
  std::chrono::steady_clock::time_point steady_ = std::chrono::steady_clock::now();
};

class closable {
 public:
  virtual ~closable() = default;
  /// Ends whatever the connection waits for.
  virtual void close() = 0;
};

/// One thread, its I/O and its connections. Everything but `stopped` is the thread's own.
struct worker {
  worker(world& w, const steady_unix_clock& c) : providers(w), clock(c) {}
  world& providers;
  const steady_unix_clock& clock;
  call_reader reader;
  std::unordered_set<closable*> open;
  bool stopping = false;
  asio::io_context context{1};  // last: destroying it destroys the coroutines that use the rest
  asio::executor_work_guard<executor> work{context.get_executor()};
};

template <class Stream>
class connection final : public closable {
 public:
  template <class... Args>
  connection(worker& w, tcp_socket&& socket, Args&... args)
      : worker_(w), stream_(std::move(socket), args...), timer_(w.context) {
    worker_.open.insert(this);
  }
  ~connection() override { worker_.open.erase(this); }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  void close() override {
    error_code ignored;
    timer_.cancel();
    stream_.lowest_layer().close(ignored);
  }

  /// Until the client leaves, a request asks to close, or `close`.
  task<> run() {
    if (!co_await open()) co_return;
    while (!worker_.stopping) {
      parsed_head parsed;
      if (!co_await receive(parsed)) co_return;
      const std::string_view body = input_.view().substr(parsed.size, parsed.head.content_length);
      output_.clear();
      const verdict v =
          worker_.providers.arrive(worker_.clock.now(), parsed.head, body, worker_.reader, output_);
      input_.used(parsed.size + parsed.head.content_length);
      const bool delivered = co_await carry_out(v);
      worker_.providers.finish(v, delivered);
      if (!delivered || !v.keep_alive) co_return;
      if (output_.capacity() > output_kept) output_ = {};
    }
  }

 private:
  static constexpr std::size_t read_bytes_min = 2048;
  static constexpr std::size_t output_kept = 256u << 10;
  static constexpr duration look_again = std::chrono::milliseconds(5);  // at what is held
  static constexpr bool plain = std::is_same_v<Stream, tcp_socket>;

  task<bool> open() {
    error_code ec;
    auto& socket = stream_.lowest_layer();
    socket.set_option(asio::ip::tcp::no_delay(true), ec);
    socket.non_blocking(true, ec);  // `send` tries at once and waits only when it must
    if constexpr (!plain)
      co_await stream_.async_handshake(asio::ssl::stream_base::server,
                                       asio::redirect_error(use_task, ec));
    co_return !ec;
  }

  /// Reads one request. Answers what is no request itself; false ends the connection.
  task<bool> receive(parsed_head& parsed) {
    bool continued = false;
    while (true) {
      // Parsed anew after each read: that is cheap, and reading moves what the views point to.
      parsed = parse_head(input_.view());
      std::size_t wanted = read_bytes_min;
      if (parsed.state == head_state::complete) {
        const std::size_t size = parsed.size + parsed.head.content_length;
        if (input_.view().size() >= size) co_return true;
        if (parsed.head.expects_continue && !continued) {
          continued = true;
          output_ = "HTTP/1.1 100 Continue\r\n\r\n";
          const bool sent = co_await send(output_);
          if (!sent) co_return false;
        }
        wanted = size - input_.view().size();
      } else if (parsed.state != head_state::partial) {
        co_await refuse(parsed.state);
        co_return false;
      }
      const auto room = input_.room(wanted);
      error_code ec;
      const std::size_t n = co_await stream_.async_read_some(asio::buffer(room.data(), room.size()),
                                                             asio::redirect_error(use_task, ec));
      if (ec) co_return false;
      input_.received(n);
    }
  }

  task<> refuse(head_state state) {
    int status = 400;
    if (state == head_state::too_large) status = 431;
    if (state == head_state::length_required) status = 411;
    if (state == head_state::body_too_large) status = 413;
    output_.clear();
    append_plain(status, "text/plain", reason_phrase(status), false, output_);
    co_await send(output_);
  }

  /// True when the response was written whole while the client was there.
  task<bool> carry_out(const verdict& v) {
    if (v.delay > duration{}) {
      const bool there = co_await pause(v.delay);
      if (!there) co_return false;
    }
    while (!worker_.providers.may_end(v)) {
      const bool there = co_await pause(look_again);
      if (!there) co_return false;
    }
    switch (v.what) {
      case action::reply: break;
      case action::hang: co_await wait_until_client_leaves(); co_return false;
      case action::reset: co_await send_half_and_cut(); co_return false;
      case action::close: cut(); co_return false;
    }
    const bool sent = co_await send(output_);
    co_return sent;
  }

  /// False when it was ended, or the client left meanwhile.
  task<bool> pause(duration time) {
    error_code ec;
    timer_.expires_after(time);
    co_await timer_.async_wait(asio::redirect_error(use_task, ec));
    co_return !ec && !client_left();
  }

  [[nodiscard]] bool client_left() {
    char byte = 0;
    const auto n =
        ::recv(stream_.lowest_layer().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
  }

  task<> wait_until_client_leaves() {
    std::array<char, 512> ignored{};
    error_code ec;
    while (!ec)
      co_await stream_.async_read_some(asio::buffer(ignored), asio::redirect_error(use_task, ec));
  }

  task<> send_half_and_cut() {
    const std::string_view all = output_;
    const std::size_t body = all.find("\r\n\r\n") + 4;
    co_await send(all.substr(0, body + (all.size() - body) / 2));
    cut();
  }

  /// Closes without the usual farewell: the client sees a reset.
  void cut() {
    error_code ignored;
    stream_.lowest_layer().set_option(asio::socket_base::linger(true, 0), ignored);
    stream_.lowest_layer().close(ignored);
  }

  task<bool> send(std::string_view bytes) {
    error_code ec;
    if constexpr (plain) {
      bytes.remove_prefix(stream_.write_some(asio::buffer(bytes), ec));
      if (ec && ec != asio::error::would_block) co_return false;
      if (bytes.empty()) co_return true;
    }
    co_await asio::async_write(stream_, asio::buffer(bytes), asio::redirect_error(use_task, ec));
    co_return !ec;
  }

  worker& worker_;
  Stream stream_;
  steady_timer timer_;
  input_buffer input_;
  std::string output_;
};

}  // namespace spillway::simulated
