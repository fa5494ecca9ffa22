// Where the fleet's broker is and how clients talk to it: plain values, as configured.
#pragma once

#include "connectors/kafka/record.hpp"
#include "schemas/ids.hpp"
#include "schemas/result.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace spillway::kafka {

struct kafka_settings {
  std::string brokers;             ///< "host:port,host:port"
  std::string fleet = "spillway";  ///< prefix of topics and transactional ids, name of the group
  /// librdkafka's, as configured. A value `env:NAME` or `file:PATH` is looked up at each use.
  std::map<std::string, std::string> properties;
};

/// Fails (usage) when brokers or fleet can't be used, or a property is one that Spillway sets
/// itself or librdkafka does not know; secrets are looked up, too, and never part of a message.
[[nodiscard]] result<void> check_settings(const kafka_settings&);

/// Why this property can't be configured; nothing when it can.
[[nodiscard]] std::optional<std::string_view> why_reserved(std::string_view property);

/// `<fleet>.<name>`.
[[nodiscard]] std::string topic_name(const kafka_settings&, topic);
/// Of a partition's owner: `<fleet>.<partition>`.
[[nodiscard]] std::string owner_id(const kafka_settings&, std::int32_t partition);
/// Of a submission: `<fleet>.submit.<job>`.
[[nodiscard]] std::string submitter_id(const kafka_settings&, std::string_view job);

/// The value a property stands for: itself, or what `env:NAME` or `file:PATH` names (without the
/// line feed at the end). Fails (usage), naming the reference only.
[[nodiscard]] result<std::string> resolve_secret(std::string_view property, std::string_view value);
/// Is its value to be kept out of logs and messages?
[[nodiscard]] bool is_secret_property(std::string_view property);

}  // namespace spillway::kafka
