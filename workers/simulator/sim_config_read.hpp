// Reads parts of sim.yaml. Private to the simulator's .cpp files.
#pragma once

#include "orchestrator/runtime/yaml_reader.hpp"
#include "workers/simulator/sim_config.hpp"

namespace spillway::simulated {

/// Each tells its mistakes to the document; what it returns then does not matter.
[[nodiscard]] pool_spec read_pool(yaml_map);
[[nodiscard]] fault_config read_fault(yaml_map);
[[nodiscard]] identity_spec read_identity(yaml_map);
/// The list `api_keys`.
[[nodiscard]] std::vector<key_spec> read_keys(yaml_map&);

}  // namespace spillway::simulated
