// The command line as options of one command, and the help texts.
#pragma once

#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/fleet_commands.hpp"

#include <variant>

namespace spillway {

/// Nothing to run: help was printed, or the mistake explained.
struct arguments_done {
  int exit_code = 0;
};

using parsed_arguments =
    std::variant<arguments_done, run_options, plan_options, status_options, costs_options,
                 pools_check_options, simulate_options, fleet_command>;

[[nodiscard]] parsed_arguments parse_arguments(int argc, const char* const* argv);

}  // namespace spillway
