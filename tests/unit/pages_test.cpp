// A member's pages: liveness, readiness, status and what is no page.
#include "orchestrator/service/pages.hpp"
#include "orchestrator/service/health_json.hpp"
#include "tests/support/sample_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>

namespace spillway::service {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class set_clock final : public time_source {
 public:
  time_point at{1'000'000s};
  [[nodiscard]] time_point now() const override { return at; }
};

class pages : public testing::Test {
 protected:
  response get(std::string_view path, std::string_view method = "GET") {
    return shown_({.method = method, .path = path, .query = {}});
  }
  static boost::json::object object(const response& r) {
    return boost::json::parse(r.body).as_object();
  }

  set_clock clock_;
  heartbeat engine_{clock_.at};
  member_board board_;
  handler shown_ = member_pages({.board = board_, .engine = engine_, .clock = clock_});
};

TEST_F(pages, alive_while_the_engine_beats) {
  clock_.at += 10s;
  EXPECT_EQ(get("/healthz").status, 200u);
  clock_.at += 1ns;
  const auto dead = get("/healthz");
  EXPECT_EQ(dead.status, 503u);
  EXPECT_EQ(object(dead).at("alive"), false);
  EXPECT_GT(object(dead).at("tick_age_s").to_number<double>(), 10);
  engine_.beat(clock_.at);
  EXPECT_EQ(get("/healthz").status, 200u);
  engine_.beat(clock_.at + 1s);
  EXPECT_EQ(engine_.age(clock_.at), 0ns);
}

TEST_F(pages, ready_once_every_partition_works) {
  EXPECT_EQ(get("/readyz").status, 503u) << "nothing was published";
  board_.publish(test::sample_member());
  EXPECT_EQ(get("/readyz").status, 200u);
  EXPECT_EQ(get("/readyz").body, "{\"ready\":true,\"reasons\":[]}\n");
  auto member = test::sample_member();
  member.partitions[1].state = partition_state::blocked;
  member.partitions[1].reason = "the index disk is full";
  board_.publish(member);
  EXPECT_EQ(get("/readyz").status, 503u);
  EXPECT_EQ(get("/readyz").body,
            "{\"ready\":false,\"reasons\":[\"partition 1 is blocked: the index disk is full\"]}\n");
}

TEST(readiness, names_every_reason) {
  EXPECT_THAT(readiness_of({}).reasons,
              ElementsAre("the member is starting", "not in the consumer group"));
  auto m = test::sample_member();
  m.state = member_state::draining;
  m.reason = "SIGTERM";
  EXPECT_THAT(readiness_of(m).reasons, ElementsAre("the member is draining: SIGTERM"));
}

TEST(readiness, a_member_that_stands_by_or_hands_over_is_ready) {
  auto m = test::sample_member();
  m.partitions[0].state = partition_state::leaving;
  EXPECT_TRUE(readiness_of(m).ready);
  m.partitions.clear();
  EXPECT_TRUE(readiness_of(m).ready);
}

TEST(readiness, is_bounded) {
  auto m = test::sample_member();
  m.partitions.assign(64, partition_metrics{});
  EXPECT_FALSE(readiness_of(m).ready);
  EXPECT_EQ(readiness_of(m).reasons.size(), 21u);
}

TEST_F(pages, metrics_tell_how_old_the_last_tick_is) {
  board_.publish(test::sample_member());
  clock_.at += 1500ms;
  const auto page = get("/metrics");
  EXPECT_EQ(page.status, 200u);
  EXPECT_EQ(page.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("\nspillway_engine_tick_age_seconds 1.5\n"));
}

TEST_F(pages, status_shows_jobs_lanes_and_partitions) {
  auto member = test::sample_member();
  member.jobs[0].name = "bad \xff name";
  board_.publish(member);
  const auto page = get("/status");
  EXPECT_EQ(page.status, 200u);
  EXPECT_EQ(page.content_type, "application/json");
  const auto status = object(page);
  EXPECT_EQ(status.at("state"), "running");
  EXPECT_EQ(status.at("jobs").at(0).at("job"), "bad \xef\xbf\xbd name");
  EXPECT_EQ(status.at("jobs").at(1).at("condition"), "paused");
  EXPECT_EQ(status.at("lanes").at(1).at("health"), "down-auth");
  EXPECT_EQ(status.at("lanes").at(1).at("down_since"), "2026-09-21T13:56:40.000Z");
  EXPECT_EQ(status.at("lanes").at(0).at("cost_usd").to_number<double>(), 1.25);
  EXPECT_EQ(status.at("partitions").as_array().size(), 3u);
  EXPECT_FALSE(status.at("partitions").at(0).as_object().contains("lag_prompts"));
  EXPECT_EQ(status.at("log").at("dead_letters").at("unparsable"), 1);
  EXPECT_EQ(status.at("config").at("last_success"), "2025-06-15T15:08:20.000Z");
}

TEST_F(pages, what_is_no_page_says_which_there_are) {
  const auto missing = get("/metrics/");
  EXPECT_EQ(missing.status, 404u);
  EXPECT_THAT(missing.body, HasSubstr("/readyz"));
  const auto written = get("/status", "POST");
  EXPECT_EQ(written.status, 405u);
  EXPECT_EQ(written.allow, "GET, HEAD");
  EXPECT_EQ(object(written).at("error").at("status"), 405);
}

TEST(member_board, readers_keep_what_they_took) {
  member_board board;
  const auto before = board.latest();
  board.publish(test::sample_member());
  EXPECT_THAT(before->jobs, IsEmpty());
  EXPECT_EQ(board.latest()->jobs.size(), 2u);
}

}  // namespace
}  // namespace spillway::service
