// How long a prompt waits before its next try.
#pragma once

#include "schemas/ids.hpp"
#include "schemas/units.hpp"

namespace spillway {

/// A number in [0, 1) that depends only on its arguments, so that a run can be replayed.
[[nodiscard]] double hashed_unit(std::uint64_t seed, position where, std::uint32_t attempt);

/// Full jitter: uniform in [0, min(30 s, 0.5 s x 2^(failures - 1))); a Retry-After the provider
/// gave is waited out first. `failures` counts from 1.
[[nodiscard]] duration retry_delay(std::uint64_t seed, position where, std::uint32_t failures,
                                   duration retry_after);

}  // namespace spillway
