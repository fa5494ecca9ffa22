#include "connectors/kafka/settings.hpp"

#include "connectors/kafka/client.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace spillway::kafka {

namespace {

struct reserved_property {
  std::string_view name, why;
};

constexpr std::string_view by_spillway = "Spillway sets it; its promises rest on it",
                           by_brokers = "set `brokers` instead", by_fleet = "set `fleet` instead",
                           by_member = "set `member` instead", no_plugins = "Spillway loads none";

constexpr std::array<reserved_property, 38> reserved = {{
    {"bootstrap.servers", by_brokers},
    {"metadata.broker.list", by_brokers},
    {"group.id", by_fleet},
    {"group.instance.id", by_member},
    {"transactional.id", by_fleet},
    {"acks", by_spillway},
    {"allow.auto.create.topics", by_spillway},
    {"auto.commit.enable", by_spillway},
    {"auto.offset.reset", by_spillway},
    {"background_event_cb", by_spillway},
    {"check.crcs", by_spillway},
    {"consume_cb", by_spillway},
    {"default_topic_conf", by_spillway},
    {"dr_cb", by_spillway},
    {"dr_msg_cb", by_spillway},
    {"enable.auto.commit", by_spillway},
    {"enable.auto.offset.store", by_spillway},
    {"enable.gapless.guarantee", by_spillway},
    {"enable.idempotence", by_spillway},
    {"enable.partition.eof", by_spillway},
    {"enabled_events", by_spillway},
    {"error_cb", by_spillway},
    {"heartbeat.interval.ms", by_spillway},
    {"isolation.level", by_spillway},
    {"log.queue", by_spillway},
    {"log_cb", by_spillway},
    {"max.poll.interval.ms", by_spillway},
    {"msg_order_cmp", by_spillway},
    {"opaque", by_spillway},
    {"partition.assignment.strategy", by_spillway},
    {"partitioner", by_spillway},
    {"partitioner_cb", by_spillway},
    {"plugin.library.paths", no_plugins},
    {"queuing.strategy", by_spillway},
    {"rebalance_cb", by_spillway},
    {"request.required.acks", by_spillway},
    {"session.timeout.ms", by_spillway},
    {"stats_cb", by_spillway},
}};

constexpr std::array<std::string_view, 8> secret_properties = {
    "sasl.password",
    "ssl.key.password",
    "ssl.keystore.password",
    "ssl.key.pem",
    "ssl_key",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.kerberos.kinit.cmd",
};

constexpr std::size_t fleet_name_max = 150;  // a topic's name holds 249

bool is_topic_name(std::string_view text) {
  return !text.empty() && text.size() <= fleet_name_max && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

failure unusable(std::string_view property, const std::string& why) {
  return {failure_kind::usage, "kafka.properties." + std::string(property) + ": " + why + "."};
}

}  // namespace

result<void> check_settings(const kafka_settings& s) {
  if (s.brokers.find_first_not_of(" ,\t") == std::string::npos)
    return failure{failure_kind::usage, "kafka.brokers: expected \"host:port,host:port\"."};
  if (!is_topic_name(s.fleet))
    return failure{failure_kind::usage,
                   "kafka.fleet: expected up to 150 letters, digits, '.', '_' and '-'."};
  for (const auto& [name, value] : s.properties) {
    if (const auto why = why_reserved(name))
      return unusable(name, "can't be configured: " + std::string(*why));
  }
  // librdkafka checks the rest when a client is made; that makes no connection yet.
  const auto tried = client::make(s, RD_KAFKA_PRODUCER, "check", {});
  if (!tried) return tried.error();
  return {};
}

std::optional<std::string_view> why_reserved(std::string_view property) {
  const auto* const at = std::find_if(reserved.begin(), reserved.end(),
                                      [&](const auto& r) { return r.name == property; });
  return at == reserved.end() ? std::nullopt : std::optional(at->why);
}

std::string topic_name(const kafka_settings& s, topic t) {
  return s.fleet + "." + std::string(name_of(t));
}
std::string owner_id(const kafka_settings& s, std::int32_t partition) {
  return s.fleet + "." + std::to_string(partition);
}
std::string submitter_id(const kafka_settings& s, std::string_view job) {
  return s.fleet + ".submit." + std::string(job);
}

result<std::string> resolve_secret(std::string_view property, std::string_view value) {
  if (value.starts_with("env:")) {
    const std::string name(value.substr(4));
    const char* found = std::getenv(name.c_str());
    if (found == nullptr || *found == '\0')
      return unusable(property, "the environment variable " + name + " is not set");
    return std::string(found);
  }
  if (!value.starts_with("file:")) return std::string(value);
  const std::string path(value.substr(5));
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  auto out = text.str();
  if (!in || out.empty())
    return unusable(property, "the file " + path + " can't be read, or is empty");
  while (!out.empty() && (out.back() == '\n' || out.back() == '\r')) out.pop_back();
  return out;
}

bool is_secret_property(std::string_view property) {
  return std::find(secret_properties.begin(), secret_properties.end(), property) !=
             secret_properties.end() ||
         property.find("password") != std::string_view::npos ||
         property.find("secret") != std::string_view::npos;
}

}  // namespace spillway::kafka
