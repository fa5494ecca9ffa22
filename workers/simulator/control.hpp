// What a test changes while the simulator runs: the body of POST /_sim/control.
#pragma once

#include "schemas/result.hpp"
#include "workers/simulator/identity.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::simulated {

struct control_change {
  std::string pool;                                 ///< one pool, or
  std::optional<identity_service> service;          ///< one identity service
  std::optional<std::vector<fault_config>> faults;  ///< instead of those before; times from now
  std::optional<std::vector<key_spec>> api_keys;    ///< of the pool, instead of those before
  bool rotate = false;                              ///< the service's key, or its secret
  std::string secret;                               ///< the new one, where it is not made up
  bool revoke = false;                              ///< all that the service gave out
  std::optional<duration> token_lifetime;
};

/// JSON or YAML. All mistakes as one usage failure.
[[nodiscard]] result<control_change> parse_control(std::string_view text);

}  // namespace spillway::simulated
