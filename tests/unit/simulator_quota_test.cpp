// Limits of a simulated provider, and the count of callers' violations.
#include "workers/simulator/faults.hpp"
#include "workers/simulator/hash.hpp"
#include "workers/simulator/quota.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace spillway::simulated {
namespace {

using namespace std::chrono_literals;

const time_point start{std::chrono::seconds(1'800'000'000)};

pool_spec pool_with(quota_spec quota, provider_kind provider = provider_kind::openai) {
  pool_spec p;
  p.provider = provider;
  p.quota = quota;
  return p;
}

TEST(simulator_quota, each_provider_charges_by_its_own_rule) {
  call_facts call;
  call.model = "m";
  const auto charge = [&call](provider_kind provider, std::int64_t input, std::int64_t allowed) {
    call.max_output = allowed;
    answer_size size;
    size.input = input;
    size.output = 40;
    return charge_of(pool_with({}, provider), call, size);
  };
  EXPECT_EQ(charge(provider_kind::openai, 30, 100).total, 100);
  EXPECT_EQ(charge(provider_kind::openai, 300, 100).total, 300);
  EXPECT_EQ(charge(provider_kind::azure_openai, 30, 100).total, 130);
  EXPECT_EQ(charge(provider_kind::openai_compatible, 30, 100).total, 70);
  EXPECT_EQ(charge(provider_kind::vertex, 30, 100).total, 70);
  EXPECT_EQ(charge(provider_kind::bedrock, 30, 100).total, 130);
  EXPECT_EQ(charge(provider_kind::bedrock, 30, 0).total, 30 + 4096) << "the model's maximum";
  EXPECT_EQ(charge(provider_kind::anthropic, 30, 100).input, 30);
  EXPECT_EQ(charge(provider_kind::anthropic, 30, 100).output, 100);
}

TEST(simulator_quota, what_was_reserved_is_settled_by_use) {
  call_facts call;
  answer_size size;
  size.input = 100;
  size.cached = 40;
  size.output = 10;
  const auto settled = [&](provider_kind provider, std::string_view model) {
    call.model = model;
    return settled_charge(pool_with({}, provider), call, size);
  };
  EXPECT_EQ(settled(provider_kind::bedrock, "openai.gpt-oss-120b-1:0").total, 60 + 10);
  EXPECT_EQ(settled(provider_kind::bedrock, "us.anthropic.claude-x").total, 60 + 5 * 10);
  EXPECT_EQ(settled(provider_kind::anthropic, "claude-x").input, 60);
  call.max_output = 50;
  EXPECT_EQ(settled(provider_kind::azure_openai, "m").total, 150) << "nothing is given back";

  quota_book book(pool_with({.rpm = {}, .tpm = 1000, .concurrency = {}, .burst = {}}), start);
  ASSERT_EQ(book.arrive(start, 1, {900, 0, 0}).refused_by, limit_kind::none);
  EXPECT_EQ(book.arrive(start, 1, {200, 0, 0}).refused_by, limit_kind::tokens);
  book.give_back({800, 0, 0});
  EXPECT_EQ(book.arrive(start, 1, {200, 0, 0}).refused_by, limit_kind::none);
}

TEST(simulator_quota, input_and_output_are_limited_apart_and_days_too) {
  quota_spec spec;
  spec.input_tpm = 100;
  spec.output_tpm = 50;
  quota_book book(pool_with(spec), start);
  ASSERT_EQ(book.arrive(start, 1, {60, 40, 20}).refused_by, limit_kind::none);
  EXPECT_EQ(book.arrive(start, 1, {80, 40, 40}).refused_by, limit_kind::output_tokens);
  EXPECT_EQ(book.arrive(start, 1, {80, 70, 10}).refused_by, limit_kind::input_tokens);
  EXPECT_EQ(book.rates().output->remaining, 30);

  quota_spec daily;
  daily.tpd = 100;
  quota_book day(pool_with(daily), start);
  ASSERT_EQ(day.arrive(start, 1, {100, 0, 0}).refused_by, limit_kind::none);
  const grant refusal = day.arrive(start, 1, {1, 0, 0});
  EXPECT_EQ(refusal.refused_by, limit_kind::tokens_per_day);
  EXPECT_EQ((start + refusal.wait).time_since_epoch() % 24h, 0s) << "until midnight, UTC";
  EXPECT_EQ(day.arrive(start + refusal.wait, 1, {1, 0, 0}).refused_by, limit_kind::none);
}

TEST(simulator_quota, a_minutes_requests_are_granted_at_once_and_then_one_by_one) {
  quota_book book(pool_with({.rpm = 60, .tpm = {}, .concurrency = {}, .burst = {}}), start);
  for (int i = 0; i < 60; ++i)
    ASSERT_EQ(book.arrive(start, 1, {1, 0, 0}).refused_by, limit_kind::none) << i;
  const grant refusal = book.arrive(start, 1, {1, 0, 0});
  EXPECT_EQ(refusal.refused_by, limit_kind::requests);
  EXPECT_EQ(refusal.wait, 1s);
  EXPECT_EQ(book.rates().requests->remaining, 0);
  EXPECT_EQ(book.rates().requests->reset, 60s);
}

TEST(simulator_quota, azure_grants_requests_in_slices) {
  quota_book book(pool_with({.rpm = 600, .tpm = {}, .concurrency = {}, .burst = {}},
                            provider_kind::azure_openai),
                  start);
  int granted = 0;
  while (book.arrive(start, 1, {1, 0, 0}).refused_by == limit_kind::none) ++granted;
  EXPECT_EQ(granted, 100);
}

// Whatever the load, the time told is the earliest at which the same call is granted.
TEST(simulator_quota, the_time_to_wait_is_honest) {
  quota_book book(pool_with({.rpm = 600, .tpm = 20'000, .concurrency = {}, .burst = 2s}), start);
  time_point now = start;
  int refusals = 0;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    now += duration(static_cast<std::int64_t>(mix(i) % 150'000'000));
    const auto charge = static_cast<std::int64_t>(mix(i, 1) % 900 + 1);
    const grant first = book.arrive(now, 1, {charge, 0, 0});
    if (first.refused_by == limit_kind::none) continue;
    ++refusals;
    ASSERT_GT(first.wait, 0s);
    const grant early = book.arrive(now + first.wait - 1us, 1, {charge, 0, 0});
    ASSERT_NE(early.refused_by, limit_kind::none) << "call " << i << " waited too long";
    now += first.wait;
    ASSERT_EQ(book.arrive(now, 1, {charge, 0, 0}).refused_by, limit_kind::none) << "call " << i;
  }
  EXPECT_GT(refusals, 500);
}

TEST(simulator_quota, a_call_above_a_minutes_tokens_never_passes) {
  quota_book book(pool_with({.rpm = {}, .tpm = 1000, .concurrency = {}, .burst = 1s}), start);
  EXPECT_EQ(book.arrive(start, 1, {1001, 0, 0}).refused_by, limit_kind::request_too_large);
  EXPECT_EQ(book.arrive(start, 1, {1000, 0, 0}).refused_by, limit_kind::none)
      << "granted when full";
  EXPECT_EQ(book.arrive(start, 1, {1, 0, 0}).refused_by, limit_kind::tokens) << "and then owed";
  EXPECT_EQ(book.arrive(start + 59s, 1, {1, 0, 0}).refused_by, limit_kind::tokens);
  EXPECT_EQ(book.arrive(start + 60s, 1, {1, 0, 0}).refused_by, limit_kind::none);
}

TEST(simulator_quota, concurrency_frees_when_a_call_ends) {
  quota_book book(pool_with({.rpm = {}, .tpm = {}, .concurrency = 2, .burst = {}}), start);
  book.started(start + 5s);
  book.started(start + 3s);
  const grant refusal = book.arrive(start + 1s, 1, {1, 0, 0});
  EXPECT_EQ(refusal.refused_by, limit_kind::concurrency);
  EXPECT_EQ(refusal.wait, 2s);
  book.ended();
  EXPECT_EQ(book.arrive(start + 3s, 1, {1, 0, 0}).refused_by, limit_kind::none);
}

TEST(simulator_quota, a_cut_quota_holds_at_once) {
  quota_book book(pool_with({.rpm = 60, .tpm = {}, .concurrency = {}, .burst = {}}), start);
  int granted = 0;
  while (book.arrive(start, 0.5, {1, 0, 0}).refused_by == limit_kind::none) ++granted;
  EXPECT_EQ(granted, 30);
  EXPECT_EQ(book.rates().requests->limit, 30);
  EXPECT_EQ(book.arrive(start, 0.5, {1, 0, 0}).wait, 2s);
  EXPECT_EQ(book.arrive(start + 1s, 0, {1, 0, 0}).refused_by, limit_kind::requests);
}

TEST(simulator_quota, violations_count_arrivals_over_the_last_minute) {
  quota_book book(pool_with({.rpm = 100, .tpm = {}, .concurrency = {}, .burst = {}}), start);
  for (int i = 0; i < 102; ++i) book.arrive(start + i * 100ms, 1, {1, 0, 0});
  EXPECT_EQ(book.violations(), 0) << "1.01 x 100 + 1 is 102";
  book.arrive(start + 11s, 1, {1, 0, 0});
  EXPECT_EQ(book.violations(), 1);
  book.arrive(start + 61s, 1, {1, 0, 0});
  EXPECT_EQ(book.violations(), 1) << "the first ones are older than a minute";
}

TEST(simulator_quota, violations_count_tokens_of_refused_calls_too) {
  quota_book book(pool_with({.rpm = {}, .tpm = 1000, .concurrency = {}, .burst = {}}), start);
  book.arrive(start, 1, {1000, 0, 0});
  book.arrive(start, 1, {500, 0, 0});
  EXPECT_EQ(book.violations(), 0) << "one request beyond is allowed";
  book.arrive(start + 59s, 1, {1, 0, 0});
  EXPECT_EQ(book.violations(), 1);
  book.arrive(start + 61s, 1, {1, 0, 0});
  EXPECT_EQ(book.violations(), 1);
}

// The step-wise window against the plain definition.
TEST(simulator_quota, the_window_never_exceeds_the_true_sum_and_is_close) {
  minute_window window;
  std::vector<std::pair<time_point, std::int64_t>> all;
  time_point now = start;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    now +=
        duration(static_cast<std::int64_t>(mix(i) % (i % 500 == 0 ? 90'000'000'000 : 60'000'000)));
    window.advance(now);
    window.add(static_cast<std::int64_t>(i));
    all.emplace_back(now, static_cast<std::int64_t>(i));
    const auto sum_since = [&](duration age) {
      std::int64_t sum = 0;
      for (const auto& [at, n] : all)
        if (now - at < age) sum += n;
      return sum;
    };
    ASSERT_LE(window.sum(), sum_since(60s));
    ASSERT_GE(window.sum(), sum_since(60s - 10ms));
  }
}

pool_spec pool_with_faults(std::vector<fault_config> faults) {
  pool_spec p;
  p.faults = std::move(faults);
  return p;
}

fault_config fault(fault_kind kind, double share = 1) {
  fault_config f;
  f.kind = kind;
  f.share = share;
  return f;
}

TEST(simulator_faults, shares_are_met_and_repeat_with_the_seed) {
  const auto pool = pool_with_faults({fault(fault_kind::error, 0.2), fault(fault_kind::hang, 0.1)});
  const fault_plan plan(pool.faults, 5), same(pool.faults, 5), other(pool.faults, 6);
  int errors = 0, hangs = 0, different = 0;
  constexpr int calls = 20'000;
  for (std::uint64_t i = 0; i < calls; ++i) {
    const auto* f = plan.befalling(0s, i, 1);
    ASSERT_EQ(f, same.befalling(0s, i, 1));
    if (f != other.befalling(0s, i, 1)) ++different;
    if (f) ++(f->kind == fault_kind::error ? errors : hangs);
  }
  EXPECT_NEAR(errors, 0.2 * calls, 200);
  EXPECT_NEAR(hangs, 0.8 * 0.1 * calls, 150);
  EXPECT_GT(different, calls / 10);
}

TEST(simulator_faults, by_prompt_a_retry_meets_the_same_fault) {
  auto f = fault(fault_kind::error, 0.5);
  f.by_prompt = true;
  const auto pool = pool_with_faults({f});
  const fault_plan plan(pool.faults, 1);
  int hit = 0;
  for (std::uint64_t prompt = 0; prompt < 100; ++prompt) {
    const auto* first = plan.befalling(0s, 1, prompt);
    for (std::uint64_t call = 2; call < 10; ++call)
      ASSERT_EQ(plan.befalling(0s, call, prompt), first);
    if (first) ++hit;
  }
  EXPECT_NEAR(hit, 50, 20);
}

TEST(simulator_faults, times_count_from_the_start) {
  auto down = fault(fault_kind::down), cut = fault(fault_kind::quota);
  auto missing = fault(fault_kind::missing_model), reset = fault(fault_kind::reset);
  for (auto* f : {&down, &cut, &reset}) f->from = 5s, f->to = 20s;
  cut.factor = 0.5;
  missing.to = 10s;
  missing.model = "m";
  const auto pool = pool_with_faults({down, cut, missing, reset});
  const fault_plan plan(pool.faults, 1);
  EXPECT_FALSE(plan.down(5s - 1ns));
  EXPECT_TRUE(plan.down(5s));
  EXPECT_FALSE(plan.down(20s));
  EXPECT_EQ(plan.quota_factor(4s), 1);
  EXPECT_EQ(plan.quota_factor(19s), 0.5);
  EXPECT_EQ(plan.next_quota_change(0s), 5s);
  EXPECT_EQ(plan.next_quota_change(5s), 20s);
  EXPECT_EQ(plan.next_quota_change(20s), duration::max());
  EXPECT_TRUE(plan.model_missing(9s, "m"));
  EXPECT_FALSE(plan.model_missing(9s, "n"));
  EXPECT_FALSE(plan.model_missing(10s, "m"));
  EXPECT_FALSE(plan.befalling(4s, 1, 1));
  EXPECT_TRUE(plan.befalling(6s, 1, 1));
}

TEST(simulator_faults, lognormal_latency_has_its_median_and_spread) {
  EXPECT_EQ(latency_of({20ms, 0}, 1, 1), 20ms);
  std::vector<double> seconds;
  for (std::uint64_t i = 0; i < 20'001; ++i)
    seconds.push_back(seconds_of(latency_of({200ms, 0.5}, 9, i)));
  std::sort(seconds.begin(), seconds.end());
  EXPECT_NEAR(seconds[10'000], 0.2, 0.005);
  EXPECT_NEAR(seconds[16'827], 0.2 * std::exp(0.5), 0.02) << "one sigma up";
}

}  // namespace
}  // namespace spillway::simulated
