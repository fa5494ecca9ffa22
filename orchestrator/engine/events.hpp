// What reaches the engine from other threads, and whom it asks for shards.
#pragma once

#include "connectors/log.hpp"
#include "orchestrator/engine/intake.hpp"
#include "workers/transport/transport.hpp"

#include <optional>
#include <vector>

namespace spillway {

/// Asks for shards; what it reads comes back as `partition_events::shards`, in the order of the
/// requests of each kind and partition. Thread-safe.
class shard_reader {
 public:
  virtual ~shard_reader() = default;
  /// The next new shard. An endless source that has none keeps the request until `wake`.
  virtual void read_next(partition_id) = 0;
  virtual void read_again(const shard_descriptor&) = 0;
  /// An endless source may have a shard now.
  virtual void wake(partition_id) {}
};

/// What happened in a partition since the last step.
struct partition_events {
  partition_id partition;
  std::vector<parsed_shard> shards;
  bool input_end = false;               ///< a `read_next` found the end of the input
  std::optional<commit_seq> durable;    ///< all groups up to this one
  std::optional<failure> broken;        ///< the log failed: nothing of it can go on
  std::optional<failure> input_failed;  ///< let calls finish, then give up
  log_news news;
};

/// What happened since the last step.
struct engine_events {
  std::vector<call_result> calls;
  std::vector<partition_events> partitions;  ///< one a partition at most
  bool drain = false;                        ///< stop sending, let calls finish
  bool abort = false;                        ///< end calls now

  [[nodiscard]] bool empty() const {
    return calls.empty() && partitions.empty() && !drain && !abort;
  }
  /// The events of a partition, made when there are none.
  [[nodiscard]] partition_events& of(partition_id);
  [[nodiscard]] const partition_events* find(partition_id) const;
};

}  // namespace spillway
