#include "workers/auth/refresh_schedule.hpp"

#include <gmock/gmock.h>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr time_point start = time_point(duration(1'768'478'400s));  // 2026-01-15 12:00:00 UTC
constexpr refresh_rules aws{15min};
constexpr refresh_rules google{3min + 45s};

refresh_schedule with_credential(refresh_rules rules, duration life) {
  refresh_schedule s(rules, 1, start);
  s.started(start);
  s.succeeded(start, life == duration::max() ? time_never : start + life, true);
  return s;
}

TEST(refresh_schedule, the_first_fetch_is_due_at_once_and_only_once) {
  refresh_schedule s(aws, 1, start);
  EXPECT_LE(s.due(), start);
  EXPECT_FALSE(s.usable(start));
  EXPECT_EQ(s.missing(start), "the credential is being fetched");
  EXPECT_TRUE(s.starting());
  s.started(start);
  EXPECT_EQ(s.due(), time_never);
  s.succeeded(start + 1s, start + 1h, true);
  EXPECT_EQ(s.generation(), 1u);
  EXPECT_EQ(s.missing(start + 1s), std::nullopt);
  EXPECT_FALSE(s.starting());
}

TEST(refresh_schedule, refreshes_early_or_at_half_of_the_life) {
  EXPECT_EQ(with_credential(aws, 1h).due(), start + 45min);
  EXPECT_EQ(with_credential(aws, 20min).due(), start + 10min);
  EXPECT_EQ(with_credential(google, 1h).due(), start + 56min + 15s);
  EXPECT_EQ(with_credential(google, 6min).due(), start + 3min);
  EXPECT_EQ(with_credential(google, 1s).due(), start + 1s) << "never in a tight loop";
  EXPECT_EQ(with_credential(google, duration::max()).due(), time_never);
}

TEST(refresh_schedule, a_credential_is_used_until_it_expires) {
  auto s = with_credential(aws, 1h);
  s.started(start + 45min);
  EXPECT_TRUE(s.usable(start + 45min));
  s.failed(start + 46min, "no connection");
  EXPECT_TRUE(s.usable(start + 59min + 59s));
  EXPECT_EQ(s.missing(start + 59min), std::nullopt);
  EXPECT_FALSE(s.usable(start + 1h));
  EXPECT_EQ(s.missing(start + 1h),
            "the credential expired at 13:00:00 UTC, and fetching another failed: no connection");
  s.started(start + 61min);
  s.succeeded(start + 61min, start + 2h, true);
  EXPECT_TRUE(s.usable(start + 61min));
  EXPECT_EQ(s.trouble(), "");
  EXPECT_EQ(s.generation(), 2u);
}

TEST(refresh_schedule, failures_are_spaced_out_and_never_far_apart) {
  auto s = with_credential(aws, 24h);
  auto now = start + 23h + 45min;
  std::vector<double> pauses;
  for (int i = 0; i < 8; ++i) {
    s.started(now);
    s.failed(now, "x");
    pauses.push_back(seconds_of(s.due() - now));
    now = s.due();
  }
  for (std::size_t i = 0; i < pauses.size(); ++i) {
    const double most = std::min(30.0, static_cast<double>(1 << i));
    EXPECT_GE(pauses[i], most * 0.75) << i;
    EXPECT_LE(pauses[i], most) << i;
  }
}

TEST(refresh_schedule, without_a_credential_it_asks_at_least_every_ten_seconds) {
  refresh_schedule s(aws, 1, start);
  for (int i = 0; i < 20; ++i) {
    s.started(start);
    s.failed(start, "no connection");
    EXPECT_LE(s.due() - start, 10s);
  }
  EXPECT_EQ(s.missing(start), "there is no credential yet: no connection");
  EXPECT_FALSE(s.starting());
}

TEST(refresh_schedule, seeds_spread_the_retries) {
  const auto retry_with = [](std::uint64_t seed) {
    refresh_schedule s(aws, seed, start);
    s.started(start);
    s.failed(start, "x");
    return s.due();
  };
  EXPECT_NE(retry_with(1), retry_with(2));
  EXPECT_EQ(retry_with(1), retry_with(1));
}

TEST(refresh_schedule, what_came_expired_is_no_credential) {
  refresh_schedule s(aws, 1, start);
  s.started(start);
  s.succeeded(start, start, true);
  EXPECT_EQ(s.generation(), 0u);
  EXPECT_THAT(s.missing(start).value(), HasSubstr("had expired already"));
  EXPECT_GT(s.due(), start);
}

TEST(refresh_schedule, an_older_generation_is_sent_again) {
  auto s = with_credential(google, 1h);
  s.started(start + 1min);
  s.succeeded(start + 1min, start + 2h, true);
  EXPECT_EQ(s.refused(1, start + 2min), refused_advice::resend);
  EXPECT_TRUE(s.usable(start + 2min)) << "the newest was not refused";
}

TEST(refresh_schedule, a_refusal_asks_for_one_fetch_and_waits_for_it) {
  auto s = with_credential(google, 1h);
  const auto now = start + 5min;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(s.refused(1, now), refused_advice::resend);
  EXPECT_EQ(s.due(), now);
  EXPECT_FALSE(s.usable(now));
  EXPECT_THAT(s.missing(now).value(), HasSubstr("the provider refused the credential"));
  s.started(now);
  EXPECT_EQ(s.refused(1, now), refused_advice::resend);
  EXPECT_EQ(s.due(), time_never);
  s.succeeded(now, now + 1h, true);
  EXPECT_EQ(s.refused(1, now), refused_advice::resend) << "late refusals of the old one";
  EXPECT_TRUE(s.usable(now));
  EXPECT_EQ(s.due(), now + 1h - google.early) << "one fetch serves them all";
}

TEST(refresh_schedule, a_fetched_one_that_is_refused_too_stops) {
  auto s = with_credential(google, 1h);
  const auto now = start + 5min;
  EXPECT_EQ(s.refused(1, now), refused_advice::resend);
  s.started(now);
  s.succeeded(now, now + 1h, true);
  EXPECT_EQ(s.refused(2, now + 1s), refused_advice::stop);
  EXPECT_EQ(s.refused(2, now + 2s), refused_advice::stop);
  EXPECT_TRUE(s.usable(now + 2s)) << "so that the lane can be probed";
  EXPECT_EQ(s.due(), now + 1min) << "whoever manages the credential may mend it";
}

TEST(refresh_schedule, one_that_worked_for_a_while_is_fetched_again) {
  auto s = with_credential(google, 1h);
  EXPECT_EQ(s.refused(1, start + 1min), refused_advice::resend);
  s.started(start + 1min);
  s.succeeded(start + 1min, start + 1h, true);
  EXPECT_EQ(s.refused(2, start + 30min), refused_advice::resend);
}

TEST(refresh_schedule, the_same_again_stops) {
  auto s = with_credential({0s, true, 1s}, duration::max());
  const auto now = start + 5min;
  EXPECT_EQ(s.refused(1, now), refused_advice::resend);
  s.started(now);
  s.succeeded(now, time_never, false);
  EXPECT_EQ(s.generation(), 1u);
  EXPECT_TRUE(s.usable(now));
  EXPECT_EQ(s.refused(1, now), refused_advice::stop);
  EXPECT_EQ(s.due(), now + 1s) << "and is read again soon";
}

TEST(refresh_schedule, a_fetch_that_fails_after_a_refusal_stops_and_goes_on_trying) {
  auto s = with_credential(google, 1h);
  const auto now = start + 5min;
  EXPECT_EQ(s.refused(1, now), refused_advice::resend);
  s.started(now);
  s.failed(now, "no connection");
  EXPECT_TRUE(s.usable(now)) << "one refusal may be a mistake: the token is not given up for it";
  EXPECT_EQ(s.refused(1, now), refused_advice::stop);
  EXPECT_LE(s.due(), now + 1s);
  s.started(now + 1s);
  s.succeeded(now + 1s, now + 1h, true);
  EXPECT_EQ(s.generation(), 2u) << "which lifts the lane";
}

TEST(refresh_schedule, what_cannot_change_stops_at_once) {
  auto s = with_credential({0s, false}, duration::max());
  EXPECT_EQ(s.refused(1, start), refused_advice::stop);
  EXPECT_EQ(s.due(), time_never);
  EXPECT_TRUE(s.usable(start));
}

TEST(refresh_schedule, a_change_during_a_fetch_is_fetched_after_it) {
  auto s = with_credential({0s, true, 1s}, duration::max());
  s.hurry(start + 1s);
  EXPECT_EQ(s.due(), start + 1s);
  s.started(start + 1s);
  s.hurry(start + 2s);
  EXPECT_EQ(s.due(), time_never);
  s.succeeded(start + 3s, time_never, true);
  EXPECT_EQ(s.due(), start + 3s);
  s.started(start + 3s);
  s.succeeded(start + 3s, time_never, false);
  EXPECT_EQ(s.due(), time_never);
}

}  // namespace
}  // namespace spillway
