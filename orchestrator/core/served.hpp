// Weighted fair shares between jobs, as deficit round robin gives them with the smallest quantum:
// whoever has been served fewest tokens for its weight goes first.
#pragma once

#include "schemas/units.hpp"

namespace spillway {

inline constexpr std::int64_t served_scale = 1 << 12;
/// How far a job that had no permit may fall behind and catch up, in tokens for a weight of one.
inline constexpr tokens served_credit_max{20'000};

/// What serving so many tokens adds to a job's account.
[[nodiscard]] constexpr std::int64_t served_by(tokens n, std::int64_t weight) {
  return n.count() * served_scale / weight;
}

}  // namespace spillway
