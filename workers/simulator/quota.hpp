// How a simulated provider limits its callers, and the independent count that tells whether they
// kept to the limits. Pure: time is passed in and must not go back.
#pragma once

#include "workers/simulator/answers.hpp"
#include "workers/simulator/sim_config.hpp"

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <vector>

namespace spillway::simulated {

/// Tokens as limiters count them.
struct token_charge {
  std::int64_t total = 0, input = 0, output = 0;
};

/// What a call costs its limiters at its arrival, by the provider's own rule.
[[nodiscard]] token_charge charge_of(const pool_spec&, const call_facts&, const answer_size&);
/// What it turns out to have cost once it is answered, where the provider reserves and settles
/// (Bedrock, Anthropic); elsewhere the same.
[[nodiscard]] token_charge settled_charge(const pool_spec&, const call_facts&, const answer_size&);

/// An allowance that refills steadily: full at the start, at most `burst` worth saved up.
/// A cost above what can be saved is granted when full, and then owed.
class bucket {
 public:
  bucket(std::int64_t per_minute, duration burst, time_point now);
  /// Refills up to `now` at the rate in force since the last call; then `factor` holds.
  void advance(time_point now, double factor);
  /// How long until `cost` can be taken; zero = now, nothing = never at this rate.
  [[nodiscard]] std::optional<duration> wait_for(std::int64_t cost) const;
  void take(std::int64_t cost) { level_ -= static_cast<double>(cost); }
  void give_back(std::int64_t cost) { level_ += static_cast<double>(cost); }

  [[nodiscard]] std::int64_t limit() const;      ///< a minute's allowance now in force
  [[nodiscard]] std::int64_t remaining() const;  ///< of that limit, by the level's share of full
  [[nodiscard]] duration reset() const;          ///< until full again

 private:
  [[nodiscard]] double capacity() const { return full_ * factor_; }
  [[nodiscard]] double per_ns() const { return per_ns_ * factor_; }
  std::int64_t per_minute_;
  double full_, per_ns_;
  double factor_ = 1;
  double level_;
  time_point at_;
};

/// Sum over the last 60 s, in steps of 10 ms: never more than the true sum.
class minute_window {
 public:
  void advance(time_point now);
  void add(std::int64_t amount);
  [[nodiscard]] std::int64_t sum() const { return sum_; }

 private:
  static constexpr std::int64_t steps = 6000;
  std::array<std::int64_t, steps> step_{};
  std::int64_t current_ = 0;
  std::int64_t sum_ = 0;
};

enum class limit_kind {
  none,
  requests,
  tokens,
  input_tokens,
  output_tokens,
  tokens_per_day,
  request_too_large,
  concurrency
};

/// A limiter's decision. `wait` is honest: after it, the call would be granted if nobody else asks.
struct grant {
  limit_kind refused_by = limit_kind::none;
  duration wait{};
  std::int64_t charge = 0;  ///< tokens asked for, in the dimension that refused
};

/// What x-ratelimit headers tell; absent without that quota.
struct allowance {
  std::int64_t limit = 0, remaining = 0;
  duration reset{};
};
struct rate_state {
  std::optional<allowance> requests, tokens, input, output;
};

/// All limits of one pool.
class quota_book {
 public:
  quota_book(const pool_spec&, time_point now);
  /// A call arrives. Counts it for `violations`, whether it is granted or not.
  grant arrive(time_point now, double factor, const token_charge& charge);
  /// Part of a granted charge was not used after all (less than nothing: it was exceeded).
  void give_back(const token_charge&);
  /// A granted call will end at `end`; nothing = not known.
  void started(std::optional<time_point> end);
  void ended() { --in_flight_; }

  [[nodiscard]] rate_state rates() const;
  [[nodiscard]] std::int64_t in_flight() const { return in_flight_; }
  /// Arrivals while the last 60 s held more than 1.01 x quota + one request.
  [[nodiscard]] std::int64_t violations() const { return violations_; }

 private:
  /// A limit of tokens a minute, and the count that watches it.
  struct token_limit {
    std::int64_t per_minute;
    bucket level;
    minute_window window;
  };
  using token_limiter = std::unique_ptr<token_limit>;

  [[nodiscard]] static token_limiter make_limiter(const std::optional<std::int64_t>& per_minute,
                                                  duration burst, time_point now);
  void count_arrival(time_point now, const token_charge& charge);
  [[nodiscard]] duration next_end(time_point now);
  [[nodiscard]] bool day_is_spent(time_point now, std::int64_t charge);
  [[nodiscard]] grant check(time_point now, const token_charge& charge);

  quota_spec spec_;
  std::optional<bucket> requests_;
  std::unique_ptr<minute_window> request_window_;
  token_limiter tokens_, input_, output_;
  std::int64_t day_ = 0, day_tokens_ = 0;
  std::priority_queue<time_point, std::vector<time_point>, std::greater<>> ends_;
  std::int64_t in_flight_ = 0;
  std::int64_t violations_ = 0;
};

}  // namespace spillway::simulated
