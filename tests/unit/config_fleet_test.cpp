#include "orchestrator/cli/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* full = R"(kafka:
  brokers: [k1:9093, "[::1]:9092"]
  fleet: night
  partitions: 8
  replication: 1
  properties: { security.protocol: SASL_SSL, sasl.password: env:KP, socket.timeout.ms: 5000 }
member:
  id: a
  state: /var/lib/spillway/a
  listen: 0.0.0.0:9000
  drain_timeout: 2m
pools:
  - { name: o, provider: openai, auth: { api_key: env:K }, lanes: [{ model: m }] }
job:
  order: latency
  tenant: research
  weight: 3
  priority: -2
  keep: 2d
  deadline: 24h
)";

TEST(config_fleet, reads_the_whole_form) {
  const auto config = parse_fleet_config(full, "f.yaml");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_THAT(config->kafka.brokers, ElementsAre("k1:9093", "[::1]:9092"));
  EXPECT_EQ(config->kafka.fleet, "night");
  EXPECT_EQ(config->kafka.partitions, 8);
  EXPECT_EQ(config->kafka.replication, 1);
  ASSERT_EQ(config->kafka.properties.size(), 3u);
  EXPECT_EQ(config->kafka.properties[0].value, "SASL_SSL");
  ASSERT_TRUE(config->kafka.properties[1].secret);
  EXPECT_EQ(config->kafka.properties[1].secret->name, "KP");
  EXPECT_EQ(config->kafka.properties[2].value, "5000");
  EXPECT_EQ(config->member.id, "a");
  EXPECT_EQ(config->member.state, "/var/lib/spillway/a");
  EXPECT_EQ(config->member.listen_host, "0.0.0.0");
  EXPECT_EQ(config->member.listen_port, 9000);
  EXPECT_EQ(config->member.drain_timeout, duration(2min));
  ASSERT_EQ(config->pools.size(), 1u);
  EXPECT_EQ(config->job.order, lane_order::latency);
  EXPECT_FALSE(config->job.in_doubt) << "what the file does not say is left to the members";
  EXPECT_EQ(config->job.tenant, "research");
  EXPECT_EQ(config->job.weight, 3);
  EXPECT_EQ(config->job.priority, -2);
  EXPECT_EQ(config->job.keep, duration(48h));
  EXPECT_EQ(config->deadline, duration(24h));
}

TEST(config_fleet, defaults) {
  config_rules rules;
  rules.pools_required = false;
  const auto config = parse_fleet_config("kafka: { brokers: [k:9092] }", "f.yaml", rules);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->kafka.fleet, "spillway");
  EXPECT_EQ(config->kafka.partitions, 16);
  EXPECT_EQ(config->kafka.replication, 3);
  EXPECT_EQ(config->member.listen_host, "127.0.0.1");
  EXPECT_EQ(config->member.listen_port, 8080);
  EXPECT_FALSE(config->member.drain_timeout);
  EXPECT_EQ(config->job.weight, 1);
  EXPECT_EQ(config->job.keep, duration(7 * 24h));
}

TEST(config_fleet, a_run_takes_a_fleets_file) {
  std::string text = full;
  text.resize(text.find("  tenant:"));
  const auto config = parse_run_config(text, "f.yaml");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->job.order, lane_order::latency);
  const auto refused = parse_run_config(full, "f.yaml");
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("f.yaml:16: job.tenant: not supported yet"));
  EXPECT_THAT(refused.error().message, HasSubstr("f.yaml:20: job.deadline: not supported yet"));
  config_rules rules;
  rules.fleet_keys = true;
  EXPECT_TRUE(parse_run_config(full, "f.yaml", rules).has_value()) << "to look at it";
}

TEST(config_fleet, the_example_is_right) {
  const auto config =
      load_fleet_config(std::string(SPILLWAY_SOURCE_DIR) + "/deploy/examples/fleet.yaml");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->kafka.brokers.size(), 3u);
}

struct broken {
  const char* was;
  const char* now;
  const char* expected;
};

TEST(config_fleet, every_mistake_names_line_and_key) {
  const broken cases[] = {
      {"kafka:\n", "kafkas:\n", "f.yaml:1: kafka: missing"},
      {"[k1:9093,", "[k1,", "f.yaml:2: kafka.brokers: expected HOST:PORT"},
      {"[k1:9093, \"[::1]:9092\"]", "[]", "f.yaml:2: kafka.brokers: expected at least one"},
      {"  brokers: [k1:9093, \"[::1]:9092\"]\n", "", "kafka.brokers: missing"},
      {"k1:9093", "k1:port", "found k1:port"},
      {"k1:9093", "k1:70000", "found k1:70000"},
      {"fleet: night", "fleet: a/b", "f.yaml:3: kafka.fleet: expected at most 64"},
      {"partitions: 8", "partitions: 0", "f.yaml:4: kafka.partitions: expected an integer"},
      {"replication: 1", "replication: many", "f.yaml:5: kafka.replication: expected an integer"},
      {"replication: 1", "replicas: 1", "f.yaml:5: kafka.replicas: unknown key"},
      {"env:KP", "hunter2", "f.yaml:6: kafka.properties.sasl.password: expected env:NAME"},
      {"socket.timeout.ms: 5000", "transactional.id: x", "transactional.id: can't be configured"},
      {"listen: 0.0.0.0:9000", "listen: 9000", "f.yaml:10: member.listen: expected HOST:PORT"},
      {"drain_timeout: 2m", "drain_timeout: 2", "f.yaml:11: member.drain_timeout: expected a dur"},
      {"weight: 3", "weight: 0", "f.yaml:17: job.weight: expected an integer from 1"},
      {"keep: 2d", "keep: ever", "f.yaml:19: job.keep: expected a duration"},
  };
  for (const auto& [was, now, expected] : cases) {
    std::string text = full;
    const auto at = text.find(was);
    ASSERT_NE(at, std::string::npos) << was;
    text.replace(at, std::string_view(was).size(), now);
    const auto config = parse_fleet_config(text, "f.yaml");
    ASSERT_FALSE(config.has_value()) << now;
    EXPECT_THAT(config.error().message, HasSubstr(expected));
    EXPECT_THAT(config.error().message, Not(HasSubstr("hunter2")));
  }
}

}  // namespace
}  // namespace spillway
