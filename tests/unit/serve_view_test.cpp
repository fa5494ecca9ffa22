// What a member's pages show of it, and what of a changed configuration needs a restart.
#include "orchestrator/cli/serve_view.hpp"
#include "orchestrator/engine/restart_keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

member_view view_of_two() {
  member_view v;
  v.takeovers = 3;
  v.past.dead["too_large"] = 2;
  v.past.owner.published = 10;
  v.past.owner.rebuilt = 1;
  v.clients.late_answers = 4;
  v.clients.errors = {{"unreachable", 6}, {"other", 0}};
  for (std::uint32_t i = 0; i < 2; ++i) {
    partition_view p;
    p.id = partition_id(i);
    p.phase = partition_phase::active;
    p.log.read_to = 70;
    p.log.end = 100;
    p.log.counts.intents = 20;
    p.log.counts.owner.published = 15;
    p.log.counts.quarantined = 1;
    p.log.counts.owner.snapshots = 2;
    p.log.counts.dead["too_large"] = 1;
    p.log.unread = {5, 4096};
    p.log.unread_for = 250ms;
    p.unread_prompts = 30;
    kafka::progress_record job;
    job.job = "j";
    job.prompts = 40;
    job.answered = 25;
    job.errors = 5;
    p.log.jobs.push_back(job);
    v.partitions.push_back(std::move(p));
  }
  return v;
}

TEST(serve_view, sums_what_logs_did_whether_they_are_closed_or_not) {
  const auto log = serve_view("f", "m").metrics(view_of_two()).log;
  EXPECT_EQ(log.takeovers, 3);
  EXPECT_EQ(log.intents, 40);
  EXPECT_EQ(log.results, 40);
  EXPECT_EQ(log.quarantined, 2);
  EXPECT_EQ(log.snapshots, 4);
  EXPECT_EQ(log.late_sent, 4);
  EXPECT_EQ(log.dead_letters.at("too_large"), 4);
  EXPECT_EQ(log.dead_letters.at("unknown_job"), 0) << "shown before the first one";
  EXPECT_EQ(log.broker_errors,
            (std::map<std::string, std::int64_t>{{"other", 0}, {"unreachable", 6}}));
}

TEST(serve_view, shows_how_far_each_partition_is_behind) {
  auto v = view_of_two();
  v.partitions[1].phase = partition_phase::taking_over;
  const auto m = serve_view("f", "m").metrics(v);
  const auto& p = m.partitions[0];
  EXPECT_EQ(p.lag_records, 30);
  EXPECT_EQ(p.lag_prompts, 30);
  EXPECT_EQ(p.unfinished, 10);
  EXPECT_EQ(p.readback_records, 5);
  EXPECT_EQ(p.readback_bytes, 4096);
  EXPECT_EQ(p.readback_lag, duration(250ms));
  EXPECT_FALSE(m.partitions[1].lag_prompts) << "what was read is not known yet";
  EXPECT_EQ(m.index->rebuilds.at("stale"), 1);
}

fleet_config config() {
  fleet_config c;
  c.kafka.brokers = {"k:9092"};
  c.kafka.properties = {{"linger.ms", "5", {}},
                        {"sasl.password", "", secret_ref{secret_ref::source::env, "KP"}}};
  c.member.id = "a";
  c.member.state = "/s";
  return c;
}

TEST(restart_keys, name_what_differs_and_can_not_be_swapped) {
  auto next = config();
  next.kafka.partitions = 64;
  next.kafka.replication = 1;
  next.member.drain_timeout = 1min;
  next.pools.emplace_back();
  std::swap(next.kafka.properties[0], next.kafka.properties[1]);
  EXPECT_THAT(restart_keys(config(), next), IsEmpty());

  next.kafka.brokers.push_back("l:9092");
  next.kafka.fleet = "other";
  next.kafka.properties[0].secret->from = secret_ref::source::file;
  next.kafka.properties[1].name = "socket.timeout.ms";
  next.member = {"b", "/t", "::1", 8080, {}, ""};
  EXPECT_THAT(restart_keys(config(), next),
              ElementsAre("kafka.brokers", "kafka.fleet", "kafka.properties.linger.ms",
                          "kafka.properties.sasl.password", "kafka.properties.socket.timeout.ms",
                          "member.id", "member.state", "member.listen"));
}

}  // namespace
}  // namespace spillway
