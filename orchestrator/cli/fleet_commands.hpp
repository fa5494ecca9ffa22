// The commands that talk to a fleet's log only, each as a function of its flags that returns the
// exit code.
#pragma once

#include "connectors/kafka/fleet_records.hpp"
#include "orchestrator/cli/commands.hpp"
#include "schemas/job.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace spillway {

/// What a job's policy says by flags; absent ones leave the configuration's value.
struct job_flags {
  std::optional<std::string> tenant;
  std::optional<std::int64_t> weight;
  std::optional<std::int64_t> priority;
  route_policy routes;
  std::optional<duration> deadline;  ///< from now
  std::optional<duration> keep;
  std::optional<lane_order> order;
  std::optional<std::vector<std::string>> residency;
  std::optional<nano_usd> budget;
  std::optional<in_doubt_policy> in_doubt;
  std::optional<std::int64_t> max_attempts;
  std::optional<double> max_error_rate;
  std::optional<duration> stall_timeout;
};
/// The flags laid over the file's job section.
[[nodiscard]] job_policy policy_of(const job_flags&, const fleet_config&, time_point now);
/// The flags laid over a policy.
[[nodiscard]] job_policy changed_policy(job_policy, const job_flags&, time_point now);

struct topics_options {
  std::string config;
  std::optional<std::int32_t> partitions, replication;
  bool json = false;
};

struct submit_options {
  std::vector<std::string> inputs;
  std::string job, config;
  job_flags policy;
  bool allow_invalid = false;
  std::size_t line_bytes_max = 16u << 20;
  unsigned threads = 0;
  bool json = false;
  bool quiet = false;
};

struct jobs_options {
  enum class what { list, open, close } action = what::list;
  std::string job, config;
  job_flags policy;  ///< of `open`
  bool json = false;
};

struct results_options {
  std::string job, output, config;
  std::string errors;  ///< empty: derived from the output
  bool follow = false;
  bool ordered = false;
  bool overwrite = false;
  bool json = false;
  bool quiet = false;
};

struct errors_options {
  std::string job, config;
  std::optional<std::size_t> limit;  ///< 0: all; absent: all as JSON, else 20
  bool json = false;
};

struct control_options {
  kafka::command_kind kind = kafka::command_kind::pause;
  std::string job, config;
  bool in_doubt_only = false;
  std::vector<std::string> codes;
  bool json = false;
};

struct policy_options {
  std::string job, config;
  job_flags changes;
  bool json = false;
};

struct dead_options {
  enum class what { list, show, requeue } action = what::list;
  std::string config;
  std::vector<std::int64_t> offsets;
  bool all = false;
  bool again = false;
  std::string job;  ///< only letters that name it
  bool json = false;
};

struct serve_options {
  std::string config;
  std::string member, state;  ///< empty: the configuration's
  std::string prices;         ///< empty: the configuration's
  unsigned threads = 0;
  std::uint64_t seed = 0;
  std::string log_level = "info";
  std::string log_format = "text";
};

[[nodiscard]] int run_topics(const topics_options&);
[[nodiscard]] int run_submit(const submit_options&, const stop_flag&);
[[nodiscard]] int run_jobs(const jobs_options&, const stop_flag&);
[[nodiscard]] int run_fleet_status(const status_options&, const stop_flag&);
[[nodiscard]] int run_results(const results_options&, const stop_flag&);
[[nodiscard]] int run_errors(const errors_options&, const stop_flag&);
[[nodiscard]] int run_control(const control_options&, const stop_flag&);
[[nodiscard]] int run_policy(const policy_options&);
[[nodiscard]] int run_dead(const dead_options&);
[[nodiscard]] int run_serve(const serve_options&, const stop_flag&);

using fleet_command =
    std::variant<topics_options, submit_options, jobs_options, results_options, errors_options,
                 control_options, policy_options, dead_options, serve_options>;
[[nodiscard]] int run_fleet_command(const fleet_command&, const stop_flag&);

}  // namespace spillway
