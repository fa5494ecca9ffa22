// Work on many items, on many threads when there are enough of them.
#pragma once

#include "orchestrator/runtime/stripes_parallel.hpp"

#include <algorithm>

namespace spillway {

inline constexpr std::size_t parallel_from = 256;  ///< below, threads cost more than they save

/// Calls `work` with each index once.
template <class Work>
void for_items(parallel_runner& runner, std::size_t count, Work work) {
  if (count < parallel_from) {
    for (std::size_t i = 0; i < count; ++i) work(i);
    return;
  }
  constexpr std::size_t chunk = 64;
  runner.for_each((count + chunk - 1) / chunk, [&](std::size_t c) {
    for (std::size_t i = c * chunk; i < std::min(count, (c + 1) * chunk); ++i) work(i);
  });
}

}  // namespace spillway
