// `--strict`: the whole input is validated before anything is sent or created.
#pragma once

#include "orchestrator/engine/intake.hpp"
#include "orchestrator/engine/stop_flag.hpp"
#include "schemas/result.hpp"

#include <string>
#include <vector>

namespace spillway {

/// Usage failure listing the first bad lines, when there are any; stopped when asked to stop.
[[nodiscard]] result<void> check_all_lines(const std::vector<std::string>& inputs, class_lookup,
                                           parallel_runner&, std::size_t line_bytes_max,
                                           const stop_flag&);

}  // namespace spillway
