// Which of a pool's configured faults meets a call: by share, seeded, or by time. Pure.
#pragma once

#include "workers/simulator/sim_config.hpp"

#include <cstdint>
#include <string_view>

namespace spillway::simulated {

class fault_plan {
 public:
  /// The faults must stay where they are as long as the plan.
  fault_plan(const std::vector<fault_config>& faults, std::uint64_t seed)
      : faults_(&faults), seed_(seed) {}

  /// Product of the quota factors in force.
  [[nodiscard]] double quota_factor(duration elapsed) const;
  /// When a quota factor next changes after `elapsed`; duration::max() = never.
  [[nodiscard]] duration next_quota_change(duration elapsed) const;
  /// The `down` fault in force, or null.
  [[nodiscard]] const fault_config* down(duration elapsed) const;
  [[nodiscard]] bool model_missing(duration elapsed, std::string_view model) const;
  /// The error, hang, hold or reset that befalls a call, or null. A later fault's share is taken
  /// from the calls that no earlier one took.
  [[nodiscard]] const fault_config* befalling(duration elapsed, std::uint64_t call,
                                              std::uint64_t prompt) const;

 private:
  const std::vector<fault_config>* faults_;
  std::uint64_t seed_;
};

/// Time from a call's arrival to its answer.
[[nodiscard]] duration latency_of(const latency_config&, std::uint64_t seed, std::uint64_t call);

}  // namespace spillway::simulated
