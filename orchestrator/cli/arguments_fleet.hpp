// The flags of the commands that talk to a fleet's log. Internal to the argument parser.
#pragma once

#include "orchestrator/cli/fleet_commands.hpp"

#include <memory>
#include <optional>

namespace CLI {
class App;
}  // namespace CLI

namespace spillway {

/// Holds the options while a command line is parsed into them.
class fleet_arguments {
 public:
  /// Adds the commands to the program.
  explicit fleet_arguments(CLI::App&);
  ~fleet_arguments();
  /// The command that was given, if it was one of these.
  [[nodiscard]] std::optional<fleet_command> parsed() const;

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

}  // namespace spillway
