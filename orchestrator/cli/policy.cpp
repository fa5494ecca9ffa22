// spillway policy: other values of what may change while a job runs.
#include "connectors/kafka/fleet_codec_jobs.hpp"
#include "orchestrator/cli/fleet.hpp"
#include "orchestrator/cli/fleet_commands.hpp"
#include "orchestrator/cli/fleet_view.hpp"

#include <algorithm>

namespace spillway {

namespace {

/// Prompts may have been sent by the old policy: what it kept out stays out.
std::string refusal(const kafka::job_entry& job, const job_policy& next) {
  const auto& name = job.name;
  if (job.state == kafka::job_phase::damaged) return "job " + name + " is damaged: " + job.reason;
  if (!job.manifest) return "job " + name + " is still being submitted; finish that first";
  if (!job.policy.residency) return {};
  const auto& before = *job.policy.residency;
  for (const auto& place : next.residency.value_or(std::vector<std::string>{})) {
    if (std::find(before.begin(), before.end(), place) != before.end()) continue;
    return "job " + name + " may not use " + place +
           ": a job's residency can only be narrowed; submit the rest under another name";
  }
  return {};
}

}  // namespace

int run_policy(const policy_options& options) {
  auto fleet = open_fleet(options.config);
  if (!fleet) return report(fleet.error());
  auto jobs = read_jobs(*fleet);
  if (!jobs) return report(jobs.error());
  const auto job = find_job(*jobs, options.job);
  if (!job) return report(job.error());
  auto command = new_command(options.job, kafka::command_kind::policy);
  command.policy = changed_policy((*job)->policy, options.changes, wall_now());
  if (auto why = refusal(**job, *command.policy); !why.empty())
    return report({failure_kind::usage, why});
  if (auto ok = fleet->tools->store({{kafka::topic::jobs, 0, kafka::record_of(command)}}); !ok)
    return report(ok.error());
  tell_command(options.job, command.kind, "", options.json);
  return 0;
}

}  // namespace spillway
