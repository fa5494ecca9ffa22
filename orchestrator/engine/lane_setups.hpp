// A configured lane as the scheduler sees it.
#pragma once

#include "orchestrator/core/lane.hpp"
#include "workers/provider.hpp"

#include <memory>

namespace spillway {

/// `slots`: calls at once, of the whole pool. The pool's index is left at 0.
[[nodiscard]] lane_setup make_lane_setup(const pool_config&, const lane_config&,
                                         std::shared_ptr<const provider>, std::int64_t slots);

}  // namespace spillway
