// Where I/O threads leave what happened until the engine takes it.
#pragma once

#include "orchestrator/engine/events.hpp"

#include <condition_variable>
#include <mutex>

namespace spillway {

/// Thread-safe.
class inbox {
 public:
  /// Adds events: `add(events)` runs under the lock and must be quick.
  template <class Add>
  void put(Add add) {
    {
      const std::lock_guard lock(mutex_);
      add(events_);
    }
    wake_.notify_one();
  }

  /// Ends a `take` without events.
  void nudge() {
    {
      const std::lock_guard lock(mutex_);
      nudged_ = true;
    }
    wake_.notify_one();
  }

  /// Waits for events or a nudge, at most for `patience`, and takes them all.
  [[nodiscard]] engine_events take(duration patience) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, patience, [&] { return nudged_ || !events_.empty(); });
    nudged_ = false;
    engine_events taken;
    std::swap(taken, events_);
    return taken;
  }

  /// Waits until in some partition more is durable than `known(partition)`, at most for
  /// `patience`; passes each such to `use(partition, commit_seq)`. Takes nothing.
  template <class Known, class Use>
  void durable_after(Known known, duration patience, Use use) {
    std::vector<std::pair<partition_id, commit_seq>> more;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, patience, [&] {
        for (const auto& p : events_.partitions)
          if (p.durable && *p.durable > known(p.partition))
            more.emplace_back(p.partition, *p.durable);
        return !more.empty();
      });
    }
    for (const auto& [partition, durable] : more) use(partition, durable);
  }

  /// Drops what a partition's former time left here.
  void forget(partition_id partition) {
    const std::lock_guard lock(mutex_);
    std::erase_if(events_.partitions, [&](const auto& p) { return p.partition == partition; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  engine_events events_;
  bool nudged_ = false;
};

}  // namespace spillway
