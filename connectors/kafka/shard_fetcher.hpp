// Reads records of `shards` again while the caller waits.
#pragma once

#include "connectors/kafka/fleet_clients.hpp"
#include "connectors/log.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace spillway::kafka {

/// Used from one thread.
class shard_fetcher {
 public:
  shard_fetcher(partition_id, fleet_clients&);
  ~shard_fetcher();
  /// The shard's lines as they were when it was first read. Waits for the broker, half a minute at
  /// most; fails (storage) when it does not answer, or the records are gone or changed.
  [[nodiscard]] result<shard_data> fetch(const shard_descriptor&);

 private:
  void take(link_event&&);
  [[nodiscard]] result<std::vector<stored_record>> records(const shard_descriptor&);

  partition_id partition_;
  fleet_clients& clients_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::uint64_t read_ = 0;  ///< under way
  std::vector<stored_record> records_;
  std::optional<std::string> trouble_;
  std::unique_ptr<partition_link> link_;
};

}  // namespace spillway::kafka
