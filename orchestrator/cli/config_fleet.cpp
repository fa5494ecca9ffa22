// The sections `kafka` and `member`.
#include "connectors/kafka/settings.hpp"
#include "orchestrator/cli/config_sections.hpp"
#include "schemas/job.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace spillway {

namespace {

using namespace std::chrono_literals;

constexpr std::int64_t partitions_max = 1024;
constexpr std::int64_t replication_max = 64;
constexpr duration drain_max = 24h;

constexpr std::array<std::string_view, 6> secret_properties = {
    "sasl.password", "ssl.key.password",        "ssl.keystore.password",
    "ssl.key.pem",   "sasl.oauthbearer.config", "sasl.oauthbearer.client.secret"};

bool is_one_of(std::string_view name, const auto& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_variable_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

struct host_port {
  std::string host;
  std::uint16_t port = 0;
};

/// HOST:PORT, an IPv6 address in brackets; the port may be absent when there is a default.
std::optional<host_port> parse_host_port(std::string_view text, std::uint16_t default_port) {
  const auto bracket = text.rfind(']');
  const auto colon = text.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  host_port out{std::string(has_port ? text.substr(0, colon) : text), default_port};
  if (has_port) {
    const auto digits = text.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  }
  if (out.host.starts_with('[') && out.host.ends_with(']'))
    out.host = out.host.substr(1, out.host.size() - 2);
  else if (out.host.find(':') != std::string::npos)
    return std::nullopt;
  const bool plain = out.host.find_first_of(" ,/[]@") == std::string::npos;
  if (out.host.empty() || !plain || (!has_port && default_port == 0)) return std::nullopt;
  return out;
}

kafka_property read_property(yaml_map& map, const std::string& name) {
  kafka_property property{name, "", {}};
  if (const auto why = kafka::why_reserved(name)) {
    map.string(name);
    map.problem(name, "can't be configured: " + std::string(*why));
    return property;
  }
  if (is_one_of(name, secret_properties)) {
    property.secret = read_secret(map, name, need::optional);
    return property;
  }
  property.value = map.string(name).value_or("");
  return property;
}

}  // namespace

std::optional<secret_ref> read_secret(yaml_map& map, std::string_view key, need required) {
  const auto text = map.string(key, required);
  if (!text) return std::nullopt;
  if (text->starts_with("env:") && is_variable_name(text->substr(4)))
    return secret_ref{secret_ref::source::env, text->substr(4)};
  if (text->starts_with("file:") && text->size() > 5)
    return secret_ref{secret_ref::source::file, text->substr(5)};
  map.problem(key,
              "expected env:NAME or file:PATH, where the key itself is kept (what stands here is "
              "not shown: it may be a secret)");
  return std::nullopt;
}

kafka_config read_kafka(yaml_map& map) {
  kafka_config kafka;
  if (const auto brokers = map.strings("brokers", need::required)) {
    if (brokers->empty()) map.problem("brokers", "expected at least one HOST:PORT");
    for (const auto& broker : *brokers)
      if (!parse_host_port(broker, 0))
        map.problem("brokers", "expected HOST:PORT such as 127.0.0.1:9092, found " + broker);
    kafka.brokers = *brokers;
  }
  if (const auto fleet = map.string("fleet")) {
    if (!is_plain_name(*fleet)) map.problem("fleet", plain_name_expected);
    kafka.fleet = *fleet;
  }
  kafka.partitions = static_cast<std::int32_t>(
      map.integer("partitions", {1, partitions_max}).value_or(kafka.partitions));
  kafka.replication = static_cast<std::int32_t>(
      map.integer("replication", {1, replication_max}).value_or(kafka.replication));
  if (auto properties = map.map("properties"))
    for (const auto& name : properties->keys())
      kafka.properties.push_back(read_property(*properties, name));
  return kafka;
}

member_config read_member(yaml_map& map) {
  member_config member;
  if (const auto id = map.string("id")) {
    if (!is_plain_name(*id)) map.problem("id", plain_name_expected);
    member.id = *id;
  }
  member.state = map.string("state").value_or("");
  member.audit = map.string("audit").value_or("");
  if (const auto listen = map.string("listen")) {
    if (const auto address = parse_host_port(*listen, 0)) {
      member.listen_host = address->host;
      member.listen_port = address->port;
    } else {
      map.problem("listen", "expected HOST:PORT such as 127.0.0.1:8080, found " + *listen);
    }
  }
  member.drain_timeout = map.time("drain_timeout", {1ms, drain_max});
  return member;
}

}  // namespace spillway
