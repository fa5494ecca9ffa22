// How a connection comes about: name, address, socket, TLS.
#include "workers/transport/connection.hpp"
#include "workers/transport/io_thread.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

namespace spillway::net {
namespace {

using clock = std::chrono::steady_clock;

// Calls may wait ten minutes for their answer: without these, a router forgets the connection.
constexpr int keepalive_idle_seconds = 60;
constexpr int keepalive_interval_seconds = 15;

void set_option(int socket, int level, int name, int value) {
  ::setsockopt(socket, level, name, &value, sizeof value);
}

}  // namespace

bool connection::connect_failed(transport_error error, std::string detail) {
  connect_error_ = abort_ == transport_error::cancelled ? abort_ : error;
  connect_detail_ = pool_.server() + ": " + std::move(detail);
  return false;
}

task<bool> connection::connect() {
  connect_deadline_ = clock::now() + pool_.thread().limits().connect_timeout;
  deadline_ = connect_deadline_;
  if (stopped()) co_return connect_failed(transport_error::cancelled, "cancelled");
  const bool found = co_await find_addresses();
  if (!found) co_return false;
  const bool reached = co_await connect_to_any();
  if (!reached) co_return false;
  if (pool_.tls() == nullptr) co_return true;
  const bool trusted = co_await handshake();
  co_return trusted;
}

task<bool> connection::find_addresses() {
  address_book& book = pool_.addresses();
  while (!book.ready()) {
    book.resolve(wakeup_);
    co_await wakeup_.wait();
    book.forget(wakeup_);
    if (stopped()) co_return connect_failed(transport_error::connect, "the name lookup timed out");
    if (!book.ready() && !book.resolving())
      co_return connect_failed(transport_error::connect,
                               book.error() + "; check the host in the pool's endpoint");
  }
  co_return true;
}

bool connection::open_socket(const tcp_endpoint& to) {
  error_code ec;
  socket_.close(ec);
  socket_.open(to.protocol(), ec);
  if (ec) {
    io_error_ = ec.message();
    if (ec == asio::error::no_descriptors) io_error_ += "; raise the limit with `ulimit -n`";
    return false;
  }
  socket_.non_blocking(true, ec);
  const int fd = socket_.native_handle();
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_idle_seconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, keepalive_interval_seconds);
  return true;
}

task<bool> connection::connect_to_any() {
  address_book& book = pool_.addresses();
  const std::vector<tcp_endpoint> addresses = book.addresses();
  const std::uint64_t generation = book.generation();
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const auto now = clock::now();
    deadline_ = now + (connect_deadline_ - now) / static_cast<int>(addresses.size() - i);
    if (!open_socket(addresses[i])) continue;
    const auto connected = co_await socket_.async_connect(addresses[i], no_throw);
    if (stopped()) {
      book.failed(generation);
      co_return connect_failed(transport_error::connect, "connecting timed out");
    }
    const error_code& ec = std::get<0>(connected);
    if (!ec && socket_.is_open()) {
      book.worked(addresses[i]);
      deadline_ = connect_deadline_;
      co_return true;
    }
    io_error_ = ec == asio::error::operation_aborted ? "timed out" : ec.message();
  }
  book.failed(generation);
  co_return connect_failed(transport_error::connect, "cannot connect: " + io_error_);
}

task<bool> connection::handshake() {
  tls_.emplace(*pool_.tls(), socket_.native_handle());
  for (;;) {
    const step s = step_of(tls_->handshake());
    if (s == step::done) co_return true;
    if (s == step::want_read || s == step::want_write) {
      const auto direction = s == step::want_read ? tcp_socket::wait_read : tcp_socket::wait_write;
      co_await socket_.async_wait(direction, no_throw);
      if (stopped()) co_return connect_failed(transport_error::tls, "the TLS handshake timed out");
      continue;
    }
    // A refused session must not be offered again.
    pool_.tls()->session.reset();
    co_return connect_failed(transport_error::tls, "TLS handshake failed: " + tls_->error());
  }
}

}  // namespace spillway::net
