#include "orchestrator/core/retry.hpp"

#include <algorithm>
#include <bit>

namespace spillway {

double hashed_unit(std::uint64_t seed, position where, std::uint32_t attempt) {
  std::uint64_t x = seed ^ std::rotl(where.value(), 32) ^ attempt;
  x += 0x9E3779B97F4A7C15ull;  // splitmix64
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1p-53;
}

duration retry_delay(std::uint64_t seed, position where, std::uint32_t failures,
                     duration retry_after) {
  constexpr double base_s = 0.5, cap_s = 30;
  const double top =
      std::min(cap_s, base_s * static_cast<double>(1ull << std::min(failures - 1, 20u)));
  return retry_after + from_seconds(top * hashed_unit(seed, where, failures));
}

}  // namespace spillway
