// Whether a member lives and whether it works: what /healthz and /readyz answer.
#pragma once

#include "orchestrator/service/member_metrics.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace spillway::service {

/// Tells that a loop still turns. Thread-safe.
class heartbeat {
 public:
  explicit heartbeat(time_point now) { beat(now); }
  /// The loop calls it on each turn, idle ones too: far more often than the limit it is held to.
  void beat(time_point now) {
    last_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  /// Since the last beat; never negative.
  [[nodiscard]] duration age(time_point now) const;

 private:
  std::atomic<std::int64_t> last_{0};
};

/// Where the newest view of the member lies between the thread that makes it and the one that shows
/// it. Thread-safe.
class member_board {
 public:
  void publish(member_metrics);
  /// Never null; before the first `publish`, a member that is starting.
  [[nodiscard]] std::shared_ptr<const member_metrics> latest() const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const member_metrics> latest_ = std::make_shared<const member_metrics>();
};

struct readiness {
  bool ready = false;
  std::vector<std::string> reasons;  ///< why not, each for people
};

/// Ready: running, in the group, and every partition active but those it is leaving. A member that
/// was assigned none is ready: it stands by.
[[nodiscard]] readiness readiness_of(const member_metrics&);

}  // namespace spillway::service
