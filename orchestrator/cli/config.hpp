// The YAML file of pools, lanes, job defaults and the fleet, validated whole: every error names
// line and key.
#pragma once

#include "schemas/config.hpp"
#include "schemas/job.hpp"
#include "schemas/result.hpp"

#include <string>
#include <string_view>

namespace spillway {

/// What flags add to the rules of the file.
struct config_rules {
  /// A budget is given as a flag: every lane needs a price, and a bound on what one call may cost.
  bool budget_by_flag = false;
  /// For a fleet's file: whether it is of use without pools.
  bool pools_required = true;
  /// For a run's file: whether it may hold what only a fleet's jobs have, which means nothing then.
  bool fleet_keys = false;
  /// A price file given as a flag; empty: the file's own `prices`, if any.
  std::string prices{};
};

/// All problems of the file as one usage failure, "name:line: key: problem" one a line.
[[nodiscard]] result<run_config> parse_run_config(std::string_view text, std::string name,
                                                  config_rules = {});
[[nodiscard]] result<run_config> load_run_config(const std::string& path, config_rules = {});

/// The same file for a fleet: the section `kafka` is required.
[[nodiscard]] result<fleet_config> parse_fleet_config(std::string_view text, std::string name,
                                                      config_rules = {});
[[nodiscard]] result<fleet_config> load_fleet_config(const std::string& path, config_rules = {});

/// Why a lane can't run under a budget ("price: missing; ..."), as key and message; an empty key
/// when it can.
struct lane_shortfall {
  std::string_view key;
  std::string message;
};
/// `unpriced` says why a price file has no price of it.
[[nodiscard]] lane_shortfall budget_shortfall(const lane_config&, std::string_view unpriced = {});

/// The same rule for a configuration that did not come from a file, or came with other flags.
[[nodiscard]] result<void> validate_for_budget(const run_config&);

/// A name in a route policy that stands for nothing in the configuration: what it was to allow or
/// to forbid would be something else.
struct route_problem {
  const char* key;
  std::string message;
};
[[nodiscard]] std::vector<route_problem> route_problems(const route_policy&,
                                                        const std::vector<pool_config>&);

/// True for a residency name: lower-case letters, digits, "-" and "_".
[[nodiscard]] bool is_region_name(std::string_view);

}  // namespace spillway
