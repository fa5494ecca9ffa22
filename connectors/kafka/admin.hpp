// Questions and orders to the brokers beside reading and writing. Everything blocks, a few seconds
// at most.
#pragma once

#include "connectors/kafka/log_tools.hpp"
#include "connectors/kafka/settings.hpp"
#include "schemas/result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace spillway::kafka {

class client;

struct new_topic {
  topic of = topic::jobs;
  std::int32_t partitions = 1, replication = 1;
  std::vector<std::pair<std::string, std::string>> config;
};

/// Thread-safe.
class admin {
 public:
  [[nodiscard]] static result<std::unique_ptr<admin>> make(const kafka_settings&);
  ~admin();
  admin(const admin&) = delete;
  admin& operator=(const admin&) = delete;

  /// Fails when no broker answers in time, at once when they refuse the credentials.
  [[nodiscard]] result<void> reach(std::chrono::milliseconds) const;
  /// nullopt: the topic does not exist.
  [[nodiscard]] result<std::optional<std::int32_t>> partitions_of(topic);
  [[nodiscard]] result<std::int32_t> replication_of(topic);
  [[nodiscard]] result<partition_offsets> offsets(topic, std::int32_t partition);
  /// Deletes what stands below `offset`.
  [[nodiscard]] result<void> trim(topic, std::int32_t partition, std::int64_t offset);

  /// True: created; false: it existed.
  [[nodiscard]] result<bool> create(const new_topic&);
  /// Effective settings by name.
  [[nodiscard]] result<std::map<std::string, std::string>> config_of(topic);

 private:
  admin();
  std::unique_ptr<client> stable_,
      all_;  ///< they see ends as committed readers do, and as they are
};

/// Largest record that is written whole: what the configuration says, else 1,000,000 bytes, but no
/// more than the fleet's topics take. Topics that can't be asked do not count.
[[nodiscard]] std::size_t record_bytes_max(admin&, const kafka_settings&);

}  // namespace spillway::kafka
