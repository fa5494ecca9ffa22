#include "workers/transport/connection.hpp"

#include "orchestrator/runtime/failpoint.hpp"
#include "workers/transport/io_thread.hpp"

#include <sys/socket.h>

#include <array>
#include <charconv>

namespace spillway::net {
namespace {

constexpr std::size_t tls_record_bytes = 16u << 10;

using clock = std::chrono::steady_clock;
using reading = response_reader::state;

}  // namespace

connection::connection(pool& owner)
    : pool_(owner),
      socket_(owner.thread().context().get_executor()),
      wakeup_(owner.thread().context().get_executor()),
      reader_(owner.thread().limits()) {}

task<> connection::run() {
  const bool connected = co_await connect();
  if (!connected) {
    pool_.connect_failed(connect_error_, connect_detail_);
    close_socket();
    co_return;
  }
  pool_.connected();
  phase_ = phase::busy;
  for (;;) {
    if (has_call_) {
      // Nothing between here and the first write waits.
      if (!stopped() && !pool_.still_wanted(assigned_)) {
        has_call_ = false;
        continue;
      }
      co_await exchange();
      if (!reusable_) break;
    } else if (stopped() || !still_open()) {
      break;
    } else if (pool_.take(assigned_)) {
      has_call_ = true;
    } else {
      phase_ = phase::parked;
      deadline_ = clock::now() + pool_.thread().limits().idle_timeout;
      pool_.park(*this);
      co_await wakeup_.wait();
      phase_ = phase::busy;
    }
  }
  if (tls_ && !stopped()) tls_->shutdown();
  close_socket();
}

void connection::give(assignment&& next) {
  assigned_ = std::move(next);
  has_call_ = true;
  phase_ = phase::busy;
  deadline_ = steady_time::max();  // set when writing begins
  wakeup_.wake();
}

bool connection::still_open() {
  if (!socket_.is_open()) return false;
  if (tls_) return tls_->idle_and_open();
  char byte = 0;
  const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void connection::abort(transport_error why) {
  if (!stopped()) abort_ = why;
  close_socket();
  wakeup_.wake();
}

void connection::check_deadline(steady_time now) {
  if (now < deadline_) return;
  if (phase_ == phase::connecting && now < connect_deadline_)
    close_socket();  // this address had its share of the time; the next one follows
  else
    abort(transport_error::timed_out);
}

void connection::close_socket() {
  if (tls_) tls_->detach();
  error_code ignored;
  socket_.close(ignored);
}

task<> connection::exchange() {
  begin_exchange();
  reading state = reading::failed;
  if (!stopped()) {
    failpoint("before_send");
    step s = write_some();
    if (s != step::failed && sent_ < request_size()) co_await write_rest();
    failpoint("sent");
    // A server may answer and close before it has read everything: the answer counts.
    if (anything_written()) {
      if (tls_)
        state = co_await receive_tls();
      else
        state = co_await receive();
    }
  }
  finish_exchange(state);
}

void connection::begin_exchange() {
  const outgoing_call& call = assigned_.call;
  const std::string& body = call.request.body;
  poison(body);
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), body.size()).ptr;
  head_.assign("POST ");
  head_ += call.request.target;
  head_ += pool_.head_middle();
  head_.append(digits.data(), end);
  head_ += "\r\n";
  head_ += call.request.headers;
  head_ += "\r\n";
  body_in_head_ = 0;
  if (tls_) {
    // One record instead of two for all but large bodies.
    body_in_head_ =
        std::min(body.size(), tls_record_bytes - std::min(tls_record_bytes, head_.size()));
    head_.append(body, 0, body_in_head_);
    tls_sent_before_ = tls_->bytes_sent();
  }
  sent_ = 0;
  io_error_.clear();
  reusable_ = false;
  result_.id = call.id;
  result_.sent_at = stopped() ? assigned_.submitted_at : pool_.thread().now();
  reader_.start(result_.response);
  deadline_ = clock::now() + pool_.timeout(assigned_.lane);
}

bool connection::anything_written() const {
  return sent_ > 0 || (tls_ && tls_->bytes_sent() != tls_sent_before_);
}

connection::step connection::step_of(tls_step s) {
  switch (s) {
    case tls_step::done: return step::done;
    case tls_step::want_read: return step::want_read;
    case tls_step::want_write: return step::want_write;
    case tls_step::closed: return step::closed;
    case tls_step::failed: return step::failed;
  }
  return step::failed;
}

connection::step connection::write_some() {
  const std::string& body = assigned_.call.request.body;
  const std::size_t head_left = head_.size() - std::min(sent_, head_.size());
  const std::size_t body_at = body_in_head_ + (sent_ - (head_.size() - head_left));
  if (tls_) {
    std::size_t put = 0;
    const char* data = head_left > 0 ? head_.data() + sent_ : body.data() + body_at;
    const step s =
        step_of(tls_->write(data, head_left > 0 ? head_left : body.size() - body_at, put));
    sent_ += put;
    if (s == step::failed || s == step::closed) {
      io_error_ = tls_->error();
      return step::failed;
    }
    return s;
  }
  const std::array<asio::const_buffer, 2> buffers = {
      asio::buffer(head_.data() + (head_.size() - head_left), head_left),
      asio::buffer(body.data() + body_at, body.size() - body_at)};
  error_code ec;
  sent_ += socket_.write_some(buffers, ec);
  if (!ec) return step::done;
  if (ec == asio::error::would_block || ec == asio::error::try_again) return step::want_write;
  io_error_ = ec.message();
  return step::failed;
}

task<> connection::write_rest() {
  while (sent_ < request_size()) {
    const step s = write_some();
    if (s == step::failed) co_return;
    if (s == step::done) continue;
    const auto direction = s == step::want_read ? tcp_socket::wait_read : tcp_socket::wait_write;
    const auto waited = co_await socket_.async_wait(direction, no_throw);
    if (std::get<0>(waited)) {
      io_error_ = std::get<0>(waited).message();
      co_return;
    }
  }
}

task<reading> connection::receive() {
  for (;;) {
    const auto space = reader_.space();
    const auto read =
        co_await socket_.async_read_some(asio::buffer(space.data(), space.size()), no_throw);
    const error_code& ec = std::get<0>(read);
    reading state = reading::need_more;
    if (!ec)
      state = reader_.fill(std::get<1>(read));
    else if (ec == asio::error::eof)
      state = reader_.eof();
    else
      state = receive_failed(ec.message());
    if (state != reading::need_more) co_return state;
  }
}

task<reading> connection::receive_tls() {
  for (;;) {
    const auto space = reader_.space();
    std::size_t got = 0;
    const step s = step_of(tls_->read(space.data(), space.size(), got));
    reading state = reading::need_more;
    if (s == step::done) {
      state = reader_.fill(got);
    } else if (s == step::closed) {
      state = reader_.eof();
    } else if (s == step::failed) {
      // An end without close_notify may be an attacker's cut: no proof that the body is whole.
      state = receive_failed(tls_->error());
    } else {
      const auto direction = s == step::want_read ? tcp_socket::wait_read : tcp_socket::wait_write;
      const auto waited = co_await socket_.async_wait(direction, no_throw);
      if (std::get<0>(waited)) state = receive_failed(std::get<0>(waited).message());
    }
    if (state != reading::need_more) co_return state;
  }
}

reading connection::receive_failed(const std::string& why) {
  if (io_error_.empty()) io_error_ = why;
  return reading::failed;
}

void connection::finish_exchange(reading state) {
  result_.done_at = pool_.thread().now();
  result_.written = anything_written();
  if (state == reading::complete) {
    failpoint("answered");
    reusable_ = !stopped() && sent_ == request_size() && reader_.reusable();
  } else {
    result_.response = {};
    fill_error();
  }
  has_call_ = false;
  assigned_.call.request = {};
  pool_.finish(assigned_.lane, std::exchange(result_, {}));
}

void connection::fill_error() {
  const std::string where = pool_.server() + ": ";
  if (abort_ == transport_error::timed_out) {
    result_.error = transport_error::timed_out;
    result_.detail = where + "no complete response within " +
                     std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        pool_.timeout(assigned_.lane))
                                        .count()) +
                     " ms";
  } else if (stopped()) {
    result_.error = transport_error::cancelled;
    result_.detail = where + "cancelled";
  } else if (!result_.written) {
    result_.error = transport_error::connect;
    result_.detail = where + "the connection was lost before anything was sent: " + io_error_;
  } else if (!io_error_.empty()) {
    result_.error = transport_error::reset;
    result_.detail = where + "the connection ended before the response was complete: " + io_error_;
  } else {
    result_.error = reader_.error();
    result_.detail = where + reader_.detail();
  }
}

}  // namespace spillway::net
