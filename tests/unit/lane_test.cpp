#include "orchestrator/core/lane.hpp"
#include "tests/unit/limits.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr time_point start(1'790'000'000s);
/// The last second of a UTC day.
constexpr time_point evening = std::chrono::floor<std::chrono::days>(start) + 24h - 1s;

lane_setup setup_of(const limits& l, std::int64_t slots = 1'000) {
  lane_setup s;
  s.pool = "pool";
  s.config.model = s.config.as = "m";
  s.config.quota = l.quota();
  s.slots = slots;
  s.rate_charge = [](tokens input, tokens max_output, tokens expected) {
    return input + (max_output == tokens{} ? expected : max_output);
  };
  return s;
}

lane_setup priced(const limits& l) {
  auto s = setup_of(l);
  s.config.price = price_config{pico_usd_per_token(1'000'000), pico_usd_per_token(2'000'000), {}};
  return s;
}

constexpr prompt_size small{400, 0, 1, tokens(50)};
const call_cost one{tokens(100), nano_usd(10)};

outcome answered(std::int64_t input = 0, std::int64_t output = 0) {
  outcome o;
  o.kind = outcome_kind::answered;
  o.status = 200;
  if (input > 0) o.usage = {true, tokens(input), tokens(0), tokens(output)};
  return o;
}

outcome refused(std::optional<duration> retry_after = {}) {
  outcome o;
  o.status = 429;
  o.quota_signal = true;
  o.retry_after = retry_after;
  o.error_code = "rate_limited";
  return o;
}

outcome failed(int status = 503) {
  outcome o;
  o.status = status;
  o.unhealthy = o.counts_attempt = true;
  o.error_code = "unavailable";
  return o;
}

outcome down(down_cause cause) {
  outcome o;
  o.kind = outcome_kind::lane_down;
  o.down = cause;
  o.status = 401;
  o.error_code = "auth";
  o.error_message = "bad key";
  return o;
}

void call(lane& l, time_point now, const outcome& o) {
  l.take(now, one);
  (void)l.end_call(now, one, small, o, {});
}

/// Grants from `from` on, polled each millisecond, every call answered at once.
int grants(lane& l, time_point from, duration span, const call_cost& cost = one) {
  int n = 0;
  for (auto now = from; now < from + span; now += 1ms)
    while (l.check(now, cost) == refusal::none) {
      l.take(now, cost);
      (void)l.end_call(now, cost, small, answered(), 1ms);
      ++n;
    }
  return n;
}

TEST(lane, without_limits_only_the_slots_count) {
  lane l(setup_of({}, 3), start);
  for (int i = 0; i < 6; ++i) {  // as many again wait ready for a freed connection
    ASSERT_EQ(l.check(start, one), refusal::none);
    l.take(start, one);
  }
  EXPECT_EQ(l.check(start, one), refusal::slots);
  EXPECT_EQ(l.ready_at(start, one), time_never) << "only an answer frees a slot";
  EXPECT_EQ(l.describe(start).outstanding, 6);
  (void)l.end_call(start, one, small, answered(), 1ms);
  EXPECT_EQ(l.check(start, one), refusal::none);
}

TEST(lane, a_slow_lane_takes_few_permits_ahead) {
  lane l(setup_of({.rpm = 6'000, .concurrency = 3}), start);  // two in 20 ms
  int taken = 0;
  for (auto now = start; now < start + 1s; now += 1ms)
    while (l.check(now, one) == refusal::none) {
      l.take(now, one);
      ++taken;
    }
  EXPECT_EQ(taken, 5);
  EXPECT_EQ(l.check(start + 1s, one), refusal::slots);
}

TEST(lane, requests_are_paced) {
  lane l(setup_of({.rpm = 600}), start);
  EXPECT_EQ(l.check(start, one), refusal::requests);
  EXPECT_EQ(l.ready_at(start, one), start + 100ms);
  EXPECT_EQ(l.check(start + 100ms, one), refusal::none);
  EXPECT_NEAR(grants(l, start, 60s), 600, 6);
}

TEST(lane, tokens_are_paced) {
  lane l(setup_of({.tpm = 60'000}), start);
  EXPECT_EQ(l.check(start, one), refusal::token_rate);
  EXPECT_EQ(l.ready_at(start, one), start + 100ms);
  EXPECT_NEAR(grants(l, start, 60s), 600, 6);
}

TEST(lane, sliced_quotas_are_paced_evenly_and_a_little_below) {
  auto s = setup_of({.rpm = 60'000});
  s.sliced = true;
  lane l(std::move(s), start);
  EXPECT_LE(grants(l, start + 1h, 20ms), 41) << "an idle hour saves 20 ms";
  EXPECT_NEAR(grants(l, start + 1h + 20ms, 10s), 9'800, 20);
}

TEST(lane, a_call_larger_than_the_burst_still_goes) {
  lane l(setup_of({.tpm = 6'000}), start);
  const call_cost big{tokens(1'000), {}};
  const auto at = l.ready_at(start, big);
  ASSERT_LE(at, start + 1s);
  l.take(at, big);
  EXPECT_NEAR(seconds_of(l.ready_at(at, big) - at), 10, 0.3) << "but its tokens are owed";
}

TEST(lane, headroom_is_left_to_others) {
  lane l(setup_of({.rpm = 1'000, .concurrency = 10, .rpd = 50, .headroom = 0.2}), start);
  EXPECT_EQ(l.slots(), 8);
  EXPECT_EQ(grants(l, start, 60s), 40) << "80% of the day's 50";
  EXPECT_EQ(l.check(start + 60s, one), refusal::day);
  lane paced(setup_of({.rpm = 1'000, .headroom = 0.2}), start);
  EXPECT_NEAR(grants(paced, start, 60s), 800, 8);
}

TEST(lane, requests_a_day_turn_over_at_utc_midnight) {
  lane l(setup_of({.rpd = 2}), evening);
  call(l, evening, answered());
  EXPECT_EQ(l.check(evening, one), refusal::none);
  call(l, evening, failed());
  EXPECT_EQ(l.check(evening, one), refusal::day);
  EXPECT_EQ(l.ready_at(evening, one), evening + 1s);
  EXPECT_EQ(l.check(evening + 999ms, one), refusal::day);
  EXPECT_EQ(l.check(evening + 1s, one), refusal::none);
  call(l, evening + 1s, answered());
  EXPECT_EQ(l.totals().day_requests, 1);
  EXPECT_EQ(l.totals().calls, 3);
}

TEST(lane, spend_a_day_counts_open_calls_and_turns_over) {
  lane l(priced({.usd_per_day = nano_usd(1'000'000)}), evening);
  const call_cost cost{tokens(1), nano_usd(400'000)};
  l.take(evening, cost);
  l.take(evening, cost);
  EXPECT_EQ(l.check(evening, cost), refusal::day) << "two are reserved";
  (void)l.end_call(evening, cost, small, answered(100, 50), 1ms);
  EXPECT_EQ(l.totals().day_spend, nano_usd(200'000));
  EXPECT_EQ(l.check(evening, cost), refusal::none);
  l.take(evening, cost);
  EXPECT_EQ(l.check(evening, cost), refusal::day);
  EXPECT_EQ(l.ready_at(evening, cost), evening + 1s);
  // The new day begins with the calls that are still out.
  EXPECT_EQ(l.check(evening + 1s, {tokens(1), nano_usd(200'000)}), refusal::none);
  EXPECT_EQ(l.check(evening + 1s, {tokens(1), nano_usd(200'001)}), refusal::day);
}

TEST(lane, counters_of_a_day_survive_a_restart_and_an_older_day_does_not_count) {
  lane l(setup_of({.rpd = 2}), evening);
  l.totals().day = utc_day(evening);
  l.totals().day_requests = 2;
  EXPECT_EQ(l.check(evening, one), refusal::day);
  l.totals().day = utc_day(evening) - 1;
  EXPECT_EQ(l.check(evening, one), refusal::none);
}

TEST(lane, a_429_holds_the_lane_for_retry_after) {
  lane l(setup_of({}), start);
  call(l, start, refused(7s));
  EXPECT_EQ(l.check(start, one), refusal::held);
  EXPECT_EQ(l.ready_at(start, one), start + 7s);
  EXPECT_EQ(l.check(start + 7s, one), refusal::none);
  EXPECT_EQ(l.totals().refused_429, 1);
  EXPECT_EQ(l.describe(start).reason, "rate_limited");
  EXPECT_EQ(l.describe(start).health, breaker::state::closed);
}

TEST(lane, a_429_without_retry_after_pauses_longer_each_time) {
  lane l(setup_of({}), start);
  auto now = start;
  std::vector<double> pauses;
  for (int i = 0; i < 8; ++i) {
    call(l, now, refused());
    pauses.push_back(seconds_of(l.ready_at(now, one) - now));
    now = l.ready_at(now, one);
  }
  EXPECT_EQ(pauses[0], 0.5);
  EXPECT_TRUE(std::is_sorted(pauses.begin(), pauses.end()));
  EXPECT_LE(pauses[1], 5) << "of a lane that takes a call in two seconds, as far as is known";
  EXPECT_NEAR(pauses[5], 16, 0.1);
  EXPECT_LE(pauses[7], 30);
  call(l, now, answered());
  call(l, now, refused());
  EXPECT_LE(l.ready_at(now, one) - now, 5s) << "an answer ends the series";
}

TEST(lane, a_retry_after_of_nothing_is_none) {
  lane l(setup_of({}), start);
  call(l, start, refused(0ms));
  EXPECT_EQ(l.ready_at(start, one) - start, 500ms);
  lane other(setup_of({}), start);
  call(other, start, refused(20ms));
  EXPECT_EQ(other.ready_at(start, one) - start, 20ms) << "as short as it is meant";
}

TEST(lane, refusals_of_one_burst_are_one_signal) {
  lane l(setup_of({}), start);
  for (int i = 0; i < 20; ++i) l.take(start, one);
  for (int i = 0; i < 20; ++i) (void)l.end_call(start, one, small, refused(), 1ms);
  EXPECT_LE(l.ready_at(start, one), start + 1s);
  EXPECT_EQ(l.describe(start).health, breaker::state::closed) << "429 says nothing about health";
}

TEST(lane, a_slower_ramp_halves_the_rate_for_a_minute) {
  lane l(setup_of({.rpm = 6'000}), start);
  EXPECT_NEAR(grants(l, start, 20s), 2'000, 30);
  auto slow = refused(0s);
  slow.halve_rate = true;
  call(l, start + 20s, slow);
  EXPECT_NEAR(grants(l, start + 21s, 5s), 270, 30);
  EXPECT_NEAR(grants(l, start + 26s, 30s), 2'500, 250);
  EXPECT_NEAR(grants(l, start + 82s, 10s), 1'000, 50);
}

TEST(lane, a_single_429_costs_an_unlimited_lane_little) {
  lane l(setup_of({}, 40), start);
  /// 40 calls of 400 ms at once: 100 a second.
  const auto sent = [&l](time_point from, duration span) {
    int n = 0;
    for (auto now = from; now < from + span; now += 10ms)
      if (l.check(now, one) == refusal::none) {
        l.take(now, one);
        (void)l.end_call(now, one, small, answered(), 400ms);
        ++n;
      }
    return n;
  };
  EXPECT_EQ(sent(start, 30s), 3'000);
  call(l, start + 30s, refused());
  EXPECT_GT(sent(start + 30s, 10s), 800) << "a pause, a gentle start, then a little less";
  EXPECT_GT(sent(start + 40s, 60s), 5'850);
  EXPECT_EQ(sent(start + 100s, 10s), 1'000) << "and nothing is left of it";
}

TEST(lane, after_a_pause_it_starts_gently) {
  lane l(setup_of({}, 1'000), start);
  for (int i = 0; i < 2'000; ++i) l.take(start, one);
  for (int i = 0; i < 2'000; ++i)
    (void)l.end_call(start + 50ms, one, small, i % 10 < 7 ? refused() : answered(), 50ms);
  auto now = start + 550ms;
  int taken = 0;
  for (; now < start + 650ms; now += 1ms)
    while (l.check(now, one) == refusal::none) {
      l.take(now, one);
      ++taken;
    }
  EXPECT_GE(taken, 1);
  EXPECT_LE(taken, 20) << "not all its slots at once";
}

TEST(lane, refusals_that_come_late_are_no_new_signal) {
  lane l(setup_of({}, 100), start);
  for (int i = 0; i < 100; ++i) l.take(start, one);
  (void)l.end_call(start + 50ms, one, small, refused(), 50ms);
  EXPECT_EQ(l.ready_at(start + 50ms, one), start + 550ms);
  (void)l.end_call(start + 2s, one, small, refused(), 2s);
  EXPECT_EQ(l.check(start + 2s, one), refusal::none);
}

TEST(lane, header_readings_hold_the_limiter) {
  lane l(setup_of({.rpm = 6'000}), start);
  const auto now = start + 10s;
  auto o = answered();
  o.requests = {6'000, 0, 60s};
  call(l, now, o);
  EXPECT_EQ(l.check(now + 9ms, one), refusal::requests) << "one comes back each 10 ms";
  EXPECT_EQ(l.check(now + 30ms, one), refusal::none);
}

TEST(lane, header_readings_leave_the_headroom_to_others) {
  lane l(setup_of({.rpm = 6'000, .headroom = 0.25}), start);
  const auto now = start + 10s;
  auto plenty = answered();
  plenty.requests = {6'000, 1'501, 45s};
  call(l, now, plenty);
  EXPECT_EQ(l.check(now, one), refusal::none);
  auto short_of = answered();
  short_of.requests = {6'000, 900, 51s};  // 100 a second come back; 601 are needed
  call(l, now, short_of);
  EXPECT_EQ(l.check(now + 5900ms, one), refusal::requests);
  EXPECT_EQ(l.check(now + 6100ms, one), refusal::none);
}

TEST(lane, the_rate_follows_a_lower_limit_in_the_headers) {
  lane l(setup_of({.rpm = 6'000}), start);
  auto daily = answered();
  daily.requests = {600, 500, 3h};
  call(l, start, daily);
  EXPECT_NEAR(grants(l, start + 1s, 10s), 1'000, 30) << "a quota of a day is another matter";
  auto lower = answered();
  lower.requests = {600, 500, 10s};
  call(l, start + 20s, lower);
  EXPECT_NEAR(grants(l, start + 30s, 10s), 100, 5);
  auto higher = answered();
  higher.requests = {60'000, 60'000, 0s};
  call(l, start + 50s, higher);
  EXPECT_NEAR(grants(l, start + 60s, 10s), 1'000, 30) << "back to what was configured, not above";
}

TEST(lane, headers_without_a_known_quota_hold_the_lane) {
  lane l(setup_of({}), start);
  auto o = answered();
  o.tokens_rate = {1'000, -5, 60s};
  call(l, start, o);
  EXPECT_EQ(l.check(start, one), refusal::held);
  EXPECT_LE(l.ready_at(start, one), start + 1s);
  auto odd = answered();
  odd.requests = {0, 0, 60s};
  odd.tokens_rate = {std::nullopt, 0, 60s};
  lane other(setup_of({}), start);
  call(other, start, odd);
  EXPECT_EQ(other.check(start, one), refusal::none) << "a reading without a limit says nothing";
}

TEST(lane, a_lane_down_is_probed_later_and_lifted_by_an_answer) {
  lane l(setup_of({}), start);
  for (int i = 0; i < 3; ++i) l.take(start, one);
  for (int i = 0; i < 3; ++i)
    (void)l.end_call(start, one, small, down(down_cause::auth), 1ms, "auth: bad key");
  EXPECT_FALSE(l.usable());
  EXPECT_EQ(l.check(start, one), refusal::down);
  EXPECT_EQ(l.ready_at(start, one), start + 15s) << "three refusals are one signal";
  EXPECT_EQ(l.describe(start).down, down_cause::auth);
  EXPECT_EQ(l.describe(start).reason, "auth: bad key");

  auto now = start + 15s;
  ASSERT_EQ(l.check(now, one), refusal::none) << "one probe";
  l.take(now, one);
  EXPECT_EQ(l.check(now, one), refusal::down);
  (void)l.end_call(now, one, small, down(down_cause::auth), 1ms);
  EXPECT_EQ(l.ready_at(now, one), now + 30s) << "the pause doubles";

  now += 30s;
  for (const int size : {1, 2, 4})
    for (int i = 0; i < size; ++i) {
      ASSERT_EQ(l.check(now, one), refusal::none);
      call(l, now, answered());
    }
  EXPECT_TRUE(l.usable());
  EXPECT_EQ(l.describe(now).down, down_cause::none);
  call(l, now, down(down_cause::billing));
  EXPECT_EQ(l.ready_at(now, one), now + 15s) << "a lifted lane starts over";
}

TEST(lane, the_pause_of_a_lane_down_is_bounded) {
  for (const auto& [cause, most] :
       {std::pair<down_cause, duration>{down_cause::billing, 5min},
        std::pair<down_cause, duration>{down_cause::missing_model, 1min}}) {
    lane l(setup_of({}), start);
    auto now = start;
    duration longest{};
    for (int i = 0; i < 40; ++i) {
      call(l, now, down(cause));
      const auto next = l.ready_at(now, one);
      longest = std::max(longest, next - now);
      now = next;
    }
    EXPECT_EQ(longest, most);
    EXPECT_EQ(l.ready_at(now - 1ns, one), now);
  }
}

TEST(lane, without_a_credential_it_waits_and_is_not_down) {
  lane l(setup_of({}), start);
  l.hold_for_credentials("the token endpoint does not answer", start + 1s);
  EXPECT_EQ(l.check(start + 1s, one), refusal::no_credentials);
  EXPECT_FALSE(l.usable());
  l.hold_for_credentials("still nothing", start + 5s);
  const auto c = l.describe(start + 9s);
  EXPECT_EQ(c.reason, "held: still nothing");
  EXPECT_EQ(c.since, start + 1s);
  EXPECT_EQ(c.down, down_cause::none);
  EXPECT_EQ(c.health, breaker::state::closed);
  l.hold_for_credentials({}, start + 10s);
  EXPECT_EQ(l.check(start + 10s, one), refusal::none);
  EXPECT_TRUE(l.usable());
  EXPECT_EQ(l.describe(start + 10s).since, std::nullopt);
}

TEST(lane, a_call_refused_for_an_old_credential_says_nothing_about_it) {
  lane l(setup_of({}), start);
  for (int i = 0; i < 40; ++i) {
    l.take(start, one);
    outcome o;
    o.status = 401;
    o.stale_credentials = true;
    (void)l.end_call(start, one, small, o, 10ms);
  }
  EXPECT_TRUE(l.usable());
  EXPECT_EQ(l.totals().failed, 0);
}

TEST(lane, another_credential_ends_the_pause_of_a_lane_down_for_one) {
  for (const auto cause : {down_cause::auth, down_cause::billing, down_cause::missing_model}) {
    lane l(setup_of({}), start);
    l.stop(start, cause, "refused");
    EXPECT_EQ(l.describe(start + 1s).since, start);
    l.retry_auth(start + 1s);
    EXPECT_EQ(l.check(start + 1s, one), cause == down_cause::auth ? refusal::none : refusal::down);
    EXPECT_FALSE(l.usable()) << "until it answers";
  }
}

TEST(lane, failures_open_the_breaker) {
  lane l(setup_of({}), start);
  for (int i = 0; i < 5; ++i) call(l, start, failed());
  EXPECT_EQ(l.check(start, one), refusal::down);
  EXPECT_EQ(l.ready_at(start, one), start + 5s);
  EXPECT_EQ(l.totals().failed, 5);
  EXPECT_EQ(l.describe(start).health, breaker::state::open);
}

TEST(lane, what_was_never_sent_is_given_back) {
  lane l(priced({.rpm = 600, .tpm = 60'000, .rpd = 10}), start);
  const auto now = start + 250ms;
  const auto before = l.ready_at(now, one);
  l.take(now, one);
  outcome never;
  EXPECT_EQ(l.end_call(now, one, small, never, {}), nano_usd{});
  EXPECT_EQ(l.ready_at(now, one), before);
  EXPECT_EQ(l.totals().calls, 0);
  EXPECT_EQ(l.totals().day_requests, 0);
  EXPECT_EQ(l.totals().settled, nano_usd{});
  EXPECT_EQ(l.describe(now).outstanding, 0);
}

TEST(lane, a_probe_that_was_never_sent_can_be_sent_again) {
  lane l(setup_of({}), start);
  for (int i = 0; i < 5; ++i) call(l, start, failed());
  const auto now = start + 5s;
  l.take(now, one);
  ASSERT_EQ(l.check(now, one), refusal::down);
  (void)l.end_call(now, one, small, outcome{}, {});
  EXPECT_EQ(l.check(now, one), refusal::none);
}

TEST(lane, counts_the_limit_it_asks_for_where_the_prompt_has_none) {
  auto setup = setup_of({});
  setup.config.max_output_tokens = tokens(30);
  const lane l(setup, start);
  EXPECT_EQ(l.cost_for({400, 0, 2, tokens{}}).rate, tokens(100 + 60));
  EXPECT_EQ(l.cost_for({400, 0, 2, tokens(5)}).rate, tokens(100 + 5));
}

TEST(lane, settling_gives_back_the_tokens_that_were_not_used) {
  lane l(setup_of({.tpm = 60'000}), start);
  const auto now = start + 1h;
  const call_cost wide{tokens(1'000), {}};
  l.take(now, wide);
  EXPECT_EQ(l.ready_at(now, {tokens(250), {}}), now + 875ms);
  (void)l.end_call(now, wide, {400, 0, 1, tokens{}}, answered(100, 150), 1ms);
  EXPECT_EQ(l.ready_at(now, {tokens(250), {}}), now + 125ms) << "250 of 1000 were used";
}

TEST(lane, settling_takes_more_where_the_provider_counts_output_dearer) {
  auto setup = setup_of({.tpm = 60'000});
  setup.settled_charge = [](const token_usage& used, tokens) {
    return used.input - used.cached + used.output * 5;
  };
  lane l(setup, start);
  const auto now = start + 1h;
  const call_cost cost{tokens(1'000), {}};
  l.take(now, cost);
  EXPECT_EQ(l.ready_at(now, {tokens(250), {}}), now + 875ms);
  (void)l.end_call(now, cost, {400, 0, 1, tokens{}}, answered(500, 300), 1ms);
  EXPECT_EQ(l.ready_at(now, {tokens(250), {}}), now + 1875ms) << "2000 instead of 1000";
}

TEST(lane, calls_are_charged_by_usage_or_by_the_worst_case_in_doubt) {
  const call_cost cost{tokens(100), nano_usd(1'000'000)};
  auto doubtful = failed(0);
  doubtful.in_doubt = true;
  struct row {
    const char* name;
    outcome o;
    std::int64_t charge, maybe_billed;
  };
  for (const auto& [name, o, charge, maybe_billed] :
       {row{"answered", answered(100, 50), 200'000, 0}, row{"no usage", answered(), 1'000'000, 0},
        row{"refused", refused(), 0, 0}, row{"failed", failed(), 0, 0},
        row{"in doubt", doubtful, 1'000'000, 1}, row{"down", down(down_cause::auth), 0, 0}}) {
    lane l(priced({}), start);
    l.take(start, cost);
    EXPECT_EQ(l.end_call(start, cost, small, o, 1ms), nano_usd(charge)) << name;
    EXPECT_EQ(l.totals().settled, nano_usd(charge)) << name;
    EXPECT_EQ(l.totals().day_spend, nano_usd(charge)) << name;
    EXPECT_EQ(l.totals().maybe_billed, maybe_billed) << name;
  }
}

TEST(lane, learns_lengths_for_rates_and_never_for_money) {
  lane l(priced({.tpm = 1'000'000}), start);
  const prompt_size open_ended{4'000, 0, 1, tokens{}};
  EXPECT_EQ(l.cost_for(open_ended).rate, tokens(1'000)) << "bytes / 4 at first";
  const auto before = l.cost_for(open_ended).reserve;
  for (int i = 0; i < 3'000; ++i) {
    const auto cost = l.cost_for(open_ended);
    l.take(start, cost);
    (void)l.end_call(start, cost, open_ended, answered(1'500, 300), 1ms);
  }
  EXPECT_NEAR(static_cast<double>(l.cost_for(open_ended).rate.count()), 1'800, 10);
  EXPECT_EQ(l.cost_for(open_ended).reserve, before);
  EXPECT_NEAR(static_cast<double>(l.cost_for({4'000, 0, 2, tokens{}}).rate.count()), 2'100, 10)
      << "two choices, twice the output";
}

TEST(lane, ranks_by_price_where_it_is_known) {
  const lane with(priced({}), start), without(setup_of({}), start);
  auto own = setup_of({});
  own.config.tier = lane_tier::self_hosted;
  EXPECT_EQ(with.typical_cost(tokens(100), tokens(10)), 120e6);
  EXPECT_EQ(without.typical_cost(tokens(100), tokens(10)), std::nullopt);
  EXPECT_EQ(lane(own, start).typical_cost(tokens(100), tokens(10)), 0.0);
}

TEST(lane, describes_its_use_of_the_last_ten_seconds) {
  lane l(setup_of({.rpm = 600, .tpm = 600'000}), start);
  EXPECT_EQ(l.describe(start).rpm_used, 0.0);
  (void)grants(l, start, 20s);
  EXPECT_NEAR(*l.describe(start + 19999ms).rpm_used, 1.0, 0.1);
  EXPECT_NEAR(*l.describe(start + 19999ms).tpm_used, 0.1, 0.02);
  EXPECT_EQ(l.describe(start + 40s).rpm_used, 0.0);
  EXPECT_EQ(lane(setup_of({}), start).describe(start).rpm_used, std::nullopt);
}

}  // namespace
}  // namespace spillway
