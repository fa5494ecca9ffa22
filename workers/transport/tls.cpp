#include "workers/transport/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace spillway::net {
namespace {

bool is_address(const std::string& host) {
  in6_addr buffer{};
  return ::inet_pton(AF_INET, host.c_str(), &buffer) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &buffer) == 1;
}

std::string last_openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unknown error";
}

// Server sessions and tickets arrive while reading; the newest one serves the next connection.
int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* peer = static_cast<tls_peer*>(SSL_get_app_data(ssl));
  peer->session.reset(session);
  return 1;  // the reference is ours now
}

const char* verify_hint(long verdict) {
  switch (verdict) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:  // a CA of the same name with another key
      return "set the pool's tls.ca_file to the CA certificate that signed it";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "the certificate is for another name: check the host in the pool's endpoint";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "renew the server's certificate, or check this machine's clock";
    default: return "check the server's certificate";
  }
}

}  // namespace

void openssl_free::operator()(ssl_ctx_st* p) const { SSL_CTX_free(p); }
void openssl_free::operator()(ssl_st* p) const { SSL_free(p); }
void openssl_free::operator()(ssl_session_st* p) const { SSL_SESSION_free(p); }

// A BIO on the socket: OpenSSL's own would raise SIGPIPE on a closed connection.
struct tls_bio {
  static tls_session& session_of(BIO* bio) { return *static_cast<tls_session*>(BIO_get_data(bio)); }

  static int write(BIO* bio, const char* data, int size) {
    tls_session& session = session_of(bio);
    BIO_clear_retry_flags(bio);
    const ssize_t n =
        ::send(session.socket_, data, static_cast<std::size_t>(size), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      session.bytes_sent_ += static_cast<std::uint64_t>(n);
      return static_cast<int>(n);
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
      BIO_set_retry_write(bio);
    else
      session.socket_errno_ = errno;
    return -1;
  }

  static int read(BIO* bio, char* data, int size) {
    tls_session& session = session_of(bio);
    BIO_clear_retry_flags(bio);
    const ssize_t n = ::recv(session.socket_, data, static_cast<std::size_t>(size), MSG_DONTWAIT);
    if (n > 0) return static_cast<int>(n);
    if (n == 0) {
      session.socket_eof_ = true;
      return 0;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
      BIO_set_retry_read(bio);
    else
      session.socket_errno_ = errno;
    return -1;
  }

  static long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return session_of(bio).socket_eof_ ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  static int create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
  }

  static BIO_METHOD* method() {
    static BIO_METHOD* const the_method = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "spillway socket");
      ensure(m != nullptr, "out of memory for TLS");
      BIO_meth_set_write(m, &write);
      BIO_meth_set_read(m, &read);
      BIO_meth_set_ctrl(m, &control);
      BIO_meth_set_create(m, &create);
      return m;
    }();
    return the_method;
  }
};

result<std::shared_ptr<tls_context>> tls_context::make(const std::string& ca_file) {
  ERR_clear_error();
  std::unique_ptr<SSL_CTX, openssl_free> context(SSL_CTX_new(TLS_client_method()));
  ensure(context != nullptr, "out of memory for TLS");
  SSL_CTX* c = context.get();
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(c, 1);  // one recv for a record's header and body
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(c, &keep_session);
  const int trusted = ca_file.empty() ? SSL_CTX_set_default_verify_paths(c)
                                      : SSL_CTX_load_verify_locations(c, ca_file.c_str(), nullptr);
  if (trusted != 1)
    return failure{failure_kind::usage,
                   ca_file.empty()
                       ? "the system's CA certificates cannot be loaded (" + last_openssl_error() +
                             "): install ca-certificates"
                       : "tls.ca_file " + ca_file + " cannot be used (" + last_openssl_error() +
                             "): it must be a readable file of PEM certificates"};
  return std::shared_ptr<tls_context>(new tls_context(std::move(context)));
}

tls_session::tls_session(tls_peer& peer, int socket)
    : peer_(peer), socket_(socket), ssl_(SSL_new(peer.context->native())) {
  ensure(ssl_ != nullptr, "out of memory for TLS");
  BIO* bio = BIO_new(tls_bio::method());
  ensure(bio != nullptr, "out of memory for TLS");
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), &peer_);
  SSL_set_connect_state(ssl_.get());
  if (is_address(peer.host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), peer.host.c_str());
  } else {
    SSL_set1_host(ssl_.get(), peer.host.c_str());
    SSL_set_hostflags(ssl_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set_tlsext_host_name(ssl_.get(), peer.host.c_str());
  }
  if (peer.session) SSL_set_session(ssl_.get(), peer.session.get());
}

tls_step tls_session::step_of(int returned) {
  if (returned > 0) return tls_step::done;
  const int code = SSL_get_error(ssl_.get(), returned);
  switch (code) {
    case SSL_ERROR_WANT_READ: return tls_step::want_read;
    case SSL_ERROR_WANT_WRITE: return tls_step::want_write;
    case SSL_ERROR_ZERO_RETURN: return tls_step::closed;
    default: explain(code); return tls_step::failed;
  }
}

void tls_session::explain(int code) {
  const long verdict = SSL_get_verify_result(ssl_.get());
  if (SSL_is_init_finished(ssl_.get()) == 0 && verdict != X509_V_OK) {
    error_ = std::string("certificate verify failed: ") + X509_verify_cert_error_string(verdict) +
             "; " + verify_hint(verdict);
  } else if (socket_errno_ != 0) {
    error_ = std::strerror(socket_errno_);
  } else if (socket_eof_) {
    error_ = "the server closed the connection";
  } else if (code == SSL_ERROR_SSL) {
    error_ = last_openssl_error();
    if (error_ == "wrong version number" || error_ == "packet length too long" ||
        error_ == "http request")
      error_ +=
          "; the server does not speak TLS on this port: check the endpoint's scheme and port";
  } else {
    error_ = "unknown TLS error";
  }
}

tls_step tls_session::handshake() {
  ERR_clear_error();
  return step_of(SSL_do_handshake(ssl_.get()));
}

tls_step tls_session::read(char* data, std::size_t size, std::size_t& got) {
  ERR_clear_error();
  got = 0;
  return step_of(SSL_read_ex(ssl_.get(), data, size, &got));
}

tls_step tls_session::write(const char* data, std::size_t size, std::size_t& put) {
  ERR_clear_error();
  put = 0;
  return step_of(SSL_write_ex(ssl_.get(), data, size, &put));
}

bool tls_session::idle_and_open() {
  // Session tickets may be waiting here and are no reason to reconnect, so a peek at the socket
  // would not do; any real data without a request is.
  char byte = 0;
  std::size_t got = 0;
  return read(&byte, 1, got) == tls_step::want_read;
}

void tls_session::shutdown() {
  if (SSL_is_init_finished(ssl_.get()) == 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

}  // namespace spillway::net
