// spillway jobs: lists them, and opens and closes those that take lines from any client.
#include "connectors/kafka/fleet_codec_jobs.hpp"
#include "orchestrator/cli/fleet.hpp"
#include "orchestrator/cli/fleet_commands.hpp"
#include "orchestrator/cli/fleet_status.hpp"
#include "orchestrator/cli/fleet_view.hpp"
#include "orchestrator/runtime/fresh_id.hpp"

namespace spillway {

namespace {

int list(fleet_access& fleet, const kafka::job_table& jobs, bool json) {
  const auto progress = read_progress(fleet);
  if (!progress) return report(progress.error());
  std::string text;
  if (json) {
    for (const auto* job : jobs.all()) text += job_json(*job, progress->of(job->name)) + "\n";
  } else {
    text = jobs.all().empty() ? "No jobs yet.\n" : jobs_table(jobs, *progress);
  }
  print(text);
  return 0;
}

int open(fleet_access& fleet, const jobs_options& options, const stop_flag& stop) {
  auto writer = open_submitter(fleet, options.job, stop);
  if (!writer) return report(writer.error());
  auto jobs = read_jobs(fleet);
  if (!jobs) return report(jobs.error());
  const auto* job = jobs->find(options.job);
  if (job && job->takes_records()) {
    tell_opened(options.job, false, options.json);
    return 0;
  }
  const bool free = !job || (!job->manifest && job->submission && job->submission->abandoned);
  if (!free) {
    return report({failure_kind::usage, "job " + options.job + " exists and is " +
                                            kafka::name_of(job->state) +
                                            "; open one under another name"});
  }
  kafka::manifest_record manifest;
  manifest.job = options.job;
  manifest.submission = fresh_id();
  manifest.policy = policy_of(options.policy, fleet.config, wall_now());
  manifest.open = true;
  manifest.created = wall_now();
  if (auto ok = (*writer)->produce({kafka::topic::jobs, 0, kafka::record_of(manifest)}); !ok)
    return report(ok.error());
  if (auto ok = (*writer)->commit(); !ok) return report(ok.error());
  tell_opened(options.job, true, options.json);
  return 0;
}

int close(fleet_access& fleet, const kafka::job_table& jobs, const jobs_options& options) {
  const auto job = find_job(jobs, options.job);
  if (!job) return report(job.error());
  if (!(*job)->manifest || !(*job)->manifest->open) {
    return report({failure_kind::usage,
                   "job " + options.job + " was submitted as files; only open jobs are closed"});
  }
  std::string nothing_to_do;
  if (!(*job)->takes_records()) {
    nothing_to_do = "is closed already";
  } else {
    const auto command = close_command(fleet, options.job);
    if (!command) return report(command.error());
    if (auto ok = fleet.tools->store({{kafka::topic::jobs, 0, kafka::record_of(*command)}}); !ok)
      return report(ok.error());
  }
  tell_command(options.job, kafka::command_kind::close, nothing_to_do, options.json);
  return 0;
}

}  // namespace

job_policy changed_policy(job_policy out, const job_flags& flags, time_point now) {
  if (flags.tenant) out.tenant = *flags.tenant;
  if (flags.weight) out.weight = *flags.weight;
  if (flags.priority) out.priority = static_cast<std::int32_t>(*flags.priority);
  out.routes = flags.routes.over(std::move(out.routes));
  if (flags.deadline) out.deadline = now + *flags.deadline;
  if (flags.keep) out.keep = *flags.keep;
  if (flags.order) out.order = flags.order;
  if (!flags.routes.weights.empty()) out.order = lane_order::weights;
  if (flags.residency) out.residency = flags.residency;
  if (flags.budget) out.budget = flags.budget;
  if (flags.in_doubt) out.in_doubt = flags.in_doubt;
  if (flags.max_attempts) out.max_attempts = flags.max_attempts;
  if (flags.max_error_rate) out.max_error_rate = flags.max_error_rate;
  if (flags.stall_timeout) out.stall_timeout = flags.stall_timeout;
  return out;
}

job_policy policy_of(const job_flags& flags, const fleet_config& config, time_point now) {
  auto defaults = config.job;
  if (config.deadline) defaults.deadline = now + *config.deadline;
  return changed_policy(std::move(defaults), flags, now);
}

int run_jobs(const jobs_options& options, const stop_flag& stop) {
  auto fleet = open_fleet(options.config);
  if (!fleet) return report(fleet.error());
  if (options.action == jobs_options::what::open) return open(*fleet, options, stop);
  const auto jobs = read_jobs(*fleet);
  if (!jobs) return report(jobs.error());
  if (options.action == jobs_options::what::close) return close(*fleet, *jobs, options);
  return list(*fleet, *jobs, options.json);
}

int run_fleet_command(const fleet_command& command, const stop_flag& stop) {
  struct runner {
    const stop_flag& stop;
    int operator()(const topics_options& o) const { return run_topics(o); }
    int operator()(const submit_options& o) const { return run_submit(o, stop); }
    int operator()(const jobs_options& o) const { return run_jobs(o, stop); }
    int operator()(const results_options& o) const { return run_results(o, stop); }
    int operator()(const errors_options& o) const { return run_errors(o, stop); }
    int operator()(const control_options& o) const { return run_control(o, stop); }
    int operator()(const policy_options& o) const { return run_policy(o); }
    int operator()(const dead_options& o) const { return run_dead(o); }
    int operator()(const serve_options& o) const { return run_serve(o, stop); }
  };
  log_to_standard_error();
  return std::visit(runner{stop}, command);
}

}  // namespace spillway
