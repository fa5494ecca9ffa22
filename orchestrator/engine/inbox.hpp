// Where I/O threads leave what happened until the engine takes it.
#pragma once

#include "orchestrator/engine/engine.hpp"

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

  /// Waits for events, at most for `patience`, and takes them all.
  [[nodiscard]] engine_events take(duration patience) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, patience, [&] { return !events_.empty(); });
    engine_events taken;
    std::swap(taken, events_);
    return taken;
  }

  /// Waits until more than `known` is durable, at most for `patience`. Takes nothing.
  [[nodiscard]] std::optional<commit_seq> durable_after(commit_seq known, duration patience) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, patience, [&] { return events_.durable && *events_.durable > known; });
    if (events_.durable && *events_.durable > known) return events_.durable;
    return std::nullopt;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  engine_events events_;
};

}  // namespace spillway
