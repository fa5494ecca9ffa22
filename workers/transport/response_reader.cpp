#include "workers/transport/response_reader.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace spillway::net {
namespace {

namespace http = boost::beast::http;
using boost::beast::string_view;
using parse_error = boost::beast::error_code;

constexpr std::size_t read_bytes = 8u << 10;
// A server's Content-Length is a promise; memory is only reserved up to this before it is kept.
constexpr std::size_t reserve_bytes_max = 1u << 20;

}  // namespace

// Beast's parser without its field container: only headers that adapters read are stored, and body
// bytes go straight to the response.
struct response_reader::parser final : http::basic_parser<false> {
  parser(http_response& into, const transport_limits& limits)
      : response(into), body_bytes_max(limits.response_bytes_max) {
    eager(true);
    header_limit(
        static_cast<std::uint32_t>(std::min<std::size_t>(limits.header_bytes_max, UINT32_MAX)));
    body_limit(limits.response_bytes_max);
  }

  std::size_t append(string_view bytes, parse_error& ec) {
    if (response.body.size() + bytes.size() > body_bytes_max) {
      ec = http::error::body_limit;
      return 0;
    }
    response.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }

  void on_request_impl(http::verb, string_view, string_view, int, parse_error&) override {}
  void on_response_impl(int code, string_view, int, parse_error&) override {
    response.status = code;
  }
  void on_field_impl(http::field, string_view name, string_view value, parse_error&) override {
    std::array<char, 64> buffer;  // no header we keep has a longer name, bar made-up ones
    if (name.size() > buffer.size()) return;
    std::transform(name.begin(), name.end(), buffer.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    const std::string_view lower(buffer.data(), name.size());
    if (is_kept_header(lower))
      response.headers.emplace_back(lower, std::string_view(value.data(), value.size()));
  }
  void on_header_impl(parse_error&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, parse_error&) override {
    if (length) response.body.reserve(std::min<std::uint64_t>(*length, reserve_bytes_max));
  }
  std::size_t on_body_impl(string_view body, parse_error& ec) override { return append(body, ec); }
  void on_chunk_header_impl(std::uint64_t, string_view, parse_error&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, parse_error& ec) override {
    return append(body, ec);
  }
  void on_finish_impl(parse_error&) override {}

  http_response& response;
  std::size_t body_bytes_max;
};

struct response_reader::slot {
  explicit slot(const transport_limits& l) : limits(l), buffer(l.header_bytes_max + read_bytes) {}
  transport_limits limits;
  boost::beast::flat_buffer buffer;
  std::optional<parser> current;
};

response_reader::response_reader(const transport_limits& limits)
    : slot_(std::make_unique<slot>(limits)) {}
response_reader::~response_reader() = default;

void response_reader::start(http_response& into) {
  into_ = &into;
  slot_->current.emplace(into, slot_->limits);
  error_ = transport_error::none;
}

std::span<char> response_reader::space() {
  auto& buffer = slot_->buffer;
  const std::size_t room = buffer.max_size() - buffer.size();
  const auto area = buffer.prepare(std::min(read_bytes, room));
  return {static_cast<char*>(area.data()), area.size()};
}

response_reader::state response_reader::fill(std::size_t n) {
  slot_->buffer.commit(n);
  return parse();
}

response_reader::state response_reader::parse() {
  auto& [limits, buffer, current] = *slot_;
  while (buffer.size() > 0) {
    parse_error ec;
    buffer.consume(current->put(buffer.data(), ec));
    if (ec && ec != http::error::need_more) {
      if (ec == http::error::body_limit)
        return fail(transport_error::too_large, "the response body is larger than " +
                                                    std::to_string(limits.response_bytes_max) +
                                                    " bytes");
      if (ec == http::error::header_limit)
        return fail(transport_error::too_large, "the response headers are larger than " +
                                                    std::to_string(limits.header_bytes_max) +
                                                    " bytes");
      return fail(transport_error::malformed, "the answer is not HTTP: " + ec.message());
    }
    if (current->is_done()) {
      const int status = into_->status;
      if (status >= 200) return state::complete;
      if (status < 100 || status == 101)
        return fail(transport_error::malformed,
                    "the answer is not HTTP: unexpected status " + std::to_string(status));
      into_->headers.clear();
      start(*into_);
      continue;
    }
    if (ec == http::error::need_more) break;
  }
  if (buffer.size() >= buffer.max_size())
    return fail(transport_error::too_large, "a header or chunk line of the response is too long");
  return state::need_more;
}

response_reader::state response_reader::eof() {
  if (started()) {
    parse_error ec;
    slot_->current->put_eof(ec);
    if (!ec) return state::complete;
    return fail(transport_error::reset, "the connection was closed in the middle of the response");
  }
  return fail(transport_error::reset, "the server closed the connection without a response");
}

response_reader::state response_reader::fail(transport_error error, std::string detail) {
  error_ = error;
  detail_ = std::move(detail);
  return state::failed;
}

bool response_reader::reusable() const {
  // Bytes beyond the response belong to no request of ours: never match them with the next one.
  return slot_->current->is_done() && slot_->current->keep_alive() && slot_->buffer.size() == 0;
}

bool response_reader::started() const {
  return slot_->current->got_some() || slot_->buffer.size() > 0;
}

}  // namespace spillway::net
