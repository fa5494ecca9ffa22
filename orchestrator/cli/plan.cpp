// spillway plan: what a batch would cost and how long it would take. Nothing is
// sent.
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/config.hpp"
#include "orchestrator/cli/paths.hpp"
#include "orchestrator/cli/plan_report.hpp"
#include "orchestrator/engine/lane_setups.hpp"
#include "orchestrator/engine/progress_json.hpp"
#include "workers/transport/transport.hpp"

#include <boost/json/value.hpp>

#include <cstdio>

namespace spillway {

namespace {

result<plan_report> make_plan(const plan_options& options, const stop_flag& stop) {
  const auto& run = options.run;
  for (const auto& input : run.inputs)
    if (auto ok = check_input(input); !ok) return ok.error();
  config_rules rules;
  rules.fleet_keys = true;
  rules.budget_by_flag = run.budget.has_value();
  rules.prices = run.prices;
  auto config = load_run_config(run.config, rules);
  if (!config) return config.error();
  apply_flags(run, config->job);
  for (const auto& [key, message] : route_problems(run.routes, config->pools))
    return failure{failure_kind::usage, std::string(key) + ": " + message};
  const transport_limits limits;
  std::vector<lane_setup> lanes;
  for (const auto& pool : config->pools) {
    const std::shared_ptr<const provider> adapter = make_provider(pool);
    for (const auto& lane : pool.lanes)
      lanes.push_back(make_lane_setup(pool, lane, adapter, connection_cap(pool, limits)));
  }
  const auto model_of = [&](const std::string& name) {
    const auto& aliases = config->job.routes.models;
    const auto found = aliases.find(name);
    return found == aliases.end() ? name : found->second;
  };
  plan_rules counting;
  counting.capped = config->job.budget.has_value();
  if (options.output_tokens) counting.output = tokens(*options.output_tokens);
  parallel_runner runner(run.threads);
  const auto line_bytes_max = run.line_bytes_max.value_or(run_request{}.line_bytes_max);
  const auto batch =
      scan_for_plan(run.inputs, line_bytes_max, lanes, model_of, counting, runner, stop);
  if (!batch) return batch.error();
  const auto now = std::chrono::time_point_cast<duration>(std::chrono::system_clock::now());
  return make_report(*batch, lanes, config->job, {options.latency}, now);
}

}  // namespace

int run_plan(const plan_options& options, const stop_flag& stop) {
  const auto plan = make_plan(options, stop);
  if (!plan) return report(plan.error());
  const auto text = options.run.json ? json_line(to_json(*plan)) + "\n" : render(*plan);
  std::fwrite(text.data(), 1, text.size(), stdout);
  const bool error_rows = plan->bad > 0 || plan->sent < plan->prompts;
  return error_rows ? 1 : 0;
}

}  // namespace spillway
