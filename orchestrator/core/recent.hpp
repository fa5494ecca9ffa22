// Sums over about the last ten seconds, for displays.
#pragma once

#include "schemas/units.hpp"

#include <algorithm>
#include <array>

namespace spillway {

class recent_sum {
 public:
  explicit recent_sum(time_point start) : start_(start) {}
  void add(time_point now, std::int64_t n) {
    const auto s = second_of(now);
    auto& b = buckets_[static_cast<std::size_t>(s % std::ssize(buckets_))];
    if (b.at != s) b = {s, 0};
    b.sum += n;
  }
  /// Units a second.
  [[nodiscard]] double rate(time_point now) const {
    const auto first = second_of(now) - std::ssize(buckets_) + 1;
    std::int64_t sum = 0;
    for (const auto& b : buckets_)
      if (b.at >= first) sum += b.sum;
    const auto from = std::max(start_, time_point(std::chrono::seconds(first)));
    return static_cast<double>(sum) / std::max(1.0, seconds_of(now - from));
  }

 private:
  static std::int64_t second_of(time_point t) {
    return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
  }
  struct bucket {
    std::int64_t at = -1, sum = 0;
  };
  time_point start_;
  std::array<bucket, 10> buckets_{};
};

}  // namespace spillway
