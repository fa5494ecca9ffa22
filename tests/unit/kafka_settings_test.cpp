#include "connectors/kafka/explain.hpp"
#include "connectors/kafka/settings.hpp"
#include "tests/support/temp_folder.hpp"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <cstdlib>

namespace spillway::kafka {
namespace {

kafka_settings settings_with(std::map<std::string, std::string> properties) {
  return {"localhost:9092", "fleet", std::move(properties)};
}

std::string complaint(const kafka_settings& s) {
  const auto checked = check_settings(s);
  if (checked) return "";
  EXPECT_EQ(checked.error().kind, failure_kind::usage);
  return checked.error().message;
}

TEST(kafka_settings, every_property_of_the_library_passes_but_ours) {
  EXPECT_EQ(complaint(settings_with({{"compression.type", "lz4"}, {"linger.ms", "5"}})), "");
  for (const char* name : {"transactional.id", "group.id", "enable.auto.commit", "isolation.level",
                           "acks", "bootstrap.servers", "enable.idempotence", "auto.offset.reset"})
    EXPECT_NE(complaint(settings_with({{name, "1"}})).find(name), std::string::npos) << name;
  EXPECT_NE(complaint(settings_with({{"no.such.property", "1"}})).find("no.such.property"),
            std::string::npos);
  EXPECT_NE(complaint(settings_with({{"linger.ms", "soon"}})).find("linger.ms"), std::string::npos);
}

TEST(kafka_settings, brokers_and_fleet_are_needed) {
  EXPECT_NE(complaint({"", "f", {}}).find("brokers"), std::string::npos);
  EXPECT_NE(complaint({" , ", "f", {}}).find("brokers"), std::string::npos);
  for (const char* fleet : {"", "a b", "a/b", ".", "..", "ä"})
    EXPECT_NE(complaint({"b:1", fleet, {}}).find("fleet"), std::string::npos) << fleet;
  EXPECT_NE(complaint({"b:1", std::string(151, 'f'), {}}).find("fleet"), std::string::npos);
}

TEST(kafka_settings, secrets_come_from_the_environment_or_a_file_and_stay_secret) {
  temp_folder folder;
  const auto path = folder.write("secret", "hunter2-from-file\n");
  ::setenv("SPILLWAY_TEST_SECRET", "hunter2-from-env", 1);
  EXPECT_EQ(*resolve_secret("sasl.password", "env:SPILLWAY_TEST_SECRET"), "hunter2-from-env");
  EXPECT_EQ(*resolve_secret("sasl.password", "file:" + path), "hunter2-from-file");
  EXPECT_EQ(*resolve_secret("linger.ms", "5"), "5");
  EXPECT_NE(complaint(settings_with({{"sasl.password", "env:SPILLWAY_TEST_ABSENT"}}))
                .find("SPILLWAY_TEST_ABSENT is not set"),
            std::string::npos);
  EXPECT_NE(complaint(settings_with({{"sasl.password", "file:/no/such"}})).find("/no/such"),
            std::string::npos);
  // A property whose value is refused: the value must not be in the message.
  ::setenv("SPILLWAY_TEST_SECRET", "-----BEGIN hunter2", 1);
  const auto bad = complaint(settings_with({{"ssl.key.pem", "env:SPILLWAY_TEST_SECRET"}}));
  EXPECT_EQ(bad.find("hunter2"), std::string::npos) << bad;
  ::unsetenv("SPILLWAY_TEST_SECRET");
}

TEST(kafka_settings, names_carry_the_fleet) {
  const auto s = settings_with({});
  EXPECT_EQ(topic_name(s, topic::results), "fleet.results");
  EXPECT_EQ(owner_id(s, 12), "fleet.12");
  EXPECT_EQ(submitter_id(s, "nightly"), "fleet.submit.nightly");
}

TEST(kafka_errors, say_what_and_what_to_do) {
  const error_context context{"b:9092", "f.results", "f", "f.3", "m1"};
  const auto topic = explain(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "", context);
  EXPECT_EQ(topic.kind, failure_kind::usage);
  EXPECT_NE(topic.message.find("f.results"), std::string::npos);
  EXPECT_NE(topic.message.find("grant"), std::string::npos);
  const auto id = explain(RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "", context);
  EXPECT_NE(id.message.find("f.3"), std::string::npos);
  const auto away = explain(RD_KAFKA_RESP_ERR__TRANSPORT, "Connection refused", context);
  EXPECT_EQ(away.kind, failure_kind::storage);
  EXPECT_NE(away.message.find("b:9092"), std::string::npos);
  EXPECT_NE(away.message.find("Connection refused"), std::string::npos);
  const auto twice = explain(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, "", context);
  EXPECT_NE(twice.message.find("m1"), std::string::npos);
}

TEST(kafka_errors, every_error_reads_well_with_and_without_context) {
  const rd_kafka_err_desc* all = nullptr;
  std::size_t count = 0;
  rd_kafka_get_err_descs(&all, &count);
  ASSERT_GT(count, 100u);
  for (std::size_t i = 0; i < count; ++i) {
    for (const auto& context : {error_context{}, error_context{"b", "t", "g", "x", "m"}}) {
      const auto said = explain(all[i].code, "", context).message;
      EXPECT_EQ(said.find('{'), std::string::npos) << said;
      EXPECT_EQ(said.find("  "), std::string::npos) << said;
      EXPECT_TRUE(said.starts_with("Kafka: ") && said.ends_with(".")) << said;
      EXPECT_EQ(said.find('\n'), std::string::npos) << said;
    }
  }
}

TEST(kafka_errors, are_counted_by_kind) {
  EXPECT_EQ(kind_of_error(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN), "unreachable");
  EXPECT_EQ(kind_of_error(RD_KAFKA_RESP_ERR__SSL), "unauthorised");
  EXPECT_EQ(kind_of_error(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED), "unauthorised");
  EXPECT_EQ(kind_of_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), "refused");
  EXPECT_EQ(kind_of_error(RD_KAFKA_RESP_ERR__FENCED), "fenced");
  EXPECT_EQ(kind_of_error(RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS), "other");
}

TEST(kafka_settings, a_list_says_why_a_property_is_ours) {
  EXPECT_EQ(why_reserved("group.id"), "set `fleet` instead");
  EXPECT_TRUE(why_reserved("plugin.library.paths"));
  EXPECT_FALSE(why_reserved("linger.ms"));
}

TEST(kafka_errors, say_what_they_mean_for_a_link) {
  EXPECT_EQ(fault_of(RD_KAFKA_RESP_ERR__FENCED), link_fault::fenced);
  EXPECT_EQ(fault_of(RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH), link_fault::fenced);
  EXPECT_EQ(fault_of(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE), link_fault::refused);
  EXPECT_EQ(fault_of(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED), link_fault::refused);
  EXPECT_EQ(fault_of(RD_KAFKA_RESP_ERR__TIMED_OUT), link_fault::ambiguous);
  EXPECT_EQ(fault_of(RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS), link_fault::ambiguous);
  EXPECT_EQ(fault_of(RD_KAFKA_RESP_ERR_INVALID_TXN_STATE), link_fault::ambiguous);
}

}  // namespace
}  // namespace spillway::kafka
