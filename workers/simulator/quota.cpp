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

namespace {

constexpr std::int64_t burndown_claude = 5;  // Bedrock counts a Claude's output tokens five times

bool is_claude(std::string_view model) {
  return model.find("anthropic.") != std::string_view::npos;
}

/// The longest answer a call may get, as Bedrock reserves for it.
std::int64_t reserved_output(const pool_spec& pool, const call_facts& call) {
  if (embeds(call.kind)) return 0;
  return (call.max_output > 0 ? call.max_output : pool.max_output_tokens) * call.choices;
}

token_charge apart(std::int64_t input, std::int64_t output) {
  return {input + output, input, output};
}

}  // namespace

token_charge charge_of(const pool_spec& pool, const call_facts& call, const answer_size& size) {
  const std::int64_t allowed = call.max_output * call.choices;
  switch (pool.provider) {
    case provider_kind::openai: return {std::max(size.input, allowed), size.input, allowed};
    case provider_kind::azure_openai: return apart(size.input, allowed);
    case provider_kind::bedrock: return apart(size.input, reserved_output(pool, call));
    case provider_kind::anthropic: return apart(size.input, allowed);
    case provider_kind::vertex:
    case provider_kind::openai_compatible: break;
  }
  return apart(size.input, size.output);
}

token_charge settled_charge(const pool_spec& pool, const call_facts& call,
                            const answer_size& size) {
  const std::int64_t fresh = size.input - size.cached;  // what a cache gave costs no quota
  if (pool.provider == provider_kind::bedrock)
    return apart(fresh, size.output * (is_claude(call.model) ? burndown_claude : 1));
  if (pool.provider == provider_kind::anthropic) return apart(fresh, size.output);
  return charge_of(pool, call, size);
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

quota_book::token_limiter quota_book::make_limiter(const std::optional<std::int64_t>& per_minute,
                                                   duration burst, time_point now) {
  if (!per_minute) return nullptr;
  return std::make_unique<token_limit>(
      token_limit{*per_minute, bucket(*per_minute, burst, now), minute_window()});
}

quota_book::quota_book(const pool_spec& pool, time_point now) : spec_(pool.quota) {
  if (spec_.rpm) {
    requests_.emplace(*spec_.rpm, request_burst(pool), now);
    request_window_ = std::make_unique<minute_window>();
  }
  const duration burst = spec_.burst.value_or(60s);
  tokens_ = make_limiter(spec_.tpm, burst, now);
  input_ = make_limiter(spec_.input_tpm, burst, now);
  output_ = make_limiter(spec_.output_tpm, burst, now);
}

void quota_book::count_arrival(time_point now, const token_charge& charge) {
  bool over = false;
  if (request_window_) {
    request_window_->advance(now);
    request_window_->add(1);
    over |=
        static_cast<double>(request_window_->sum()) > 1.01 * static_cast<double>(*spec_.rpm) + 1;
  }
  const auto count = [&](const token_limiter& limit, std::int64_t amount) {
    if (!limit) return;
    limit->window.advance(now);
    over |=
        static_cast<double>(limit->window.sum()) > 1.01 * static_cast<double>(limit->per_minute);
    limit->window.add(amount);
  };
  count(tokens_, charge.total);
  count(input_, charge.input);
  count(output_, charge.output);
  if (over) ++violations_;
}

bool quota_book::day_is_spent(time_point now, std::int64_t charge) {
  if (!spec_.tpd) return false;
  const std::int64_t day = now.time_since_epoch() / 24h;
  if (day != day_) day_tokens_ = 0;
  day_ = day;
  return day_tokens_ + charge > *spec_.tpd;
}

/// The refusal that lasts longest, or none.
grant quota_book::check(time_point now, const token_charge& charge) {
  if (spec_.tpm && charge.total > *spec_.tpm)
    return {limit_kind::request_too_large, 24h, charge.total};
  if (spec_.concurrency && in_flight_ >= *spec_.concurrency)
    return {limit_kind::concurrency, next_end(now), charge.total};
  if (day_is_spent(now, charge.total))
    return {limit_kind::tokens_per_day, 24h - now.time_since_epoch() % 24h, charge.total};
  grant refusal{limit_kind::none, {}, charge.total};
  const auto ask = [&refusal](const bucket& b, limit_kind kind, std::int64_t cost) {
    if (const auto wait = b.wait_for(cost).value_or(24h); wait > refusal.wait)
      refusal = {kind, wait, cost};
  };
  if (requests_) ask(*requests_, limit_kind::requests, 1);
  if (tokens_) ask(tokens_->level, limit_kind::tokens, charge.total);
  if (input_) ask(input_->level, limit_kind::input_tokens, charge.input);
  if (output_) ask(output_->level, limit_kind::output_tokens, charge.output);
  return refusal;
}

grant quota_book::arrive(time_point now, double factor, const token_charge& charge) {
  count_arrival(now, charge);
  if (requests_) requests_->advance(now, factor);
  for (const token_limiter* limit : {&tokens_, &input_, &output_})
    if (*limit) (*limit)->level.advance(now, factor);
  const grant verdict = check(now, charge);
  if (verdict.refused_by != limit_kind::none) return verdict;
  if (requests_) requests_->take(1);
  if (tokens_) tokens_->level.take(charge.total);
  if (input_) input_->level.take(charge.input);
  if (output_) output_->level.take(charge.output);
  day_tokens_ += charge.total;
  return verdict;
}

void quota_book::give_back(const token_charge& unused) {
  const auto give = [](const token_limiter& limit, std::int64_t amount) {
    if (!limit) return;
    limit->level.give_back(amount);
    limit->window.add(-amount);
  };
  give(tokens_, unused.total);
  give(input_, unused.input);
  give(output_, unused.output);
  day_tokens_ -= unused.total;
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
  if (tokens_) state.tokens = allowance_of(tokens_->level);
  if (input_) state.input = allowance_of(input_->level);
  if (output_) state.output = allowance_of(output_->level);
  return state;
}

}  // namespace spillway::simulated
