#include "orchestrator/runtime/time_source.hpp"

namespace spillway {

system_time::system_time()
    : wall_(std::chrono::system_clock::now()), steady_(std::chrono::steady_clock::now()) {}

time_point system_time::now() const { return wall_ + (std::chrono::steady_clock::now() - steady_); }

}  // namespace spillway
