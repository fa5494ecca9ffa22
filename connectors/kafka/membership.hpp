// Which partitions the group hints that this member should own. Never fetches a record.
#pragma once

#include "connectors/kafka/settings.hpp"
#include "schemas/result.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace spillway::kafka {

using partition_set = std::set<std::int32_t>;

/// Called on the membership's thread. While `revoked` runs the group waits with the rebalance: it
/// must end within seconds, and it should not end before the hand-over is durable. Heartbeats go on
/// meanwhile. A rebalance calls `revoked` with everything owned, then `assigned` with everything to
/// own from now on (empty sets included).
struct membership_callbacks {
  std::function<void(const partition_set&)> revoked;
  std::function<void(const partition_set&)> assigned;
  /// The group may have gone on without this member (its session ended): whoever owns these now
  /// fences us. `assigned` follows once it is back.
  std::function<void(const partition_set&)> lost;
  /// Another process joined with the same member id: this one is out for good.
  std::function<void(std::string message)> fenced;
  /// Something that does not heal by itself (not authorised, topic gone); may repeat.
  std::function<void(std::string message)> trouble;
};

/// A static member (`member_id` is the group.instance.id): a restart within the session of six
/// seconds gets the same partitions back without a rebalance, also after a clean end.
class membership {
 public:
  /// Joins in the background. Fails (usage) on settings that can't be used.
  [[nodiscard]] static result<std::unique_ptr<membership>> join(const kafka_settings&,
                                                                const std::string& member_id,
                                                                membership_callbacks);
  /// Ends without callbacks and without leaving the group: its partitions move when the session
  /// ends.
  virtual ~membership() = default;

  /// How far each partition is done: committed as the group's offset every few seconds while the
  /// group gives it to this member, so that Kafka's tools show the fleet's lag. Thread-safe.
  virtual void show_done(std::map<std::int32_t, std::int64_t>) = 0;

  /// As of the last callback. Thread-safe.
  [[nodiscard]] virtual partition_set assigned() const = 0;
  /// Since the thread last asked the broker's library for news: its watchdog. Thread-safe.
  [[nodiscard]] virtual std::chrono::milliseconds since_poll() const = 0;
};

}  // namespace spillway::kafka
