#pragma once

#include "schemas/job.hpp"

#include <string>
#include <vector>

namespace spillway {

/// Keys of the configuration that differ and can't be swapped in a running member.
/// `kafka.partitions` and `kafka.replication` are none: only `topics create` uses them.
[[nodiscard]] std::vector<std::string> restart_keys(const fleet_config& in_force,
                                                    const fleet_config& next);

}  // namespace spillway
