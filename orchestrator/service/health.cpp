#include "orchestrator/service/health.hpp"

#include <algorithm>

namespace spillway::service {

namespace {

constexpr std::size_t reasons_max = 20;

std::string with_reason(std::string what, const std::string& reason) {
  return reason.empty() ? what : what + ": " + reason;
}

}  // namespace

duration heartbeat::age(time_point now) const {
  const time_point last{duration(last_.load(std::memory_order_relaxed))};
  return std::max(duration{}, now - last);
}

void member_board::publish(member_metrics m) {
  auto made = std::make_shared<const member_metrics>(std::move(m));
  const std::lock_guard lock(mutex_);
  latest_.swap(made);
}

std::shared_ptr<const member_metrics> member_board::latest() const {
  const std::lock_guard lock(mutex_);
  return latest_;
}

readiness readiness_of(const member_metrics& m) {
  readiness out;
  if (m.state != member_state::running)
    out.reasons.push_back(with_reason(std::string("the member is ") + name_of(m.state), m.reason));
  if (!m.in_group) out.reasons.emplace_back("not in the consumer group");
  for (const auto& p : m.partitions) {
    if (p.state == partition_state::active || p.state == partition_state::leaving) continue;
    if (out.reasons.size() == reasons_max) {
      out.reasons.emplace_back("and more");
      break;
    }
    out.reasons.push_back(with_reason(
        "partition " + std::to_string(p.partition.value()) + " is " + name_of(p.state), p.reason));
  }
  out.ready = out.reasons.empty();
  return out;
}

}  // namespace spillway::service
