#include "workers/simulator/simulator.hpp"

#include "workers/simulator/server_connection.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <thread>

namespace spillway {

namespace simulated {
namespace {

using acceptor = asio::basic_socket_acceptor<asio::ip::tcp, executor>;

constexpr auto accept_pause = std::chrono::milliseconds(20);  // when descriptors run out

/// Expected failures are values here: an exception is a bug, and must not be swallowed.
void rethrow(const std::exception_ptr& e) {
  if (e) std::rethrow_exception(e);
}

task<> serve(worker& w, tcp_socket socket, asio::ssl::context* tls) {
  // The connection is made here, on the worker's thread, which owns the set of connections.
  if (w.stopping) co_return;
  if (tls) {
    connection<tls_socket> c(w, std::move(socket), *tls);
    co_await c.run();
  } else {
    connection<tcp_socket> c(w, std::move(socket));
    co_await c.run();
  }
}

task<> accept_all(acceptor& listener, std::vector<std::unique_ptr<worker>>& workers,
                  asio::ssl::context* tls) {
  steady_timer pause(workers.front()->context);
  for (std::size_t next = 0;; next = (next + 1) % workers.size()) {
    error_code ec;
    worker& w = *workers[next];
    tcp_socket socket =
        co_await listener.async_accept(w.context, asio::redirect_error(use_task, ec));
    if (!listener.is_open()) co_return;
    if (ec) {
      pause.expires_after(accept_pause);
      co_await pause.async_wait(asio::redirect_error(use_task, ec));
    } else {
      asio::co_spawn(w.context, serve(w, std::move(socket), tls), rethrow);
    }
  }
}

failure tls_failure(const std::string& file, const error_code& ec) {
  return {failure_kind::usage, "tls: cannot use " + file + " (" + ec.message() +
                                   "); expected a PEM file with the certificate chain or its key"};
}

}  // namespace
}  // namespace simulated

class simulator::impl {
 public:
  explicit impl(simulator_config config)
      : config_(std::move(config)), providers_(config_, clock_.now()) {
    for (unsigned i = 0; i < std::max(1u, config_.threads); ++i)
      workers_.push_back(std::make_unique<simulated::worker>(providers_, clock_));
    listener_.emplace(workers_.front()->context);
  }
  ~impl() { stop(); }
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  result<void> start() {
    if (config_.tls) {
      if (auto loaded = load_tls(*config_.tls); !loaded) return loaded;
    }
    if (auto listening = listen(); !listening) return listening;
    if (auto opened = providers_.open(url()); !opened) return opened;
    simulated::asio::co_spawn(workers_.front()->context,
                              simulated::accept_all(*listener_, workers_, tls_ ? &*tls_ : nullptr),
                              simulated::rethrow);
    for (auto& w : workers_) threads_.emplace_back([&w = *w] { w.context.run(); });
    return {};
  }

  void stop() {
    if (threads_.empty()) return;
    for (auto& w : workers_) {
      simulated::asio::post(w->context, [this, &w = *w, first = w == workers_.front()] {
        if (first) close_listener();
        w.stopping = true;
        w.work.reset();
        for (simulated::closable* c : w.open) c->close();
      });
    }
    threads_.clear();  // joins
  }

  [[nodiscard]] std::string url() const {
    const bool v6 = config_.host.find(':') != std::string::npos;
    return std::string(config_.tls ? "https://" : "http://") + (v6 ? "[" : "") + config_.host +
           (v6 ? "]:" : ":") + std::to_string(port_);
  }
  [[nodiscard]] const simulator_config& config() const { return config_; }
  [[nodiscard]] std::string stats() const { return providers_.stats(); }

 private:
  void close_listener() {
    simulated::error_code ignored;
    listener_->close(ignored);
  }

  result<void> load_tls(const simulated::tls_files& files) {
    namespace ssl = simulated::asio::ssl;
    simulated::error_code ec;
    tls_.emplace(ssl::context::tls_server);
    tls_->use_certificate_chain_file(files.cert_file, ec);
    if (ec) return simulated::tls_failure(files.cert_file, ec);
    tls_->use_private_key_file(files.key_file, ssl::context::pem, ec);
    if (ec) return simulated::tls_failure(files.key_file, ec);
    return {};
  }

  result<void> listen() {
    namespace asio = simulated::asio;
    simulated::error_code ec;
    const auto address = asio::ip::make_address(config_.host, ec);
    if (ec || !address.is_loopback())
      return failure{failure_kind::usage,
                     "listen: " + config_.host + " is no loopback address; use 127.0.0.1 or ::1"};
    const asio::ip::tcp::endpoint where(address, config_.port);
    listener_->open(where.protocol(), ec);
    if (!ec) listener_->set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec) listener_->bind(where, ec);
    if (!ec) listener_->listen(asio::socket_base::max_listen_connections, ec);
    if (ec)
      return failure{failure_kind::usage, "cannot listen on " + config_.host + ":" +
                                              std::to_string(config_.port) + " (" + ec.message() +
                                              "); choose another port, or 0 for any free one"};
    port_ = listener_->local_endpoint().port();
    return {};
  }

  const simulator_config config_;
  const simulated::steady_unix_clock clock_;
  simulated::world providers_;
  std::optional<simulated::asio::ssl::context> tls_;
  std::vector<std::unique_ptr<simulated::worker>> workers_;
  std::optional<simulated::acceptor> listener_;  // after the workers: closed before they go
  std::vector<std::jthread> threads_;
  std::uint16_t port_ = 0;
};

simulator::simulator(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
simulator::simulator(simulator&&) noexcept = default;
simulator& simulator::operator=(simulator&&) noexcept = default;
simulator::~simulator() = default;

result<simulator> simulator::start(simulator_config config) {
  auto made = std::make_unique<impl>(std::move(config));
  if (auto started = made->start(); !started) return started.error();
  return simulator(std::move(made));
}

std::string simulator::url() const { return impl_->url(); }

std::string simulator::endpoint(const std::string& pool) const {
  for (const auto& p : impl_->config().pools)
    if (p.name == pool) return url() + p.base_path();
  ensure(false, "simulator::endpoint names a pool of its configuration");
  return {};
}

std::vector<std::pair<std::string, std::string>> simulator::endpoints() const {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& p : impl_->config().pools) all.emplace_back(p.name, url() + p.base_path());
  return all;
}

std::string simulator::stats_json() const { return impl_->stats(); }

void simulator::stop() { impl_->stop(); }

}  // namespace spillway
