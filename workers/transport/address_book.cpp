#include "workers/transport/address_book.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <charconv>

namespace spillway::net {

address_book::address_book(executor ex, const endpoint_url& url)
    : host_(url.host), port_(url.port), resolver_(std::move(ex)) {
  error_code ec;
  const auto address = asio::ip::make_address(host_, ec);
  literal_ = !ec;
  if (!literal_) return;
  std::uint16_t port = 0;  // parse_endpoint() checked it
  std::from_chars(port_.data(), port_.data() + port_.size(), port);
  addresses_.emplace_back(address, port);
}

void address_book::resolve(wakeup& waiter) {
  waiters_.push_back(&waiter);
  if (resolving_) return;
  resolving_ = true;
  // A lookup can't be interrupted, so no connection waits for it by itself: each has its deadline.
  resolver_.async_resolve(host_, port_, resolver::numeric_service,
                          [this](const error_code& ec, const resolver::results_type& results) {
                            lookup_done(ec, results);
                          });
}

void address_book::lookup_done(const error_code& ec, const resolver::results_type& results) {
  resolving_ = false;
  ++generation_;
  error_.clear();
  addresses_.clear();
  for (const auto& entry : results) addresses_.push_back(entry.endpoint());
  if (ec)
    error_ = "cannot resolve " + host_ + ": " + ec.message();
  else if (addresses_.empty())
    error_ = "cannot resolve " + host_ + ": it has no address";
  const auto waiters = std::exchange(waiters_, {});
  for (wakeup* waiter : waiters) waiter->wake();
}

void address_book::forget(wakeup& waiter) { std::erase(waiters_, &waiter); }

void address_book::worked(const tcp_endpoint& endpoint) {
  const auto found = std::find(addresses_.begin(), addresses_.end(), endpoint);
  if (found != addresses_.end()) std::rotate(addresses_.begin(), found, found + 1);
}

void address_book::failed(std::uint64_t generation) {
  if (!literal_ && generation == generation_) addresses_.clear();
}

}  // namespace spillway::net
