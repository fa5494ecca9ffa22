// The commands, each as a function of its flags that returns the exit code.
#pragma once

#include "orchestrator/cli/cost_sheet.hpp"
#include "orchestrator/engine/run.hpp"

#include <optional>
#include <string>
#include <vector>

namespace spillway {

/// Flags of `spillway run`; absent ones leave the configuration's value.
struct run_options {
  std::vector<std::string> inputs;
  std::string output, config;
  std::string prices;              ///< empty: the configuration's
  std::string errors, state, job;  ///< empty: derived from the output
  std::string audit;
  bool overwrite = false;
  bool strict = false;
  bool dry_run = false;
  std::optional<nano_usd> budget;
  std::optional<lane_order> order;
  route_policy routes;
  std::optional<std::vector<std::string>> residency;
  std::optional<in_doubt_policy> in_doubt;
  std::optional<std::int64_t> max_attempts;
  std::optional<double> max_error_rate;
  std::optional<duration> stall_timeout;
  std::optional<duration> drain_timeout;
  std::optional<std::size_t> line_bytes_max;
  unsigned threads = 0;
  std::uint64_t seed = 0;
  bool json = false;
  bool quiet = false;
  std::string log_level = "info";
  std::string log_format = "text";
  std::vector<std::string> command_line;  ///< as typed, to be shown for resuming
};

struct plan_options {
  run_options run;  ///< what a run would be given; output, errors and state mean nothing
  std::optional<std::int64_t> output_tokens;  ///< expected of an answer
  std::optional<duration> latency;            ///< expected of a call
};

/// Of a run by its files, or of a fleet's jobs by its configuration.
struct status_options {
  std::string output, state;
  std::string config, job;  ///< of a fleet; no job: all of them
  bool watch = false;
  bool json = false;
};

/// Of a run by its files, or of a fleet's jobs by its configuration.
struct costs_options {
  std::string output, state;
  std::string config;
  std::vector<cost_view> views;  ///< empty: all there are
  bool json = false;
};

struct pools_check_options {
  std::string config;
  std::string prices;  ///< empty: the configuration's
  bool send = false;   ///< one small prompt a lane, which is billed
  bool json = false;
};

struct simulate_options {
  std::string config;
  std::string ready_file;
};

[[nodiscard]] int run_run(const run_options&, const stop_flag&);
[[nodiscard]] int run_plan(const plan_options&, const stop_flag&);
[[nodiscard]] int run_status(const status_options&);
[[nodiscard]] int run_costs(const costs_options&);
[[nodiscard]] int run_pools_check(const pools_check_options&);
[[nodiscard]] int run_simulate(const simulate_options&);

/// Lays what the flags say over the file's policy.
void apply_flags(const run_options&, job_config&);

/// Prints a failure on standard error; returns its exit code.
int report(const failure&);

}  // namespace spillway
