// spillway pause, resume, cancel, retry: a command on the topic `jobs`, if the job allows it.
#include "connectors/kafka/fleet_codec_jobs.hpp"
#include "orchestrator/cli/fleet.hpp"
#include "orchestrator/cli/fleet_commands.hpp"
#include "orchestrator/cli/fleet_view.hpp"
#include "orchestrator/engine/progress_json.hpp"
#include "orchestrator/runtime/fresh_id.hpp"

namespace spillway {

using kafka::command_kind;
using kafka::job_phase;

namespace {

/// What a command comes to for a job as it is: nothing when it already is so; a refusal.
struct verdict {
  std::string nothing_to_do;
  std::string refusal;
};

verdict judge(const kafka::job_entry& job, command_kind kind) {
  const auto& name = job.name;
  const bool may_end = kind == command_kind::cancel && job.manifest;
  if (job.state == job_phase::damaged && !may_end)
    return {{}, "job " + name + " is damaged: " + job.reason};
  if (job.state == job_phase::submitting && kind != command_kind::cancel) {
    return {{},
            "job " + name +
                " is still being submitted; finish that first, or drop it with `spillway cancel " +
                name + "`"};
  }
  switch (kind) {
    case command_kind::pause:
      if (job.final) return {{}, "job " + name + " is finished"};
      if (job.cancelled) return {{}, "job " + name + " is cancelled"};
      if (job.paused) return {"is paused already", {}};
      break;
    case command_kind::resume:
      if (job.final)
        return {{}, "job " + name + " is finished; to send failed prompts again: retry"};
      if (job.cancelled) return {{}, "job " + name + " is cancelled"};
      if (!job.paused) return {"is not paused", {}};
      break;
    case command_kind::cancel:
      if (job.cancelled) return {"is cancelled already", {}};
      if (job.final) return {{}, "job " + name + " is finished"};
      break;
    case command_kind::retry:
      if (job.cancelled) {
        return {{}, "job " + name + " is cancelled; submit its prompts again under another name"};
      }
      break;
    case command_kind::close:
    case command_kind::policy: break;
  }
  return {};
}

kafka::placed_record placed(const kafka::command_record& command) {
  return {kafka::topic::jobs, 0, kafka::record_of(command)};
}

/// Before its manifest a job is nothing but a submission: whoever writes it is fenced, and it is
/// marked as given up.
result<void> abandon(fleet_access& fleet, const std::string& name, const stop_flag& stop) {
  auto writer = open_submitter(fleet, name, stop);
  if (!writer) return writer.error();
  auto jobs = read_jobs(fleet);
  if (!jobs) return jobs.error();
  const auto* job = jobs->find(name);
  if (!job || !job->submission || job->manifest) {
    return failure{failure_kind::usage,
                   "job " + name + " was submitted to its end meanwhile; cancel it again"};
  }
  auto given_up = *job->submission;
  given_up.abandoned = true;
  if (auto ok = (*writer)->produce({kafka::topic::jobs, 0, kafka::record_of(given_up)}); !ok)
    return ok;
  return (*writer)->commit();
}

result<void> send(fleet_access& fleet, const kafka::job_entry& job, const control_options& options,
                  const stop_flag& stop) {
  if (job.state == job_phase::submitting) return abandon(fleet, job.name, stop);
  std::vector<kafka::placed_record> records;
  if (options.kind == command_kind::cancel && job.takes_records()) {
    auto close = close_command(fleet, job.name);
    if (!close) return close.error();
    records.push_back(placed(*close));
  }
  auto command = new_command(job.name, options.kind);
  command.in_doubt_only = options.in_doubt_only;
  command.codes = options.codes;
  records.push_back(placed(command));
  if (auto stored = fleet.tools->store(std::move(records)); !stored) return stored.error();
  return {};
}

const char* past_tense(command_kind kind) {
  switch (kind) {
    case command_kind::pause: return "is paused: calls in flight end, nothing more is sent";
    case command_kind::resume: return "goes on";
    case command_kind::cancel:
      return "is cancelled: calls in flight end, the rest becomes error rows";
    case command_kind::retry: return "sends its failed prompts again";
    case command_kind::close: return "takes no more lines";
    case command_kind::policy: return "works by the new values from now on";
  }
  return "";
}

}  // namespace

kafka::command_record new_command(const std::string& job, command_kind kind) {
  kafka::command_record out;
  out.job = job;
  out.id = fresh_id();
  out.kind = kind;
  out.at = wall_now();
  return out;
}

result<kafka::command_record> close_command(fleet_access& fleet, const std::string& job) {
  const auto offsets = fleet.tools->offsets(kafka::topic::shards);
  if (!offsets) return offsets.error();
  auto out = new_command(job, command_kind::close);
  for (const auto& partition : *offsets) out.end_offsets.push_back(partition.high_watermark);
  return out;
}

void tell_command(const std::string& job, command_kind kind, const std::string& nothing_to_do,
                  bool json) {
  const bool done = nothing_to_do.empty();
  if (json) {
    print(json_line(boost::json::object{
              {"job", job}, {"command", kafka::name_of(kind)}, {"written", done}}) +
          "\n");
    return;
  }
  print("Job " + job + " " + (done ? std::string(past_tense(kind)) : nothing_to_do) + ".\n");
}

int run_control(const control_options& options, const stop_flag& stop) {
  auto fleet = open_fleet(options.config);
  if (!fleet) return report(fleet.error());
  auto jobs = read_jobs(*fleet);
  if (!jobs) return report(jobs.error());
  const auto job = find_job(*jobs, options.job);
  if (!job) return report(job.error());
  const auto [nothing_to_do, refusal] = judge(**job, options.kind);
  if (!refusal.empty()) return report({failure_kind::usage, refusal});
  if (nothing_to_do.empty())
    if (auto ok = send(*fleet, **job, options, stop); !ok) return report(ok.error());
  tell_command(options.job, options.kind, nothing_to_do, options.json);
  return 0;
}

}  // namespace spillway
