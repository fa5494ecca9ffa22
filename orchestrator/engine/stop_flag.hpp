// How a signal reaches a run.
#pragma once

#include <atomic>

namespace spillway {

/// Set from a signal handler: 0 run, 1 stop sending and let calls finish, 2 stop at once.
using stop_flag = std::atomic<int>;

}  // namespace spillway
