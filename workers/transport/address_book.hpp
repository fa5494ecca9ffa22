// The addresses of one endpoint: resolved once, again only after none of them could be reached.
#pragma once

#include "workers/http.hpp"
#include "workers/transport/asio_types.hpp"

#include <string>
#include <vector>

namespace spillway::net {

class address_book {
 public:
  address_book(executor ex, const endpoint_url& url);
  address_book(const address_book&) = delete;
  address_book& operator=(const address_book&) = delete;

  [[nodiscard]] bool ready() const { return !addresses_.empty(); }
  [[nodiscard]] bool resolving() const { return resolving_; }
  /// The last one that worked comes first.
  [[nodiscard]] const std::vector<tcp_endpoint>& addresses() const { return addresses_; }
  /// Grows with every lookup.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  /// Why the last lookup failed.
  [[nodiscard]] const std::string& error() const { return error_; }

  /// Looks the name up unless that is going on, and has `waiter` woken when it is done.
  void resolve(wakeup& waiter);
  /// The waiter was woken by something else.
  void forget(wakeup& waiter);

  /// `endpoint` took a connection.
  void worked(const tcp_endpoint& endpoint);
  /// None of the addresses of that generation could be reached: the next resolve() looks again.
  void failed(std::uint64_t generation);

 private:
  using resolver = asio::ip::basic_resolver<asio::ip::tcp, executor>;

  void lookup_done(const error_code& ec, const resolver::results_type& results);

  std::string host_;
  std::string port_;
  bool literal_ = false;
  bool resolving_ = false;
  std::uint64_t generation_ = 0;
  std::vector<tcp_endpoint> addresses_;
  std::string error_;
  std::vector<wakeup*> waiters_;
  resolver resolver_;
};

}  // namespace spillway::net
