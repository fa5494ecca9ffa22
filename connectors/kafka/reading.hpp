// Reads of single partitions at given offsets, many at once, on one thread. No consumer group.
#pragma once

#include "connectors/kafka/chunks.hpp"
#include "connectors/kafka/fleet_clients.hpp"
#include "connectors/kafka/link.hpp"
#include "connectors/kafka/settings.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace spillway::kafka {

struct read_spec {
  topic from = topic::journal;
  std::int32_t partition = 0;
  std::int64_t offset = 0;  ///< below the log's start: the log's start
  std::optional<std::int64_t> until;
  bool committed = true;
  std::shared_ptr<read_backlog> backlog;  ///< absent: no limit
};

/// `link_records::read` is left to the receiver.
struct read_callbacks {
  std::function<void(link_records&&)> records;
  /// Nothing more comes. What heals by itself (a broker away) is not told of.
  std::function<void(link_fault, failure)> failed;
};

struct read_counts {
  std::uint64_t handles = 0, gaps_checked = 0, gaps_healed = 0, sets_dropped = 0;
};

/// Thread-safe. Callbacks run on the reader's thread and must not call the reader.
class log_reader {
 public:
  explicit log_reader(const kafka_settings&);
  ~log_reader();
  log_reader(const log_reader&) = delete;
  log_reader& operator=(const log_reader&) = delete;

  /// Begins to read in the background; the id is for `stop`.
  [[nodiscard]] std::uint64_t start(read_spec, read_callbacks);
  /// No callback of this read runs any more once it has returned.
  void stop(std::uint64_t id);
  [[nodiscard]] read_counts counts() const;

 private:
  class worker;
  std::unique_ptr<worker> worker_;
};

}  // namespace spillway::kafka
