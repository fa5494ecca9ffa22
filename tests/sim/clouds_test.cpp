// What clouds do to a job, one at a time: each run ends with every invariant held, and load goes
// where it can.
#include "tests/sim/world.hpp"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace spillway::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t rpm = 600;

/// Three pools of ten requests a second each, and lines for all of them.
schedule three_clouds(std::size_t lines) {
  schedule s;
  s.seed = 5;
  for (int i = 0; i < 3; ++i) {
    pool_config pool;
    pool.name = "pool-" + std::to_string(i);
    pool.provider = provider_kind::openai_compatible;
    pool.endpoint = "http://127.0.0.1:1/v1";
    lane_config lane;
    lane.model = lane.as = "m";
    lane.quota.rpm = rpm;
    lane.max_output_tokens = tokens(64);
    lane.timeout = 10s;
    lane.residency = {i == 0 ? "eu" : "us"};
    lane.price = price_config{pico_usd_per_token(100'000 * (i + 1)),
                              pico_usd_per_token(400'000 * (i + 1)), std::nullopt};
    pool.lanes.push_back(lane);
    s.config.pools.push_back(std::move(pool));
    s.slots.push_back(1'000);
  }
  for (std::size_t n = 0; n < lines; ++n) {
    const auto id = "p" + std::to_string(n);
    s.lines.push_back(R"({"custom_id":")" + id +
                      R"(","method":"POST","url":"/v1/chat/completions","body":{"model":"m",)"
                      R"("max_tokens":50,"messages":[{"role":"user","content":"[[id:)" +
                      id + R"(]]"}]}})");
  }
  s.valid = lines;
  s.shard_lines = 100;
  s.config.job.max_attempts = 20;
  s.config.job.stall_timeout = 10min;
  return s;
}

struct clouds : testing::Test {
  static void SetUpTestSuite() { spdlog::set_level(spdlog::level::off); }
  run_report run(const schedule& s) {
    auto report = run_schedule(s, 1);
    EXPECT_EQ(report.problem, "");
    EXPECT_EQ(report.processes, 0) << "one process is enough";
    return report;
  }
  static std::int64_t between(const run_report& r, const char* pool, duration from, duration to) {
    const auto it = r.accepted.find(pool);
    if (it == r.accepted.end()) return 0;
    return std::count_if(it->second.begin(), it->second.end(),
                         [&](duration at) { return at >= from && at < to; });
  }
};

/// 3,000 lines: 20 s of all three, then two of them: 20 s + 2,400 / 20 a second.
constexpr duration best_of_two = 140s;

TEST_F(clouds, one_of_three_answers_503_for_good) {
  auto s = three_clouds(3'000);
  s.troubles = {{trouble::kind::errors, "pool-0", 20s, 24h}};
  const auto r = run(s);
  EXPECT_LE(r.took, best_of_two * 11 / 10);
  EXPECT_EQ(between(r, "pool-0", 20s, 24h), 0);
}

TEST_F(clouds, one_of_three_takes_requests_and_never_answers) {
  auto s = three_clouds(3'000);
  s.troubles = {{trouble::kind::black_hole, "pool-0", 20s, 24h}};
  const auto r = run(s);
  EXPECT_LE(r.took, best_of_two * 11 / 10);
}

TEST_F(clouds, one_that_fails_for_a_minute_works_again_afterwards) {
  auto s = three_clouds(6'000);
  s.troubles = {{trouble::kind::errors, "pool-0", 20s, 80s}};
  const auto r = run(s);
  EXPECT_GT(between(r, "pool-0", 90s, 110s), 150) << "ten a second, probed before";
  // 60 s of one cloud are 600 prompts: 20 s more of all three.
  EXPECT_LE(r.took, (200s + 20s) * 11 / 10);
}

TEST_F(clouds, a_quota_cut_to_a_tenth_moves_the_load) {
  auto s = three_clouds(3'000);
  s.troubles = {{trouble::kind::tenth, "pool-0", 20s, 24h}};
  const auto r = run(s);
  EXPECT_LE(r.took, best_of_two * 11 / 10);
  EXPECT_GT(between(r, "pool-0", 60s, 24h), 0) << "what is left of the quota is used";
}

TEST_F(clouds, a_model_that_is_withdrawn_and_comes_back) {
  auto s = three_clouds(9'000);
  s.troubles = {{trouble::kind::no_model, "pool-0", 20s, 120s}};
  const auto r = run(s);
  EXPECT_EQ(between(r, "pool-0", 20s, 120s), 0);
  EXPECT_GT(between(r, "pool-0", 120s, 24h), 300);
}

TEST_F(clouds, a_model_that_appears_later_than_elsewhere) {
  auto s = three_clouds(6'000);
  s.troubles = {{trouble::kind::no_model, "pool-0", 0s, 60s}};
  const auto r = run(s);
  EXPECT_GT(between(r, "pool-0", 60s, 150s), 300) << "probed every 15 s, then 30 s, then 60 s";
}

TEST_F(clouds, restricted_prompts_wait_for_their_only_lane_and_never_leak) {
  for (const auto what : {trouble::kind::forbidden, trouble::kind::errors, trouble::kind::no_model,
                          trouble::kind::black_hole}) {
    auto s = three_clouds(200);
    s.config.job.residency = std::vector<std::string>{"eu"};
    s.troubles = {{what, "pool-0", 0s, 300s}};
    const auto r = run(s);
    EXPECT_EQ(r.accepted.size(), 1u) << "only pool-0";
    EXPECT_EQ(between(r, "pool-0", 300s, 24h), 200);
  }
}

/// Half an hour of prompts for one cloud.
schedule one_cloud(std::size_t lines) {
  auto s = three_clouds(lines);
  s.config.pools.resize(1);
  s.slots.resize(1);
  s.config.job.max_attempts = 6;
  return s;
}

TEST_F(clouds, an_outage_of_the_only_cloud_makes_no_error_rows) {
  for (const auto outage : {1min, 5min, 9min})
    for (const auto what : {trouble::kind::errors, trouble::kind::black_hole}) {
      auto s = one_cloud(1'000);
      s.troubles = {{what, "pool-0", 20s, 20s + outage}};
      const auto r = run(s);
      EXPECT_EQ(r.failed, 0u);
      EXPECT_LE(r.took, 100s + outage + 75s) << "found to work again soon";
    }
}

TEST_F(clouds, an_outage_as_the_last_prompts_run_makes_no_error_rows) {
  auto s = one_cloud(205);
  s.troubles = {{trouble::kind::errors, "pool-0", 20s, 20s + 5min}};
  const auto r = run(s);
  EXPECT_EQ(r.failed, 0u);
}

TEST_F(clouds, a_prompt_that_always_fails_becomes_the_only_error_row) {
  for (const char* poison : {"p0", "p120", "p599"})
    for (const auto outage : {0s, 60s}) {
      auto s = one_cloud(600);
      s.poison = poison;
      if (outage > 0s) s.troubles = {{trouble::kind::errors, "pool-0", 20s, 20s + outage}};
      const auto r = run(s);
      EXPECT_EQ(r.failed, 1u) << poison;
      EXPECT_LE(r.bills.at(poison).asked, 6 + 4) << poison;
      EXPECT_LE(r.took, 60s + outage + 100s);
    }
}

TEST_F(clouds, outages_and_a_prompt_that_always_fails_over_kills) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    auto s = one_cloud(300);
    s.seed = seed;
    s.poison = "p150";
    s.kills = 3;
    s.troubles = {{trouble::kind::errors, "pool-0", 3s, 90s}};
    const auto r = run_schedule(s, 1);
    EXPECT_EQ(r.problem, "");
    EXPECT_EQ(r.failed, 1u) << "seed " << seed;
    EXPECT_LE(r.bills.at("p150").asked, 6 + 12) << "seed " << seed;
  }
}

/// No quota is known and hundreds of connections are there: a storm meets few of them.
TEST_F(clouds, a_storm_of_429_is_not_hammered) {
  for (const auto storm : {3s, 60s}) {
    auto s = one_cloud(5'000);
    s.config.pools[0].lanes[0].quota = {};
    s.slots = {200};
    s.troubles = {{trouble::kind::storm, "pool-0", 1s, 1s + storm}};
    const auto r = run(s);
    EXPECT_EQ(r.failed, 0u);
    EXPECT_LE(r.refused, 500u) << "the first burst, and then one or two a pause";
    EXPECT_LE(r.took, storm + 2min);
  }
}

/// Tokens of a minute; the endpoint that gives new ones is away for 60 s, first with a valid token
/// left, then without one.
TEST_F(clouds, a_token_endpoint_that_is_down_costs_time_at_most) {
  auto s = three_clouds(6'000);
  s.tokens = {.life = 90s, .early = 75s, .down = {{14s, 74s}}, .revoked = {}};
  auto r = run(s);
  EXPECT_EQ(r.turned_away, 0u);
  EXPECT_LE(r.took, 210s) << "there was always a valid token";

  s.tokens = {.life = 60s, .early = 1s, .down = {{30s, 90s}}, .revoked = {}};
  r = run(s);
  EXPECT_LE(r.took, (200s + 31s) * 11 / 10) << "nothing is sent from 60 s to 90 s";
  for (const auto* pool : {"pool-0", "pool-1", "pool-2"}) EXPECT_EQ(between(r, pool, 61s, 90s), 0);
}

TEST_F(clouds, tokens_that_are_revoked_under_way_cost_a_second_call_at_most) {
  auto s = three_clouds(3'000);
  s.tokens = {.life = 1h, .early = 1min, .down = {}, .revoked = {10s, 20s, 30s, 40s}};
  s.config.job.max_attempts = 1;
  const auto r = run(s);
  EXPECT_GT(r.turned_away, 0u);
  EXPECT_LE(r.took, 110s);
}

}  // namespace
}  // namespace spillway::sim
