// How quotas and budgets of a fleet are divided over its partitions.
#pragma once

#include "schemas/ids.hpp"
#include "schemas/units.hpp"

#include <vector>

namespace spillway {

/// Partition p's part of `total` over `partitions`: the parts of all partitions add up to `total`
/// exactly. `total` is not negative, `p` one of the partitions.
[[nodiscard]] constexpr std::int64_t share_of(std::int64_t total, partition_id p,
                                              std::uint32_t partitions) {
  const auto up_to = [&](std::uint32_t n) {
    return static_cast<std::int64_t>(static_cast<wide_int>(total) * n / partitions);
  };
  return up_to(p.value() + 1) - up_to(p.value());
}

/// The partitions whose parts of every quota a process may use.
struct quota_share {
  std::uint32_t partitions = 1;
  std::vector<partition_id> owned{partition_id(0)};

  /// Sum of the owned partitions' parts.
  [[nodiscard]] constexpr std::int64_t of(std::int64_t total) const {
    std::int64_t sum = 0;
    for (const auto p : owned) sum += share_of(total, p, partitions);
    return sum;
  }
};

}  // namespace spillway
