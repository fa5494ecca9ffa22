// Asio as the transport uses it: concrete executor, coroutines, errors as values. Private to the
// .cpp files of this folder.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <optional>
#include <utility>

namespace spillway::net {

namespace asio = boost::asio;
using error_code = boost::system::error_code;
using executor = asio::io_context::executor_type;  // concrete: any_io_executor costs a call twice
using tcp_socket = asio::basic_stream_socket<asio::ip::tcp, executor>;
using tcp_endpoint = asio::ip::tcp::endpoint;

template <class T = void>
using task = asio::awaitable<T, executor>;

/// `auto r = co_await op(..., no_throw)` gives a tuple starting with an error_code.
inline constexpr asio::as_tuple_t<asio::deferred_t> no_throw{asio::deferred};

/// Where one coroutine sleeps until another part of the same I/O thread wakes it.
class wakeup {
 public:
  explicit wakeup(executor ex) : executor_(std::move(ex)) {}

  /// Awaitable; returns after the next wake(). At most one waiter.
  auto wait() {
    token use;
    return asio::async_initiate<token, void()>(
        [this](handler h) { waiting_.emplace(std::move(h)); }, use);
  }
  /// Resumes the waiter soon (never inside this call); without one it does nothing.
  void wake() {
    if (!waiting_) return;
    handler h = std::move(*waiting_);
    waiting_.reset();
    asio::post(executor_, std::move(h));
  }

 private:
  using token = asio::use_awaitable_t<executor>;
  using handler = asio::async_result<token, void()>::handler_type;

  executor executor_;
  std::optional<handler> waiting_;
};

}  // namespace spillway::net
