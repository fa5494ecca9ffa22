// spillway costs: what a run or a fleet's jobs have cost so far.
#include "orchestrator/cli/cost_sheet.hpp"
#include "orchestrator/cli/fleet.hpp"
#include "orchestrator/cli/fleet_commands.hpp"
#include "orchestrator/cli/fleet_view.hpp"
#include "orchestrator/cli/paths.hpp"
#include "orchestrator/engine/progress_json.hpp"

#include <boost/json/value.hpp>

#include <fstream>
#include <sstream>

namespace spillway {

namespace {

result<std::vector<job_costs>> of_run(const costs_options& options) {
  const auto paths = derive_paths(options.output, "", options.state);
  const auto path = paths.state + "/status.json";
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return failure{failure_kind::usage, path +
                                            ": no status of a run there; give the run's output "
                                            "with -o, or its state "
                                            "folder with --state"};
  }
  std::ostringstream text;
  text << file.rdbuf();
  auto status = parse_status(text.str());
  if (!status) return status.error().within(path);
  job_costs job;
  job.job = paths.state;
  for (auto& lane : status->progress.lanes)
    job.lanes.push_back({lane.pool, lane.lane, lane.model, std::move(lane.totals)});
  return std::vector<job_costs>{std::move(job)};
}

result<std::vector<job_costs>> of_fleet(const std::string& config) {
  auto fleet = open_fleet(config);
  if (!fleet) return fleet.error();
  const auto jobs = read_jobs(*fleet);
  if (!jobs) return jobs.error();
  const auto progress = read_progress(*fleet);
  if (!progress) return progress.error();
  std::vector<job_costs> out;
  for (const auto* job : jobs->all()) {
    auto lanes = job->final ? job->final->lanes : sum_of(progress->of(job->name)).lanes;
    out.push_back({job->name, job->policy.tenant, std::move(lanes)});
  }
  return out;
}

}  // namespace

int run_costs(const costs_options& options) {
  const auto jobs = options.config.empty() ? of_run(options) : of_fleet(options.config);
  if (!jobs) return report(jobs.error());
  auto views = options.views;
  if (views.empty() && options.config.empty()) views = {cost_view::lane, cost_view::day};
  if (views.empty()) views = {cost_view::tenant, cost_view::job, cost_view::lane, cost_view::day};
  std::string text;
  if (options.json) {
    text = json_line(cost_json(*jobs, views)) + "\n";
  } else {
    for (const auto view : views) text += (text.empty() ? "" : "\n") + cost_table(*jobs, view);
  }
  print(text);
  return 0;
}

}  // namespace spillway
