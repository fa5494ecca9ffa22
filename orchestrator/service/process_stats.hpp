// What the kernel knows of this process.
#pragma once

#include "schemas/units.hpp"

#include <cstdint>

namespace spillway::service {

struct process_stats {
  std::int64_t resident_bytes = 0, virtual_bytes = 0;
  std::int64_t open_fds = 0, max_fds = 0;
  std::int64_t threads = 0;
  duration cpu{};
  time_point started{};
};

/// Reads /proc; what can't be read stays 0.
[[nodiscard]] process_stats read_process_stats();

}  // namespace spillway::service
