// A plain blocking client that sends and sees bytes.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace spillway::test {

class raw_client {
 public:
  /// To 127.0.0.1. A read that gets nothing for 20 s ends as if the server had left.
  explicit raw_client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(port);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return;
    ::close(fd_);
    throw std::runtime_error("connect");
  }
  ~raw_client() { ::close(fd_); }
  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;

  /// False when the server no longer takes bytes.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// Until `count` bytes are there or the connection ends.
  std::string read(std::size_t count) {
    std::string all;
    char piece[4096];
    while (all.size() < count) {
      const auto n = ::recv(fd_, piece, std::min(sizeof piece, count - all.size()), 0);
      if (n <= 0) break;
      all.append(piece, static_cast<std::size_t>(n));
    }
    return all;
  }
  std::string read_to_end() { return read(std::string::npos); }
  /// One whole response.
  std::string response() {
    std::string all = head();
    const auto at = std::min(all.find("content-length:"), all.find("Content-Length:"));
    if (at == std::string::npos) return all;
    return all + read(std::stoul(all.substr(at + 15)));
  }
  /// A response up to the empty line.
  std::string head() {
    std::string all;
    while (all.find("\r\n\r\n") == std::string::npos) {
      const auto next = read(1);
      if (next.empty()) break;
      all += next;
    }
    return all;
  }
  /// Whether bytes, or the end of the connection, wait to be read.
  [[nodiscard]] bool readable() const {
    char byte = 0;
    return ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
  }

 private:
  int fd_;
};

}  // namespace spillway::test
