#include "workers/simulator/quota.hpp"

#include <algorithm>
#include <cmath>

namespace spillway::simulated {
namespace {

using namespace std::chrono_literals;

constexpr double minute_ns = 60e9;
constexpr double tolerance = 1e-6;  // of rounding: an allowance this close to the cost is enough
constexpr duration wait_unknown = 1s;

allowance allowance_of(const bucket& b) { return {b.limit(), b.remaining(), b.reset()}; }

/// Azure enforces requests in slices of some seconds, the others let a whole minute be saved up.
duration request_burst(const pool_spec& pool) {
  if (pool.quota.burst) return *pool.quota.burst;
  return pool.provider == provider_kind::azure_openai ? duration(10s) : duration(60s);
}

}  // namespace

std::int64_t charge_of(provider_kind provider, std::int64_t input, std::int64_t max_output,
                       std::int64_t output) {
  switch (provider) {
    case provider_kind::openai: return std::max(input, max_output);
    case provider_kind::azure_openai: return input + max_output;
    case provider_kind::bedrock:
    case provider_kind::vertex:
    case provider_kind::anthropic:
    case provider_kind::openai_compatible: return input + output;
  }
  return input + output;
}

bucket::bucket(std::int64_t per_minute, duration burst, time_point now)
    : per_minute_(per_minute),
      full_(std::max(1.0, static_cast<double>(per_minute) * seconds_of(burst) / 60)),
      per_ns_(static_cast<double>(per_minute) / minute_ns),
      level_(full_),
      at_(now) {}

void bucket::advance(time_point now, double factor) {
  if (now > at_) {
    level_ += static_cast<double>((now - at_).count()) * per_ns();
    at_ = now;
  }
  factor_ = factor;
  level_ = std::min(level_, capacity());
}

std::optional<duration> bucket::wait_for(std::int64_t cost) const {
  const double missing = std::min(static_cast<double>(cost), capacity()) - level_;
  if (factor_ <= 0) return std::nullopt;
  if (missing <= tolerance) return duration{};
  return duration(static_cast<std::int64_t>(std::ceil(missing / per_ns())));
}

std::int64_t bucket::limit() const {
  return static_cast<std::int64_t>(static_cast<double>(per_minute_) * factor_);
}

std::int64_t bucket::remaining() const {
  if (level_ <= 0 || capacity() <= 0) return 0;
  return static_cast<std::int64_t>(static_cast<double>(limit()) * (level_ / capacity()) +
                                   tolerance);
}

duration bucket::reset() const {
  const double missing = capacity() - level_;
  if (missing <= 0 || factor_ <= 0) return duration{};
  return duration(static_cast<std::int64_t>(std::ceil(missing / per_ns())));
}

void minute_window::advance(time_point now) {
  const std::int64_t step = now.time_since_epoch() / 10ms;
  for (std::int64_t passed = std::min(step - current_, steps); passed > 0; --passed) {
    auto& slot = step_[static_cast<std::size_t>((step - passed + 1) % steps)];
    sum_ -= slot;
    slot = 0;
  }
  current_ = std::max(current_, step);
}

void minute_window::add(std::int64_t amount) {
  step_[static_cast<std::size_t>(current_ % steps)] += amount;
  sum_ += amount;
}

quota_book::quota_book(const pool_spec& pool, time_point now) : spec_(pool.quota) {
  if (spec_.rpm) {
    requests_.emplace(*spec_.rpm, request_burst(pool), now);
    request_window_ = std::make_unique<minute_window>();
  }
  if (spec_.tpm) {
    tokens_.emplace(*spec_.tpm, spec_.burst.value_or(60s), now);
    token_window_ = std::make_unique<minute_window>();
  }
}

void quota_book::count_arrival(time_point now, std::int64_t charge) {
  bool over = false;
  if (request_window_) {
    request_window_->advance(now);
    request_window_->add(1);
    over |=
        static_cast<double>(request_window_->sum()) > 1.01 * static_cast<double>(*spec_.rpm) + 1;
  }
  if (token_window_) {
    token_window_->advance(now);
    over |= static_cast<double>(token_window_->sum()) > 1.01 * static_cast<double>(*spec_.tpm);
    token_window_->add(charge);
  }
  if (over) ++violations_;
}

grant quota_book::arrive(time_point now, double factor, std::int64_t charge) {
  count_arrival(now, charge);
  if (requests_) requests_->advance(now, factor);
  if (tokens_) tokens_->advance(now, factor);

  if (spec_.tpm && charge > *spec_.tpm) return {limit_kind::request_too_large, 24h, charge};
  if (spec_.concurrency && in_flight_ >= *spec_.concurrency)
    return {limit_kind::concurrency, next_end(now), charge};
  grant refusal{limit_kind::none, {}, charge};
  if (requests_)
    if (const auto wait = requests_->wait_for(1).value_or(24h); wait > refusal.wait)
      refusal = {limit_kind::requests, wait, charge};
  if (tokens_)
    if (const auto wait = tokens_->wait_for(charge).value_or(24h); wait > refusal.wait)
      refusal = {limit_kind::tokens, wait, charge};
  if (refusal.refused_by != limit_kind::none) return refusal;
  if (requests_) requests_->take(1);
  if (tokens_) tokens_->take(charge);
  return refusal;
}

void quota_book::started(std::optional<time_point> end) {
  ++in_flight_;
  if (spec_.concurrency && end) ends_.push(*end);
}

duration quota_book::next_end(time_point now) {
  while (!ends_.empty() && ends_.top() <= now) ends_.pop();
  return ends_.empty() ? wait_unknown : ends_.top() - now;
}

rate_state quota_book::rates() const {
  rate_state state;
  if (requests_) state.requests = allowance_of(*requests_);
  if (tokens_) state.tokens = allowance_of(*tokens_);
  return state;
}

}  // namespace spillway::simulated
