// Takes the bytes of one connection apart into HTTP/1.1 responses. No I/O.
#pragma once

#include "workers/transport/transport.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace spillway::net {

/// Usage per response: start(), then fill(space()) until it is complete or failed, or eof().
class response_reader {
 public:
  enum class state { need_more, complete, failed };

  explicit response_reader(const transport_limits& limits);
  ~response_reader();
  response_reader(const response_reader&) = delete;
  response_reader& operator=(const response_reader&) = delete;

  /// Begins a response, to be stored in `into`, which must stay in place until it is complete.
  void start(http_response& into);
  /// Where to put the next bytes received; never empty.
  [[nodiscard]] std::span<char> space();
  /// Takes the first `n` bytes of space(). Interim (1xx) responses are skipped.
  [[nodiscard]] state fill(std::size_t n);
  /// The server will send no more. Completes a response that ends with the connection.
  [[nodiscard]] state eof();

  /// After completion: the connection may carry another request.
  [[nodiscard]] bool reusable() const;
  /// True once a byte of the current response was read.
  [[nodiscard]] bool started() const;
  /// Why it failed.
  [[nodiscard]] transport_error error() const { return error_; }
  [[nodiscard]] const std::string& detail() const { return detail_; }

 private:
  struct parser;
  struct slot;
  state parse();
  state fail(transport_error error, std::string detail);

  std::unique_ptr<slot> slot_;
  http_response* into_ = nullptr;
  transport_error error_ = transport_error::none;
  std::string detail_;
};

}  // namespace spillway::net
