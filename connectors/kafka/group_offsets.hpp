// How far the fleet is, as its consumer group's committed offsets: for Kafka's own tools, which
// show the lag by them. Nothing of ours reads them.
#pragma once

#include "connectors/kafka/client.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace spillway::kafka {

/// Of one consumer at a time. All but `show` on the thread that polls it, and never in its
/// rebalance callback: there only `settle`.
class group_offsets {
 public:
  /// For a consumer that was made just now; `stop` comes before its end.
  void start(client&, std::string topic);
  void stop();

  /// By partition, what is done. Thread-safe.
  void show(std::map<std::int32_t, std::int64_t> done);
  /// Commits what moved since, every few seconds, one commit at a time.
  void commit_if_due(const std::set<std::int32_t>& assigned);
  /// The same at once.
  void commit(const std::set<std::int32_t>& assigned);
  /// Waits a second at most for the commit under way. A commit that the broker gets when the group
  /// has gone on makes the library believe that the assignment is lost.
  void settle();
  /// The partitions are other ones from now on.
  void forget() { committed_.clear(); }

 private:
  void take_answer(int wait_ms);

  std::mutex mutex_;
  std::map<std::int32_t, std::int64_t> done_;

  client* kafka_ = nullptr;
  std::string topic_;
  rdk_queue answers_;
  std::map<std::int32_t, std::int64_t> committed_;
  bool under_way_ = false;
  std::chrono::steady_clock::time_point due_{};
};

}  // namespace spillway::kafka
