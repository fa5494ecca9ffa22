// Strong units that cross seams: tokens, money, time. No bare integers for any of them.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace spillway {

/// A signed amount of one unit. Arithmetic stays inside the unit; leaving it takes `.count()`.
template <class Tag>
class quantity {
 public:
  constexpr quantity() = default;
  constexpr explicit quantity(std::int64_t count) : count_(count) {}
  [[nodiscard]] constexpr std::int64_t count() const { return count_; }
  constexpr auto operator<=>(const quantity&) const = default;
  constexpr quantity operator+(quantity o) const { return quantity(count_ + o.count_); }
  constexpr quantity operator-(quantity o) const { return quantity(count_ - o.count_); }
  constexpr quantity operator-() const { return quantity(-count_); }
  constexpr quantity operator*(std::int64_t n) const { return quantity(count_ * n); }
  constexpr quantity& operator+=(quantity o) {
    count_ += o.count_;
    return *this;
  }
  constexpr quantity& operator-=(quantity o) {
    count_ -= o.count_;
    return *this;
  }

 private:
  std::int64_t count_ = 0;
};

/// Model tokens, as a provider counts them.
using tokens = quantity<struct tokens_tag>;
/// Money in 10^-9 USD. The range is about +-9.2 billion USD.
using nano_usd = quantity<struct nano_usd_tag>;
/// Price of one token in 10^-12 USD: 1 USD per 1M tokens is 1,000,000.
using pico_usd_per_token = quantity<struct pico_usd_per_token_tag>;

/// Room for a product of two 64-bit numbers.
__extension__ using wide_int = __int128;

/// Cost of `n` tokens, rounded up to the next nano-USD so that no sum understates a bill.
constexpr nano_usd cost_of(tokens n, pico_usd_per_token price) {
  const auto pico = static_cast<wide_int>(n.count()) * price.count();
  return nano_usd(static_cast<std::int64_t>((pico + 999) / 1000));
}

constexpr double to_usd(nano_usd n) { return static_cast<double>(n.count()) / 1e9; }
/// Nearest nano-USD; callers validate the range.
constexpr nano_usd from_usd(double usd) {
  return nano_usd(static_cast<std::int64_t>(usd * 1e9 + (usd < 0 ? -0.5 : 0.5)));
}

/// Unix time in nanoseconds. The engine derives it from a steady clock and one reading of the wall
/// clock at start, so within a process it never goes back.
using time_point = std::chrono::sys_time<std::chrono::nanoseconds>;
using duration = std::chrono::nanoseconds;

constexpr time_point time_never = time_point::max();

/// Days since 1970-01-01 UTC: daily quotas turn over at UTC midnight.
constexpr std::int64_t utc_day(time_point t) {
  return std::chrono::floor<std::chrono::days>(t).time_since_epoch().count();
}

constexpr double seconds_of(duration d) { return std::chrono::duration<double>(d).count(); }
constexpr duration from_seconds(double s) {
  return std::chrono::duration_cast<duration>(std::chrono::duration<double>(s));
}

}  // namespace spillway
