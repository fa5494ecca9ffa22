#include "orchestrator/service/http_server.hpp"

#include "orchestrator/runtime/json_string.hpp"
#include "workers/providers/text.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <pthread.h>

#include <algorithm>
#include <array>
#include <exception>
#include <list>
#include <optional>
#include <thread>

namespace spillway::service {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

using error_code = boost::system::error_code;
using executor = asio::io_context::executor_type;
using tcp_socket = asio::basic_stream_socket<asio::ip::tcp, executor>;
using tcp_stream = beast::basic_stream<asio::ip::tcp, executor>;
using acceptor = asio::basic_socket_acceptor<asio::ip::tcp, executor>;
using timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, executor>;
template <class T = void>
using task = asio::awaitable<T, executor>;
constexpr asio::use_awaitable_t<executor> use_task{};

constexpr auto accept_pause = std::chrono::milliseconds(20);  // when descriptors run out
constexpr std::size_t first_read_bytes = 2048;

/// Expected failures are values here: an exception is a bug, and must not be swallowed.
void rethrow(const std::exception_ptr& e) {
  if (e) std::rethrow_exception(e);
}

struct split_target {
  std::string_view path, query;
};

/// Nothing for what is not an absolute path with an optional query.
std::optional<split_target> split(std::string_view target) {
  if (!target.starts_with('/')) return std::nullopt;
  target = target.substr(0, target.find('#'));
  const auto mark = target.find('?');
  if (mark == std::string_view::npos) return split_target{target, {}};
  return split_target{target.substr(0, mark), target.substr(mark + 1)};
}

/// What to answer a request that can't be read; nothing when there is nobody to answer.
std::optional<response> refusal(const error_code& ec) {
  if (ec == http::error::end_of_stream || ec == http::error::partial_message) return std::nullopt;
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
    return error_response(431, "the request's header is too large");
  if (ec == http::error::body_limit) return error_response(413, "the request's body is too large");
  static const auto& parse_errors = error_code(http::error::bad_method).category();
  if (ec.category() == parse_errors) return error_response(400, "not an HTTP/1 request");
  return std::nullopt;
}

struct connection {
  enum class phase { idle, reading, answering };

  explicit connection(tcp_socket&& socket) : stream(std::move(socket)) {}
  tcp_stream stream;
  phase now = phase::idle;
  std::chrono::steady_clock::time_point idle_since = std::chrono::steady_clock::now();
};

result<asio::ip::address> address_of(std::string host) {
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  error_code ec;
  const auto address = asio::ip::make_address(host, ec);
  if (ec)
    return failure{failure_kind::usage, "cannot listen on \"" + host +
                                            "\": expected an IP address, such as 127.0.0.1, ::1 or "
                                            "0.0.0.0"};
  return address;
}

}  // namespace

response error_response(unsigned status, std::string_view message) {
  response out;
  out.status = status;
  out.body = R"({"error":{"status":)" + std::to_string(status) + R"(,"message":)" +
             json_string(valid_utf8(message)) + "}}\n";
  return out;
}

bool is_loopback(const std::string& host) {
  const auto address = address_of(host);
  return address && address->is_loopback();
}

class http_server::impl {
 public:
  impl(server_settings settings, handler h)
      : settings_(std::move(settings)), handler_(std::move(h)) {}
  ~impl() { stop(); }
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  result<void> start() {
    ensure(settings_.connections_max > 0, "an HTTP server has room for a connection");
    if (auto listening = listen(); !listening) return listening;
    asio::co_spawn(context_, accept_all(), rethrow);
    thread_ = std::thread([this] {
      ::pthread_setname_np(::pthread_self(), "spillway-http");
      context_.run();
    });
    return {};
  }

  void stop() {
    if (!thread_.joinable()) return;
    asio::post(context_, [this] { begin_stop(); });
    thread_.join();  // the context runs dry once the last connection and the acceptor have ended
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& url() const { return url_; }

 private:
  result<void> listen() {
    const auto address = address_of(settings_.host);
    if (!address) return address.error();
    const asio::ip::tcp::endpoint where(*address, settings_.port);
    error_code ec;
    listener_.open(where.protocol(), ec);
    if (!ec) listener_.set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec) listener_.bind(where, ec);
    if (!ec) listener_.listen(asio::socket_base::max_listen_connections, ec);
    const std::string shown =
        address->is_v6() ? "[" + address->to_string() + "]" : address->to_string();
    if (ec)
      return failure{failure_kind::usage,
                     "cannot listen on " + shown + ":" + std::to_string(settings_.port) + " (" +
                         ec.message() + "); choose another address or port, or port 0 for any"};
    port_ = listener_.local_endpoint().port();
    url_ = "http://" + shown + ":" + std::to_string(port_);
    return {};
  }

  task<> accept_all() {
    while (!stopping_) {
      error_code ec;
      co_await listener_.async_wait(acceptor::wait_read, asio::redirect_error(use_task, ec));
      if (stopping_) co_return;
      // Somebody is at the door: only now may an idle connection have to go.
      if (connections_.size() >= settings_.connections_max && !evict_idle()) {
        co_await room();
        continue;
      }
      tcp_socket socket = co_await listener_.async_accept(asio::redirect_error(use_task, ec));
      if (stopping_) co_return;
      if (ec) {
        co_await pause();
        continue;
      }
      const auto self = connections_.emplace(connections_.end(), std::move(socket));
      asio::co_spawn(context_, serve(self), rethrow);
    }
  }

  task<> pause() {
    error_code ignored;
    acceptor_timer_.expires_after(accept_pause);
    co_await acceptor_timer_.async_wait(asio::redirect_error(use_task, ignored));
  }

  /// Until a connection ended or became idle, or the server stops.
  task<> room() {
    error_code ignored;
    acceptor_timer_.expires_at(timer::time_point::max());
    co_await acceptor_timer_.async_wait(asio::redirect_error(use_task, ignored));
  }

  bool evict_idle() {
    connection* oldest = nullptr;
    for (connection& c : connections_)
      if (c.now == connection::phase::idle && (!oldest || c.idle_since < oldest->idle_since))
        oldest = &c;
    if (!oldest) return false;
    // It leaves the list when its coroutine resumes; until then it counts as busy.
    oldest->now = connection::phase::answering;
    oldest->stream.close();
    return true;
  }

  task<> serve(std::list<connection>::iterator self) {
    co_await talk(*self);
    self->stream.close();
    connections_.erase(self);
    acceptor_timer_.cancel();
    if (connections_.empty()) grace_.cancel();
  }

  task<> talk(connection& c) {
    error_code ec;
    c.stream.socket().set_option(asio::ip::tcp::no_delay(true), ec);
    beast::flat_buffer buffer(settings_.header_bytes_max + settings_.body_bytes_max);
    while (!stopping_) {
      if (buffer.size() == 0) {
        const bool more = co_await wait_for_request(c, buffer);
        if (!more) co_return;
      }
      const bool again = co_await exchange(c, buffer);
      if (!again) co_return;
    }
  }

  task<bool> wait_for_request(connection& c, beast::flat_buffer& buffer) {
    c.now = connection::phase::idle;
    c.idle_since = std::chrono::steady_clock::now();
    acceptor_timer_.cancel();  // someone may be waiting for a connection to give up
    c.stream.expires_after(settings_.idle_timeout);
    error_code ec;
    const std::size_t n = co_await c.stream.async_read_some(
        buffer.prepare(std::min(first_read_bytes, buffer.max_size())),
        asio::redirect_error(use_task, ec));
    buffer.commit(n);
    co_return !ec && !stopping_;
  }

  /// One request and its response. False ends the connection.
  task<bool> exchange(connection& c, beast::flat_buffer& buffer) {
    c.now = connection::phase::reading;
    c.stream.expires_after(settings_.request_timeout);
    http::request_parser<http::string_body> parser;
    parser.header_limit(static_cast<std::uint32_t>(settings_.header_bytes_max));
    parser.body_limit(settings_.body_bytes_max);
    error_code ec;
    co_await http::async_read(c.stream, buffer, parser, asio::redirect_error(use_task, ec));
    if (stopping_) co_return false;
    c.now = connection::phase::answering;
    c.stream.expires_after(settings_.response_timeout);
    if (ec) {
      if (const auto refused = refusal(ec)) {
        co_await send(c, *refused, http::verb::get, 11, false);
        co_await hang_up(c);
      }
      co_return false;
    }
    const auto& message = parser.get();
    const response answer = answer_to(message);
    const bool sent =
        co_await send(c, answer, message.method(), message.version(), message.keep_alive());
    co_return sent&& message.keep_alive();
  }

  template <class Message>
  response answer_to(const Message& message) {
    const std::string_view target(message.target().data(), message.target().size());
    const auto where = split(target);
    if (!where) return error_response(400, "the request's target must begin with '/'");
    if (message.version() >= 11 && message.count(http::field::host) != 1)
      return error_response(400, "an HTTP/1.1 request has one Host header");
    const bool head = message.method() == http::verb::head;
    const auto method = message.method_string();
    request asked;
    asked.method = head ? "GET" : std::string_view(method.data(), method.size());
    asked.path = where->path;
    asked.query = where->query;
    try {
      return handler_(asked);
    } catch (const std::exception& e) {
      // A page that can't be shown must not end calls that are being paid for.
      return error_response(500, e.what());
    }
  }

  task<bool> send(connection& c, const response& answer, http::verb asked, unsigned version,
                  bool keep_alive) {
    http::response<http::span_body<const char>> out;
    out.version(version);
    out.result(answer.status);
    out.set(http::field::server, "spillway");
    out.set(http::field::content_type, answer.content_type);
    out.set(http::field::cache_control, "no-store");
    if (!answer.allow.empty()) out.set(http::field::allow, answer.allow);
    out.keep_alive(keep_alive);
    out.content_length(answer.body.size());
    if (asked != http::verb::head)
      out.body() = beast::span<const char>(answer.body.data(), answer.body.size());
    http::response_serializer<http::span_body<const char>> writer(out);
    error_code ec;
    if (asked == http::verb::head)
      co_await http::async_write_header(c.stream, writer, asio::redirect_error(use_task, ec));
    else
      co_await http::async_write(c.stream, writer, asio::redirect_error(use_task, ec));
    co_return !ec;
  }

  /// Lets a client that is still sending read its refusal: closing at once could reset it away.
  task<> hang_up(connection& c) {
    error_code ec;
    c.stream.socket().shutdown(asio::socket_base::shutdown_send, ec);
    c.stream.expires_after(settings_.request_timeout);
    std::array<char, first_read_bytes> ignored;
    std::size_t taken = 0;
    const std::size_t taken_max = settings_.header_bytes_max + settings_.body_bytes_max;
    while (!ec && !stopping_ && taken < taken_max)
      taken += co_await c.stream.async_read_some(asio::buffer(ignored),
                                                 asio::redirect_error(use_task, ec));
  }

  void begin_stop() {
    stopping_ = true;
    error_code ignored;
    listener_.close(ignored);
    acceptor_timer_.cancel();
    bool answering = false;
    for (connection& c : connections_) {
      if (c.now == connection::phase::answering)
        answering = true;
      else
        c.stream.close();
    }
    if (!answering) return;
    grace_.expires_after(settings_.stop_grace);
    grace_.async_wait([this](const error_code& ec) {
      if (ec) return;
      for (connection& c : connections_) c.stream.close();
    });
  }

  const server_settings settings_;
  const handler handler_;
  bool stopping_ = false;
  std::uint16_t port_ = 0;
  std::string url_;
  asio::io_context context_{1};
  acceptor listener_{context_};
  timer acceptor_timer_{context_};  ///< the acceptor's sleep
  timer grace_{context_};
  std::list<connection> connections_;
  std::thread thread_;
};

http_server::http_server(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
http_server::http_server(http_server&&) noexcept = default;
http_server& http_server::operator=(http_server&&) noexcept = default;
http_server::~http_server() = default;

result<http_server> http_server::start(server_settings settings, handler h) {
  auto made = std::make_unique<impl>(std::move(settings), std::move(h));
  if (auto started = made->start(); !started) return started.error();
  return http_server(std::move(made));
}

std::uint16_t http_server::port() const { return impl_->port(); }
const std::string& http_server::url() const { return impl_->url(); }
void http_server::stop() { impl_->stop(); }

}  // namespace spillway::service
