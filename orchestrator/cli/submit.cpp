// spillway submit: checks files of prompts, and writes them to the fleet's log as a job.
#include "connectors/kafka/submit.hpp"

#include "orchestrator/cli/fleet.hpp"
#include "orchestrator/cli/fleet_commands.hpp"
#include "orchestrator/cli/fleet_view.hpp"
#include "orchestrator/cli/format.hpp"
#include "orchestrator/cli/paths.hpp"
#include "orchestrator/cli/progress.hpp"
#include "orchestrator/cli/submit_scan.hpp"
#include "orchestrator/cli/submit_send.hpp"
#include "orchestrator/engine/progress_json.hpp"
#include "orchestrator/runtime/fd_limit.hpp"
#include "orchestrator/runtime/fresh_id.hpp"

#include <unistd.h>

#include <set>

namespace spillway {

namespace {

constexpr std::int64_t other_fds = 64;
constexpr std::int64_t readers_a_file = 10;

double share_of(std::uint64_t done, std::uint64_t total) {
  return total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
}

/// Shows how far it is, for people or for programs.
class submit_view {
 public:
  explicit submit_view(const submit_options& options)
      : json_(options.json), line_(options.quiet || options.json) {}

  void show(const char* phase, std::uint64_t done, std::uint64_t total) {
    if (json_) {
      const auto now = std::chrono::steady_clock::now();
      if (now < next_event_) return;
      next_event_ = now + std::chrono::seconds(1);
      print(json_line(boost::json::object{
                {"event", "progress"}, {"phase", phase}, {"share", share_of(done, total)}}) +
            "\n");
      return;
    }
    if (!line_.due()) return;
    const auto share = share_of(done, total);
    constexpr std::size_t bar_columns = 32;
    line_.show(bar(share, bar_columns, style_of_terminal(STDERR_FILENO).unicode) + " " + phase +
               " " + percent(share));
  }
  void finish() { line_.finish(); }

 private:
  bool json_;
  status_line line_;
  std::chrono::steady_clock::time_point next_event_{};
};

std::string models_warning(const fleet_config& config, const scanned_content& scanned) {
  if (config.pools.empty()) return {};
  std::set<std::string> offered;
  for (const auto& pool : config.pools)
    for (const auto& lane : pool.lanes) offered.insert(lane.model);
  std::string text;
  for (const auto& [model, count] : scanned.models) {
    if (offered.contains(model)) continue;
    text += "spillway: warning: no lane of this file offers model " + printable(model) + " (" +
            grouped(static_cast<std::int64_t>(count)) +
            " prompts); without one at the members they become error rows\n";
  }
  return text;
}

struct submitted {
  kafka::submission_plan plan;
  scanned_content scanned;
};

result<submitted> submit(const submit_options& options, const stop_flag& stop, submit_view& view) {
  // The broker is asked first: a long check of the files should not end in "unreachable".
  auto fleet = open_fleet(options.config);
  if (!fleet) return fleet.error();
  if (auto fds = raise_fd_limit(readers_a_file * static_cast<std::int64_t>(options.inputs.size()) +
                                other_fds);
      !fds)
    return fds.error();
  parallel_runner runner(options.threads);
  scan_rules rules;
  rules.line_bytes_max = options.line_bytes_max;
  rules.allow_invalid = options.allow_invalid;
  auto scanned = scan_inputs(options.inputs, rules, runner, stop,
                             [&](auto done, auto total) { view.show("checking", done, total); });
  if (!scanned) return scanned.error();
  if (const auto warning = models_warning(fleet->config, *scanned); !warning.empty()) {
    view.finish();
    std::fwrite(warning.data(), 1, warning.size(), stderr);
  }
  auto writer = open_submitter(*fleet, options.job, stop);
  if (!writer) return writer.error();
  auto jobs = read_jobs(*fleet);
  if (!jobs) return jobs.error();
  const auto& content = scanned->content;
  auto plan = kafka::plan_submission(jobs->find(options.job), options.job, content,
                                     fleet->partitions, fresh_id(), wall_now());
  if (!plan) return plan.error();
  if (plan->step != kafka::submission_step::complete) {
    const send_request request{content, policy_of(options.policy, fleet->config, wall_now()),
                               fleet->partitions, options.line_bytes_max};
    if (auto ok = send_submission(
            **writer, request, plan->written, runner, stop,
            [&](auto prompts) { view.show("submitting", prompts, content.prompts); });
        !ok)
      return ok.error();
  }
  return submitted{*std::move(plan), *std::move(scanned)};
}

const char* name_of(kafka::submission_step step) {
  switch (step) {
    case kafka::submission_step::begin: return "submitted";
    case kafka::submission_step::go_on: return "resumed";
    case kafka::submission_step::complete: return "already_complete";
  }
  return "unknown";
}

void tell(const submit_options& options, const submitted& done, duration took) {
  const auto& content = done.scanned.content;
  const auto prompts = static_cast<std::int64_t>(content.prompts);
  if (options.json) {
    print(json_line(boost::json::object{{"event", "summary"},
                                        {"exit_code", 0},
                                        {"job", options.job},
                                        {"result", name_of(done.plan.step)},
                                        {"submission", done.plan.written.submission},
                                        {"prompts", prompts},
                                        {"invalid", done.scanned.invalid},
                                        {"shards", content.shards.size()},
                                        {"bytes", content.bytes},
                                        {"resumed_prompts", done.plan.written.prompts},
                                        {"elapsed_s", seconds_of(took)}}) +
          "\n");
    return;
  }
  if (options.quiet) return;
  if (done.plan.step == kafka::submission_step::complete) {
    print("Job " + options.job + " is complete already: " + grouped(prompts) +
          " prompts. Nothing was submitted again.\n");
    return;
  }
  std::string text = "Submitted job " + options.job + ": " + grouped(prompts) + " prompts";
  if (done.plan.step == kafka::submission_step::go_on) {
    text += " (" + grouped(static_cast<std::int64_t>(done.plan.written.prompts)) +
            " had been written before)";
  }
  if (done.scanned.invalid > 0)
    text += ", " + grouped(static_cast<std::int64_t>(done.scanned.invalid)) + " of them bad lines";
  text += ", in " + brief(took) + ".\nSee spillway status " + options.job + " -c " +
          shell_quoted({options.config}) + "\n";
  print(text);
}

}  // namespace

int run_submit(const submit_options& options, const stop_flag& stop) {
  for (const auto& input : options.inputs)
    if (auto ok = check_input(input); !ok) return report(ok.error());
  const auto began = std::chrono::steady_clock::now();
  submit_view view(options);
  const auto done = submit(options, stop, view);
  view.finish();
  if (!done) return report(done.error());
  tell(options, *done, std::chrono::steady_clock::now() - began);
  return 0;
}

}  // namespace spillway
