// The fleet's topics for commands: read to the end, follow, store and wait. Everything blocks, and
// records over the broker's limit are split and put together again on the way.
#pragma once

#include "connectors/kafka/record.hpp"
#include "connectors/kafka/settings.hpp"
#include "schemas/result.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::kafka {

struct partition_offsets {
  std::int64_t first = 0;           ///< log start
  std::int64_t last_stable = 0;     ///< what a committed reader can read ends before it
  std::int64_t high_watermark = 0;  ///< next offset to be written
};

struct read_span {
  std::int32_t partition = 0;
  std::int64_t from = 0;              ///< below the log's start: the log's start
  std::optional<std::int64_t> until;  ///< end before this offset; absent: follow the log
};

/// False ends the read.
using record_sink = std::function<bool(std::int32_t partition, stored_record&&)>;

struct read_options {
  bool committed = true;  ///< else everything, aborted and open transactions too
  /// Asked about ten times a second while nothing arrives, and between records; false ends the
  /// read. Empty: true.
  std::function<bool()> keep_going;
  /// The read fails when a span with an `until` got nothing for so long.
  std::chrono::milliseconds patience{30'000};
};

struct placed_record {
  topic to = topic::jobs;
  std::int32_t partition = 0;
  record what;
};

/// Keys and their last values; keys with a tombstone are gone.
using compacted_table = std::map<std::string, stored_record, std::less<>>;

/// Not thread-safe; several may exist. Failures: `usage` for what the user has to change (missing
/// topic, permission, credentials), `storage` for a broker that can't be reached or does not
/// answer, `stopped` when an outcome is unknown and the same command again finds out.
class log_tools {
 public:
  /// Fails when no broker answers within ten seconds.
  [[nodiscard]] static result<std::unique_ptr<log_tools>> connect(const kafka_settings&);
  virtual ~log_tools() = default;

  /// Fails (usage) when the topic does not exist.
  [[nodiscard]] virtual result<std::int32_t> partitions_of(topic) = 0;
  /// Of every partition, in order.
  [[nodiscard]] virtual result<std::vector<partition_offsets>> offsets(topic) = 0;

  /// Partition 0 from its start to the end as it is now (last stable offset), keys that begin with
  /// `key_prefix` only.
  [[nodiscard]] virtual result<compacted_table> read_compacted(
      topic, std::string_view key_prefix = {}) = 0;
  /// Records in order within a partition; partitions take turns. An incomplete set of chunks is
  /// left out. Ends when every span is at its `until`, or when asked to.
  [[nodiscard]] virtual result<void> read(topic, const std::vector<read_span>&, const record_sink&,
                                          const read_options& = {}) = 0;
  /// Every partition from its start to its end as it is now.
  [[nodiscard]] virtual result<std::vector<read_span>> whole(topic) = 0;
  /// The record at exactly this offset; nullopt when there is none.
  [[nodiscard]] virtual result<std::optional<stored_record>> read_one(topic, std::int32_t partition,
                                                                      std::int64_t offset) = 0;

  /// Stores records outside transactions (idempotent producer, all in-sync replicas) and waits for
  /// all; the offsets in the order given.
  [[nodiscard]] virtual result<std::vector<std::int64_t>> store(std::vector<placed_record>) = 0;
};

/// Reads partition 0 of a topic on from where it stopped, up to its last stable offset. Not
/// thread-safe.
class topic_follower {
 public:
  /// `tools` live longer.
  topic_follower(log_tools& tools, topic of) : tools_(tools), topic_(of) {}

  /// After a failure the same records come again. False when an open transaction may still bring
  /// records that stand there already.
  [[nodiscard]] result<bool> read_on(const std::function<void(stored_record&&)>&);
  /// Everything below was read.
  [[nodiscard]] std::int64_t next_offset() const { return next_; }

 private:
  log_tools& tools_;
  topic topic_;
  std::int64_t next_ = 0;
};

/// A transactional producer, for submissions. Not thread-safe. After a failure only its destruction
/// is left; what was not committed then never becomes visible.
class transaction_writer {
 public:
  /// Fences and settles whoever wrote with this id before (`submitter_id`).
  [[nodiscard]] static result<std::unique_ptr<transaction_writer>> open(
      const kafka_settings&, const std::string& transactional_id);
  virtual ~transaction_writer() = default;

  /// Begins a transaction when none is open. Blocks while more than 64 MB wait for the broker.
  [[nodiscard]] virtual result<void> produce(placed_record) = 0;
  /// Waits until everything produced is stored: the offsets since the last call, in order (of a
  /// split record, the first chunk's). The transaction stays open.
  [[nodiscard]] virtual result<std::vector<std::int64_t>> wait_stored() = 0;
  /// Waits, and commits. A failure of kind `stopped`: it may have been committed all the same; open
  /// again and look.
  [[nodiscard]] virtual result<void> commit() = 0;
};

}  // namespace spillway::kafka
