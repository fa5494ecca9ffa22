#include "tests/unit/stub_server.hpp"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace spillway::test {
namespace {

void require(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::abort();
}

std::shared_ptr<EVP_PKEY> make_key() { return {EVP_EC_gen("P-256"), &EVP_PKEY_free}; }

std::shared_ptr<X509> make_certificate(EVP_PKEY* key, const char* name, X509* issuer,
                                       EVP_PKEY* issuer_key, const char* extension,
                                       const std::string& value, bool expired) {
  static std::atomic<long> serial = 1;
  std::shared_ptr<X509> cert(X509_new(), &X509_free);
  X509* const x = cert.get();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
  X509_gmtime_adj(X509_getm_notBefore(x), -7200);
  X509_gmtime_adj(X509_getm_notAfter(x), expired ? -3600 : 3600);
  X509_set_pubkey(x, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(issuer == nullptr ? x : issuer));
  X509_EXTENSION* const e = X509V3_EXT_conf(nullptr, nullptr, extension, value.c_str());
  require(e != nullptr, "certificate extension");
  X509_add_ext(x, e, -1);
  X509_EXTENSION_free(e);
  require(X509_sign(x, issuer_key, EVP_sha256()) > 0, "sign");
  return cert;
}

std::size_t content_length(std::string_view head) {
  constexpr std::string_view name = "Content-Length: ";
  const auto at = head.find(name);
  std::size_t length = 0;
  if (at != std::string_view::npos)
    std::from_chars(head.data() + at + name.size(), head.data() + head.size(), length);
  return length;
}

}  // namespace

int listen_on_loopback(int backlog, int& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  require(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
  require(::listen(fd, backlog) == 0, "listen");
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

server_identity server_identity::make(const std::string& subject_alt_name, bool expired) {
  const auto authority_key = make_key();
  server_identity id;
  id.authority =
      make_certificate(authority_key.get(), "test authority", nullptr, authority_key.get(),
                       "basicConstraints", "critical,CA:TRUE", false);
  id.key = make_key();
  id.certificate =
      make_certificate(id.key.get(), "test server", id.authority.get(), authority_key.get(),
                       "subjectAltName", subject_alt_name, expired);
  return id;
}

void server_identity::write_authority(const std::string& path) const {
  std::FILE* file = std::fopen(path.c_str(), "w");
  require(file != nullptr, "CA file");
  PEM_write_X509(file, authority.get());
  std::fclose(file);
}

peer::~peer() {
  ssl_.reset();
  if (socket_ >= 0) ::close(socket_);
}

bool peer::accept_tls(SSL_CTX* context) {
  ssl_.reset(SSL_new(context));
  SSL_set_fd(ssl_.get(), socket_);
  return SSL_accept(ssl_.get()) == 1;
}

bool peer::read_more() {
  std::array<char, 65536> chunk;
  const auto n = ssl_ ? static_cast<ssize_t>(SSL_read(ssl_.get(), chunk.data(), chunk.size()))
                      : ::recv(socket_, chunk.data(), chunk.size(), 0);
  if (n > 0) buffer_.append(chunk.data(), static_cast<std::size_t>(n));
  return n > 0;
}

std::optional<std::string> peer::read_head() {
  for (;;) {
    if (const auto end = buffer_.find("\r\n\r\n"); end != std::string::npos) {
      std::string head = buffer_.substr(0, end + 4);
      buffer_.erase(0, end + 4);
      return head;
    }
    if (!read_more()) return std::nullopt;
  }
}

std::optional<std::string> peer::read_request() {
  auto request = read_head();
  if (!request) return std::nullopt;
  const std::size_t length = content_length(*request);
  while (buffer_.size() < length)
    if (!read_more()) return std::nullopt;
  *request += buffer_.substr(0, length);
  buffer_.erase(0, length);
  return request;
}

void peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ssl_ ? static_cast<ssize_t>(
                              SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())))
                        : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void peer::answer(std::string_view body, std::string_view extra_headers) {
  send("HTTP/1.1 200 OK\r\n" + std::string(extra_headers) +
       "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
}

void peer::close() {
  if (ssl_) SSL_shutdown(ssl_.get());
  close_without_notify();
}

void peer::close_without_notify() {
  const int socket = socket_.exchange(-1);
  if (socket >= 0) ::close(socket);
}

void peer::reset() {
  const linger now{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close_without_notify();
}

void peer::wait_closed() {
  while (read_more()) {
  }
}

scripted_server::scripted_server(script s, const server_identity* identity)
    : script_(std::move(s)) {
  if (identity != nullptr) {
    // SSL_write has no MSG_NOSIGNAL, and clients that hang up are what these tests are about.
    ::signal(SIGPIPE, SIG_IGN);
    tls_.reset(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_use_certificate(tls_.get(), identity->certificate.get());
    SSL_CTX_use_PrivateKey(tls_.get(), identity->key.get());
    SSL_CTX_set_session_id_context(tls_.get(), reinterpret_cast<const unsigned char*>("t"), 1);
  }
  listener_ = listen_on_loopback(1024, port_);
  acceptor_ = std::thread([this] { accept_loop(); });
}

scripted_server::~scripted_server() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    const std::lock_guard lock(mutex_);
    for (peer& p : peers_)
      if (const int socket = p.socket_; socket >= 0) ::shutdown(socket, SHUT_RDWR);
  }
  for (std::thread& t : threads_) t.join();
}

void scripted_server::accept_loop() {
  for (;;) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    const int one = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const std::lock_guard lock(mutex_);
    peer& p = peers_.emplace_back(socket);
    const int number = accepted_++;
    threads_.emplace_back([this, &p, number] {
      if (tls_ && !p.accept_tls(tls_.get())) return p.close_without_notify();
      script_(p, number);
    });
  }
}

gathering_server::gathering_server(std::size_t group) : group_(group) {
  listener_ = listen_on_loopback(4096, port_);
  require(::pipe(stop_pipe_) == 0, "pipe");
  thread_ = std::thread([this] { run(); });
}

gathering_server::~gathering_server() {
  ::close(stop_pipe_[1]);
  thread_.join();
  ::close(stop_pipe_[0]);
  ::close(listener_);
}

void gathering_server::run() {
  const int poller = ::epoll_create1(EPOLL_CLOEXEC);
  const auto watch = [poller](int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
  };
  watch(listener_);
  watch(stop_pipe_[0]);
  std::map<int, std::string> clients;
  std::vector<int> waiting;
  for (;;) {
    epoll_event event{};
    if (::epoll_wait(poller, &event, 1, -1) < 1) continue;
    const int fd = event.data.fd;
    if (fd == stop_pipe_[0]) break;
    if (fd == listener_) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) continue;
      clients[client];
      watch(client);
      continue;
    }
    std::array<char, 4096> chunk;
    const ssize_t n = ::recv(fd, chunk.data(), chunk.size(), 0);
    if (n <= 0) {
      ::close(fd);
      clients.erase(fd);
      continue;
    }
    std::string& request = clients[fd].append(chunk.data(), static_cast<std::size_t>(n));
    const auto head = request.find("\r\n\r\n");
    if (head == std::string::npos || request.size() < head + 4 + content_length(request)) continue;
    waiting.push_back(fd);
    if (waiting.size() > peak_) peak_ = waiting.size();
    if (waiting.size() < group_) continue;
    for (const int ready : waiting) {
      std::string& r = clients[ready];
      const std::string body = "{\"n\":" + r.substr(r.find("\r\n\r\n") + 4) + "}";
      const std::string answer =
          "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
      ::send(ready, answer.data(), answer.size(), MSG_NOSIGNAL);
      r.clear();
    }
    waiting.clear();
  }
  for (const auto& [fd, unused] : clients) ::close(fd);
  ::close(poller);
}

}  // namespace spillway::test
