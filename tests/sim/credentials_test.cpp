// Credentials that are missing, refused and replaced, seen from the engine.
#include "tests/sim/engine_stage.hpp"

#include <gtest/gtest.h>

namespace spillway::sim {
namespace {

/// What all authenticators of a stage say.
struct office {
  std::optional<std::string> missing;
  bool fails = false;
  std::uint64_t generation = 1;
  refused_advice advice = refused_advice::resend;
  std::optional<time_point> send_before;
  std::vector<std::uint64_t> refused;
  int keepers = 0;

  struct holder final : authenticator {
    explicit holder(office& at) : o(at) { ++o.keepers; }
    ~holder() override { --o.keepers; }
    result<credential_use> authenticate(http_request&) const override {
      if (o.fails) return failure{failure_kind::stopped, "no signing key"};
      return credential_use{o.generation, o.send_before};
    }
    std::optional<std::string> missing() const override { return o.missing; }
    refused_advice refused(std::uint64_t generation) override {
      o.refused.push_back(generation);
      return o.advice;
    }
    std::uint64_t generation() const override { return o.generation; }
    office& o;
  };
  authenticator_factory factory() {
    return [this](const pool_config&) {
      return result<std::unique_ptr<authenticator>>(std::make_unique<holder>(*this));
    };
  }
};

struct credentials : testing::Test {
  office desk;
  engine_stage m{pools_of({"a"}), desk.factory()};
  memory_log& log = m.attach(0);

  lane_progress lane() { return m.e->lanes(m.now).at(0); }
  void later(duration d) {
    m.now += d;
    m.settle();
  }
};

TEST_F(credentials, a_pool_without_one_waits_and_says_why) {
  desk.missing = "the token endpoint does not answer";
  log.add(0, 3);
  m.settle();
  EXPECT_TRUE(m.net.open.empty());
  EXPECT_TRUE(log.attempts.empty());
  EXPECT_EQ(lane().health, lane_health::no_credentials);
  EXPECT_EQ(lane().reason, "held: the token endpoint does not answer");
  EXPECT_EQ(lane().since, start + 1ms);
  later(20min);
  EXPECT_EQ(m.progress(0, 0).errors, 0);

  const auto wake = m.e->step(m.now, {});
  EXPECT_LE(wake, m.now + 1s) << "nothing else tells it of a new token";
  desk.missing.reset();
  later(100ms);
  EXPECT_EQ(m.net.open.size(), 3u);
  EXPECT_EQ(lane().health, lane_health::up);
}

TEST_F(credentials, a_send_that_gets_none_was_never_made) {
  desk.fails = true;
  log.add(0, 2);
  m.settle();
  EXPECT_TRUE(m.net.open.empty());
  EXPECT_EQ(m.progress(0, 0).in_flight, 0);
  EXPECT_EQ(lane().totals.calls, 0);
  EXPECT_EQ(lane().reason, "held: no signing key");
  for (const auto& a : log.attempts) EXPECT_FALSE(a.in_flight) << "an intent without a send";

  desk.fails = false;
  later(1s);
  ASSERT_EQ(m.net.open.size(), 2u);
  m.end_all(m.net);
  m.settle();
  ASSERT_EQ(log.rows.size(), 2u);
  EXPECT_EQ(log.rows[0].sends, 1u);
  EXPECT_EQ(m.progress(0, 0).in_flight, 0);
}

TEST_F(credentials, a_credential_may_shorten_the_time_to_send) {
  desk.send_before = m.now + 2s;
  log.add(0, 1);
  m.settle();
  EXPECT_EQ(m.net.send_before, *desk.send_before);
  desk.send_before = m.now + 1h;
  log.add(0, 1);
  m.settle();
  EXPECT_LT(m.net.send_before, m.now + 5s) << "the log's own limit holds";
}

TEST_F(credentials, a_lane_down_for_its_key_is_tried_when_the_key_changes) {
  log.add(0, 1);
  m.settle();
  m.end(m.net, 0, 403);
  m.settle();
  EXPECT_EQ(lane().health, lane_health::down_auth);
  EXPECT_TRUE(m.net.open.empty());
  later(5s);
  EXPECT_TRUE(m.net.open.empty());
  desk.generation = 2;
  later(100ms);
  ASSERT_EQ(m.net.open.size(), 1u);
  m.end_all(m.net);
  m.settle();
  EXPECT_EQ(log.rows.size(), 1u);
}

TEST_F(credentials, a_call_with_an_old_one_goes_again_and_nobody_is_to_blame) {
  log.add(0, 3);
  m.settle();
  desk.generation = 2;
  m.end_all(m.net, 401);
  m.settle();
  EXPECT_EQ(desk.refused, (std::vector<std::uint64_t>{1, 1, 1}));
  EXPECT_EQ(lane().health, lane_health::up);
  later(500ms);
  ASSERT_EQ(m.net.open.size(), 3u);
  for (const auto& a : log.attempts) EXPECT_EQ(a.attempts, 0u) << "not the prompt's fault";
  m.end_all(m.net);
  m.settle();
  ASSERT_EQ(log.rows.size(), 3u);
  EXPECT_EQ(log.rows[0].kind, row_kind::answered);
  EXPECT_EQ(lane().totals.failed, 0);
}

TEST_F(credentials, while_a_refused_one_is_being_replaced_nothing_is_sent) {
  log.add(0, 1);
  m.settle();
  m.end(m.net, 0, 401);
  m.settle();
  EXPECT_EQ(lane().health, lane_health::no_credentials);
  EXPECT_EQ(lane().reason, "held: a refused credential is being replaced");
  desk.generation = 2;
  later(500ms);
  EXPECT_EQ(m.net.open.size(), 1u);
}

TEST_F(credentials, the_newest_one_refused_takes_the_lane_down) {
  desk.advice = refused_advice::stop;
  log.add(0, 1);
  m.settle();
  m.end(m.net, 0, 401);
  m.settle();
  EXPECT_EQ(lane().health, lane_health::down_auth);
  EXPECT_EQ(lane().since, m.now - 20ms + 1ms);
  EXPECT_EQ(m.progress(0, 0).errors, 0);
  ASSERT_TRUE(lane().resumes_in);
  later(*lane().resumes_in);
  EXPECT_EQ(m.net.open.size(), 1u) << "probed by itself";
}

TEST_F(credentials, former_pools_keep_theirs_only_for_open_calls) {
  log.add(0, 1);
  m.settle();
  EXPECT_EQ(desk.keepers, 1);
  hand_transport other;
  ASSERT_TRUE(m.e->reconfigure(pools_of({"a"}), {1'000}, other, m.now));
  EXPECT_EQ(desk.keepers, 2);
  ASSERT_TRUE(m.e->reconfigure(pools_of({"a"}), {1'000}, other, m.now));
  EXPECT_EQ(desk.keepers, 2) << "the one between had no call";
  m.end_all(m.net);
  m.settle();
  EXPECT_EQ(desk.keepers, 1);
  EXPECT_EQ(log.rows.size(), 1u);
}

}  // namespace
}  // namespace spillway::sim
