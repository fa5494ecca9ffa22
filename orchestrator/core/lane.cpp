#include "orchestrator/core/lane.hpp"

#include "orchestrator/core/tally.hpp"

#include <algorithm>
#include <cmath>

namespace spillway {
namespace {

using namespace std::chrono_literals;

// Kept below the half second the quota's tolerance (1% of a minute) leaves, so that waiting in the
// ready queue and for a commit fits in as well.
constexpr duration burst_normal = 250ms;
// Where quotas are enforced in slices, pacing has to be even within each.
constexpr duration burst_sliced = 20ms;
constexpr double sliced_share = 0.98;
// Permits may be taken this long ahead of a free connection.
constexpr double ready_ahead_s = 0.02;
constexpr duration down_pause_first = 15s, down_pause_max = 5min;
// Models appear without notice, and asking for one costs a refused call.
constexpr duration missing_model_pause_max = 1min;
constexpr duration refusal_pause_first = 500ms, refusal_pause_max = 30s;
// Of lanes with a known pace: a pause of two calls, this much at most, is the least; one of ten
// calls, this much at least, the longest.
constexpr duration refusal_pause_slow = 5s, refusal_pause_fast = 8s;
constexpr duration retry_after_least = 1ms;

time_point next_day(time_point now) {
  return std::chrono::floor<std::chrono::days>(now) + std::chrono::days(1);
}

duration doubled(duration first, duration max, int times) {
  return std::min(max, first * (std::int64_t{1} << std::min(times, 16)));
}

}  // namespace

lane::lane(lane_setup setup, time_point now, const quota_share& share)
    : setup_(std::move(setup)),
      share_(share),
      seen_(setup_.sliced ? burst_sliced : burst_normal),
      recent_requests_(now),
      recent_tokens_(now) {
  apply_quota(now);
}

void lane::change(lane_setup setup, const quota_share& share, time_point now) {
  setup_ = std::move(setup);
  share_ = share;
  apply_quota(now);
}

void lane::apply_quota(time_point now) {
  const auto& quota = setup_.config.quota;
  const auto burst = setup_.sliced ? burst_sliced : burst_normal;
  const bool had_none = unusable_;
  unusable_ = false;
  const auto part_of = [&](std::int64_t total) {
    const auto part = our_part(total);
    unusable_ = unusable_ || part == 0;
    return part;
  };
  const auto limit = [&](std::optional<gcra>& limiter, std::optional<std::int64_t> total,
                         std::optional<std::int64_t> told) {
    if (!total) return limiter.reset();
    const auto rate = paced(part_of(*total));
    if (rate == 0) return;
    if (!limiter)
      limiter.emplace(rate, burst, now);
    else
      limiter->change(rate, now);
    if (had_none) limiter->hold(now);  // without a share nothing was earned
    if (told) limiter->follow(paced(our_part(*told)));
  };
  limit(requests_, quota.rpm, told_requests_);
  limit(tokens_, quota.tpm ? std::optional(quota.tpm->count()) : std::nullopt, told_tokens_);
  slots_ = std::max<std::int64_t>(1, setup_.slots);
  if (quota.concurrency) slots_ = std::min(slots_, part_of(*quota.concurrency));
  day_requests_.reset();
  if (quota.rpd) day_requests_ = part_of(*quota.rpd);
  day_money_.reset();
  if (quota.usd_per_day) {
    day_money_ = nano_usd(share_.of(quota.usd_per_day->count()));
    unusable_ = unusable_ || (*day_money_ == nano_usd{} && *quota.usd_per_day > nano_usd{});
  }
}

std::int64_t lane::usable(std::int64_t quota) const {
  const double share = 1.0 - setup_.config.quota.headroom;
  return std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::floor(static_cast<double>(quota) * share + 1e-9)));
}

std::int64_t lane::our_part(std::int64_t quota) const { return share_.of(usable(quota)); }

std::int64_t lane::paced(std::int64_t part) const {
  if (part == 0) return 0;
  const double share = setup_.sliced ? sliced_share : 1.0;
  return std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::floor(static_cast<double>(part) * share)));
}

call_cost lane::cost_for(const prompt_size& size) const {
  const double ratio = seen_estimate_ > 0 ? seen_input_ / seen_estimate_ : 1.0;
  const double estimate = static_cast<double>(size.body_bytes) / 4.0 * ratio;
  const tokens input(std::max<std::int64_t>(1, static_cast<std::int64_t>(estimate)));
  const auto limit = output_limit(size, setup_.config);
  tokens expected = limit;
  if (seen_answers_ > 0) {
    const tokens mean(static_cast<std::int64_t>(seen_output_ / seen_answers_) * size.choices);
    expected = limit == tokens{} ? mean : std::min(mean, limit);
  }
  return {setup_.rate_charge(input, limit, expected), worst_case(size, setup_.config)};
}

std::int64_t lane::ready_allowance(const call_cost& cost) const {
  // The transport knows only the whole lane's concurrency: it would run them at once.
  if (setup_.config.quota.concurrency && share_.owned.size() < share_.partitions) return 0;
  double per_s = 1e18;
  if (requests_) per_s = static_cast<double>(requests_->per_minute()) / 60.0;
  if (tokens_)
    per_s = std::min(per_s, static_cast<double>(tokens_->per_minute()) / 60.0 /
                                static_cast<double>(std::max<std::int64_t>(1, cost.rate.count())));
  per_s = std::min(per_s, seen_.per_second().value_or(per_s));
  return static_cast<std::int64_t>(std::min(static_cast<double>(slots_), per_s * ready_ahead_s));
}

refusal lane::check(time_point now, const call_cost& cost) const {
  if (unusable_) return refusal::no_share;
  if (missing_) return refusal::no_credentials;
  if (!breaker_.allows(now)) return refusal::down;
  if (now < held_until_) return refusal::held;
  if (outstanding_ >= slots_ + ready_allowance(cost)) return refusal::slots;
  const bool same_day = totals_.day == utc_day(now);
  if (day_requests_ && (same_day ? totals_.day_requests : 0) >= *day_requests_) return refusal::day;
  if (day_money_ &&
      (same_day ? totals_.day_spend : nano_usd{}) + reserved_ + cost.reserve > *day_money_)
    return refusal::day;
  if (requests_ && !requests_->allows(now, 1)) return refusal::requests;
  if (tokens_ && !tokens_->allows(now, cost.rate.count())) return refusal::token_rate;
  if (now < seen_.ready_at(cost.rate)) return refusal::requests;
  return refusal::none;
}

time_point lane::ready_at(time_point now, const call_cost& cost) const {
  switch (check(now, cost)) {
    case refusal::none: return now;
    case refusal::slots:
    case refusal::no_credentials:
    case refusal::no_share: return time_never;
    case refusal::day: return next_day(now);
    case refusal::down: return breaker_.ready_at(now);
    default: break;
  }
  time_point at = std::max({now, held_until_, seen_.ready_at(cost.rate)});
  if (requests_) at = std::max(at, requests_->ready_at(1));
  if (tokens_) at = std::max(at, tokens_->ready_at(cost.rate.count()));
  return at;
}

void lane::take(time_point now, const call_cost& cost) {
  breaker_.sent(now);
  ++outstanding_;
  reserved_ += cost.reserve;
  tally_send(totals_, now);
  if (requests_) requests_->take(now, 1);
  if (tokens_) tokens_->take(now, cost.rate.count());
  seen_.take(now, cost.rate);
  recent_requests_.add(now, 1);
  recent_tokens_.add(now, cost.rate.count());
}

nano_usd lane::end_call(time_point now, const call_cost& cost, const prompt_size& size,
                        const outcome& out, duration latency, std::string_view told) {
  --outstanding_;
  reserved_ -= cost.reserve;
  read_headers(now, out);

  if (out.never_sent()) {
    tally_end(totals_, now, out, {}, latency);
    if (requests_) requests_->give_back(1);
    if (tokens_) tokens_->give_back(cost.rate.count());
    seen_.give_back(now, cost.rate);
    breaker_.returned(now);
    return {};
  }

  nano_usd charge;
  if (out.usage.known && setup_.config.price)
    charge = billed(out.usage, price_served(setup_.config, out.service_tier));
  else if (out.in_doubt || out.kind == outcome_kind::answered)
    charge = cost.reserve;
  tally_end(totals_, now, out, charge, latency);
  if (out.form_refused) ++forms_refused_;
  if (out.kind == outcome_kind::answered) forms_refused_ = 0;
  const std::string reason(told.empty() ? out.error_code : told);
  if (out.unhealthy) reason_ = reason;
  if (out.kind == outcome_kind::lane_down) {
    breaker_.returned(now);
    stop(now, out.down, reason);
  } else if (out.stale_credentials) {
    breaker_.returned(now);  // says nothing about the lane
  } else if (out.quota_signal || out.halve_rate) {
    breaker_.returned(now);
    hold_after_refusal(now, cost, out, latency);
  } else {
    refusals_in_a_row_ = 0;
    breaker_.ended(now, !out.unhealthy);
    if (healthy()) {
      down_ = down_cause::none;
      downs_in_a_row_ = 0;
      reason_.clear();
    }
  }
  note_health(now);
  if (out.usage.known) {
    if (tokens_)  // the provider's own count, now that input and output are known
      tokens_->give_back(cost.rate.count() -
                         setup_.charge_of(out.usage, output_limit(size, setup_.config)).count());
    learn(size, out);
  }
  if (out.kind == outcome_kind::answered)
    latency_ = latency_ ? *latency_ + (latency - *latency_) / 16 : latency;
  return charge;
}

void lane::learn(const prompt_size& size, const outcome& out) {
  constexpr double keep = 1000;  // answers remembered, more or less
  seen_estimate_ += static_cast<double>(size.body_bytes) / 4.0;
  seen_input_ += static_cast<double>(out.usage.input.count());
  seen_answers_ += static_cast<double>(size.choices);
  seen_output_ += static_cast<double>(out.usage.output.count());
  if (seen_answers_ > keep)
    for (double* v : {&seen_estimate_, &seen_input_, &seen_answers_, &seen_output_}) *v /= 2;
}

/// Without the provider's word: longer each time, and of a length that matters at the lane's pace.
duration lane::refusal_pause() const {
  const auto pause = doubled(refusal_pause_first, refusal_pause_max, refusals_in_a_row_);
  const auto pace = seen_.per_second();
  if (!pace) return pause;
  return std::clamp(pause, std::min(from_seconds(2 / *pace), refusal_pause_slow),
                    std::clamp(from_seconds(10 / *pace), refusal_pause_fast, refusal_pause_max));
}

void lane::hold_after_refusal(time_point now, const call_cost& cost, const outcome& out,
                              duration latency) {
  if (seen_.flowing()) refusals_in_a_row_ = 0;
  // "Again at once" from a provider that refuses says no more than nothing at all.
  const bool told = out.retry_after && *out.retry_after >= retry_after_least;
  const auto pause = told ? *out.retry_after : refusal_pause();
  // Calls of one burst are refused together: they are one signal.
  const bool first = now - latency >= held_until_;
  if (first && !seen_.indifferent()) ++refusals_in_a_row_;
  if (told || (first && !seen_.indifferent())) held_until_ = std::max(held_until_, now + pause);
  seen_.refused(now, {.sent = now - latency,
                      .until = held_until_,
                      .size = cost.rate,
                      .slower = out.halve_rate,
                      .paced = requests_ || tokens_,
                      .told = told});
  reason_ = out.error_code;
}

void lane::stop(time_point now, down_cause cause, const std::string& reason) {
  // Calls of one burst fail together, and a pool stops all its lanes: they are one signal.
  const auto most = cause == down_cause::missing_model ? missing_model_pause_max : down_pause_max;
  if (breaker_.now_state(now) != breaker::state::open)
    breaker_.trip(now, doubled(down_pause_first, most, downs_in_a_row_++));
  down_ = cause;
  reason_ = reason;
  note_health(now);
}

void lane::note_health(time_point now) {
  if (healthy())
    down_since_.reset();
  else if (!down_since_)
    down_since_ = now;
}

void lane::hold_for_credentials(std::optional<std::string> why, time_point now) {
  if (why && !missing_) missing_since_ = now;
  if (!why) missing_since_.reset();
  missing_ = std::move(why);
}

void lane::retry_auth(time_point now) {
  if (down_ == down_cause::auth) breaker_.probe(now);
}

std::string lane::reason() const {
  if (unusable_) return "no part of its quota belongs to this process";
  return missing_ ? "held: " + *missing_ : reason_;
}

void lane::read_headers(time_point now, const outcome& out) {
  const auto apply = [&](std::optional<gcra>& limiter, std::optional<std::int64_t>& told,
                         const rate_reading& r, std::int64_t need) {
    if (!r.limit || !r.remaining || *r.limit <= 0) return;
    // A longer reset belongs to a quota of a day, not of a minute.
    if (limiter && r.reset && *r.reset <= 60s) {
      told = *r.limit;
      limiter->follow(paced(our_part(*r.limit)));
    }
    const auto left_alone = static_cast<std::int64_t>(
        std::ceil(static_cast<double>(*r.limit) * setup_.config.quota.headroom - 1e-9));
    const auto ours = *r.remaining - left_alone;
    if (ours >= need) return;
    // The allowance grows evenly and is full after `reset`.
    const auto reset = std::min<duration>(r.reset.value_or(1s), 60s);
    const auto missing = std::max<std::int64_t>(1, *r.limit - *r.remaining);
    const auto wait = from_seconds(seconds_of(reset) * static_cast<double>(need - ours) /
                                   static_cast<double>(missing));
    if (limiter)
      limiter->hold(now + std::min(wait, reset));
    else
      held_until_ = std::max(held_until_, now + std::min(wait, reset));
  };
  apply(requests_, told_requests_, out.requests, 1);
  apply(tokens_, told_tokens_, out.tokens_rate, 1);
}

std::optional<double> lane::typical_cost(tokens input, tokens output) const {
  const auto& c = setup_.config;
  if (c.price) {
    const auto& p = prices_at(*c.price, input);
    return static_cast<double>(input.count()) * static_cast<double>(p.input.count()) +
           static_cast<double>(output.count()) * static_cast<double>(p.output.count());
  }
  if (c.tier == lane_tier::self_hosted) return 0.0;
  return std::nullopt;
}

lane::condition lane::describe(time_point now) const {
  condition c;
  const call_cost one{tokens(1), nano_usd{}};
  c.blocked = check(now, one);
  c.health = breaker_.now_state(now);
  c.down = down_;
  c.outstanding = outstanding_;
  if (c.blocked != refusal::none || c.health != breaker::state::closed) {
    c.reason = reason();
    c.since = missing_since_ ? missing_since_ : down_since_;
    c.until = ready_at(now, one);
  }
  const auto share = [&](const recent_sum& used, const std::optional<gcra>& limiter) {
    std::optional<double> out;
    if (limiter) out = used.rate(now) * 60.0 / static_cast<double>(limiter->per_minute());
    return out;
  };
  c.rpm_used = share(recent_requests_, requests_);
  c.tpm_used = share(recent_tokens_, tokens_);
  return c;
}

}  // namespace spillway
