// TLS, SASL and permissions, against a broker of its own that asks for all three.
#include "connectors/kafka/fleet_clients.hpp"
#include "connectors/kafka/log_tools.hpp"
#include "connectors/kafka/membership.hpp"
#include "connectors/kafka/topics.hpp"
#include "tests/kafka/broker.hpp"
#include "tests/support/link_contract_records.hpp"
#include "tests/support/link_world.hpp"
#include "tests/support/temp_folder.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <memory>

namespace spillway::kafka {
namespace {

constexpr const char* password = "ann-secret-93f1";

void run(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

class secured_broker : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = std::make_unique<temp_folder>();
    const auto path = [](const char* name) { return *folder / name; };
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout " +
        path("key.pem") + " -out " + path("cert.pem") + " 2> /dev/null");
    run("cat " + path("key.pem") + " " + path("cert.pem") + " > " + path("both.pem"));
    std::string command = SPILLWAY_SOURCE_DIR "/deploy/kafka-local.sh start " + path("broker") +
                          " --until " + std::to_string(getpid());
    const std::string users =
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"admin\" "
        "password=\"admin-secret\" user_admin=\"admin-secret\" user_ann=\"" +
        std::string(password) + "\";";
    for (const auto& property : {
             std::string("listener.security.protocol.map=CLIENT:SASL_SSL,CONTROLLER:PLAINTEXT"),
             std::string("sasl.enabled.mechanisms=PLAIN"),
             std::string("sasl.mechanism.inter.broker.protocol=PLAIN"),
             "listener.name.client.plain.sasl.jaas.config=" + users,
             std::string("authorizer.class.name="
                         "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
             std::string("super.users=User:admin;User:ANONYMOUS"),
             std::string("auto.create.topics.enable=true"),
             std::string("ssl.keystore.type=PEM"),
             "ssl.keystore.location=" + path("both.pem"),
             std::string("ssl.truststore.type=PEM"),
             "ssl.truststore.location=" + path("cert.pem"),
         })
      command += " --property '" + property + "'";
    run(command + " > " + path("address"));
    address = folder->read("address");
    address.pop_back();
    ::setenv("SPILLWAY_TEST_PASSWORD", password, 1);
  }
  static void TearDownTestSuite() {
    run(SPILLWAY_SOURCE_DIR "/deploy/kafka-local.sh stop " + (*folder / "broker") + " --kill");
    folder.reset();
  }

  static kafka_settings settings(const std::string& user, const std::string& secret) {
    kafka_settings out = fresh_fleet();
    out.brokers = address;
    out.properties = {{"security.protocol", "SASL_SSL"},
                      {"sasl.mechanism", "PLAIN"},
                      {"sasl.username", user},
                      {"sasl.password", secret},
                      {"ssl.ca.location", *folder / "cert.pem"}};
    return out;
  }

  static inline std::unique_ptr<temp_folder> folder;
  static inline std::string address;
};

TEST_F(secured_broker, lets_a_whole_fleet_work) {
  const auto s = settings("admin", "admin-secret");
  const auto made = create_topics(s, {1, 1});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->created.size(), 8u) << "looking for a topic created it";
  ASSERT_TRUE(verify_topics(s));
  auto clients = fleet_clients::connect(s);
  ASSERT_TRUE(clients) << clients.error().message;
  const auto world = link_world_over(**clients);
  told_link link(*world);
  ASSERT_TRUE(link.open());
  ASSERT_EQ(link.produce(1, {result_of("a", "1")}).size(), 1u);
  ASSERT_TRUE(link.commit());
  const auto end = link.settled(topic::results).last_stable;
  EXPECT_EQ(link.read_all({1, topic::results, 0, end, true}).size(), 1u);
}

TEST_F(secured_broker, a_wrong_password_is_told_at_once_and_without_it) {
  const auto refused = log_tools::connect(settings("ann", "wrong-password-5b"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, failure_kind::usage);
  EXPECT_NE(refused.error().message.find("sasl.password"), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(refused.error().message.find("wrong-password"), std::string::npos);
}

TEST_F(secured_broker, a_certificate_nobody_vouches_for_is_told) {
  auto s = settings("ann", password);
  s.properties.erase("ssl.ca.location");
  const auto refused = log_tools::connect(s);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("ssl.ca.location"), std::string::npos)
      << refused.error().message;
}

TEST_F(secured_broker, plain_text_on_a_tls_port_is_told) {
  auto s = settings("ann", password);
  s.properties = {};
  const auto refused = log_tools::connect(s);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("security.protocol"), std::string::npos)
      << refused.error().message;
}

TEST_F(secured_broker, missing_permissions_are_named) {
  auto s = settings("admin", "admin-secret");
  ASSERT_TRUE(create_topics(s, {1, 1}));
  s.properties["sasl.username"] = "ann";
  s.properties["sasl.password"] = "env:SPILLWAY_TEST_PASSWORD";
  auto tools = log_tools::connect(s);
  ASSERT_TRUE(tools) << tools.error().message;
  const auto table = (*tools)->read_compacted(topic::jobs);
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().kind, failure_kind::usage);
  EXPECT_NE(table.error().message.find("not allowed on topic " + s.fleet + ".jobs"),
            std::string::npos)
      << table.error().message;
  const auto writer = transaction_writer::open(s, submitter_id(s, "job"));
  ASSERT_FALSE(writer);
  EXPECT_NE(writer.error().message.find(submitter_id(s, "job")), std::string::npos)
      << writer.error().message;
  auto clients = fleet_clients::connect(s);
  ASSERT_TRUE(clients) << clients.error().message;
  const auto world = link_world_over(**clients);
  told_link link(*world);
  link->open();
  const auto failed = link.next<link_failed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->fault, link_fault::refused) << failed->message;
  told_link reading(*world);
  reading->read({1, topic::results, 0, std::nullopt, true});
  const auto unread = reading.next<link_failed>();
  ASSERT_TRUE(unread);
  EXPECT_EQ(unread->fault, link_fault::refused) << unread->message;
  told_link late(*world);
  late->produce_late(1, {"k", "v", false, {}});
  const auto unstored = late.next_of<link_late_acked>();
  ASSERT_TRUE(unstored);
  EXPECT_NE(unstored->error.find("not allowed"), std::string::npos) << unstored->error;
}

TEST_F(secured_broker, a_group_that_may_not_be_joined_is_told) {
  const auto s = settings("ann", password);
  std::promise<std::string> told;
  std::once_flag once;
  membership_callbacks callbacks;
  callbacks.trouble = [&](std::string message) {
    if (message.find("group") != std::string::npos)
      std::call_once(once, [&] { told.set_value(std::move(message)); });
  };
  const auto member = membership::join(s, "m1", std::move(callbacks));
  ASSERT_TRUE(member);
  auto message = told.get_future();
  ASSERT_EQ(message.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  EXPECT_NE(message.get().find("not allowed in group " + s.fleet), std::string::npos);
}

}  // namespace
}  // namespace spillway::kafka
