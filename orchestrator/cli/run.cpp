// spillway run: flags and configuration in, progress and a table out.
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/config.hpp"
#include "orchestrator/cli/format.hpp"
#include "orchestrator/cli/logging.hpp"
#include "orchestrator/cli/paths.hpp"
#include "orchestrator/cli/progress.hpp"
#include "orchestrator/cli/table.hpp"
#include "orchestrator/engine/progress_json.hpp"

#include <boost/json/value.hpp>

#include <cstdio>

namespace spillway {

namespace {

constexpr duration event_period = std::chrono::seconds(1);

result<run_request> make_request(const run_options& options) {
  const auto paths = derive_paths(options.output, options.errors, options.state);
  if (auto ok = check_paths(paths, options.inputs, options.config); !ok) return ok.error();
  config_rules rules;
  rules.budget_by_flag = options.budget.has_value();
  rules.prices = options.prices;
  auto config = load_run_config(options.config, rules);
  if (!config) return config.error();
  run_request request;
  request.config = std::move(*config);
  apply_flags(options, request.config.job);
  for (const auto& [key, message] : route_problems(options.routes, request.config.pools))
    return failure{failure_kind::usage, std::string(key) + ": " + message};
  request.job_name = options.job.empty() ? paths.stem : options.job;
  request.inputs = options.inputs;
  request.output = paths.output;
  request.errors = paths.errors;
  request.state = paths.state;
  request.audit = options.audit;
  request.overwrite = options.overwrite;
  request.strict = options.strict;
  request.threads = options.threads;
  request.seed = options.seed;
  if (options.line_bytes_max) request.line_bytes_max = *options.line_bytes_max;
  if (options.drain_timeout) request.drain_timeout = *options.drain_timeout;
  return request;
}

void print_event(boost::json::object event) {
  const auto line = json_line(std::move(event)) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

/// Progress events: the first at once, then one a second and one at each change of state.
class event_printer {
 public:
  void show(const run_progress& p) {
    const bool due = !any_ || p.now - last_at_ >= event_period || p.state != last_state_;
    if (!due) return;
    any_ = true;
    last_at_ = p.now;
    last_state_ = p.state;
    boost::json::object event{{"event", "progress"}};
    for (auto& field : to_json(p)) event.insert(std::move(field));
    print_event(std::move(event));
  }

 private:
  bool any_ = false;
  time_point last_at_{};
  run_state last_state_ = run_state::starting;
};

void print_summary_event(const run_request& request, const run_progress& p) {
  boost::json::object event{{"event", "summary"},
                            {"exit_code", exit_code(p)},
                            {"job", request.job_name},
                            {"output_file", request.output},
                            {"errors_file", request.errors},
                            {"state_folder", request.state}};
  for (auto& field : to_json(p)) event.insert(std::move(field));
  print_event(std::move(event));
}

void print_tables(const run_request& request, const run_progress& p) {
  std::string text = "\n" + render_table(p) + "\n" + render_summary(p);
  text += "Results: " + request.output + "\n";
  if (p.errors > 0) text += "Errors:  " + request.errors + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

/// The typed command without --overwrite: resuming must not start afresh.
std::string resume_command(const run_options& options) {
  std::vector<std::string> arguments;
  for (const auto& argument : options.command_line)
    if (argument != "--overwrite") arguments.push_back(argument);
  return shell_quoted(arguments);
}

void explain_end(const run_options& options, const run_progress& p) {
  if (p.state == run_state::finished) return;
  const bool failed = p.state == run_state::failed;
  std::string text = failed ? "spillway: failed: " : "spillway: stopped: ";
  text += p.stop_reason.empty() ? "no reason given" : printable(p.stop_reason);
  text += failed ? "\nOnce that is put right, go on with the same command:\n  "
                 : "\nNothing is lost. Go on with the same command:\n  ";
  text += resume_command(options) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

progress_view::mode view_mode(const run_options& options) {
  if (options.quiet || options.json) return progress_view::mode::none;
  return progress_view::mode_of_terminal();
}

}  // namespace

void apply_flags(const run_options& options, job_config& job) {
  if (options.budget) job.budget = options.budget;
  if (options.order) job.order = *options.order;
  job.routes = options.routes.over(std::move(job.routes));
  if (!options.routes.weights.empty()) job.order = lane_order::weights;
  if (options.residency) job.residency = options.residency;
  if (options.in_doubt) job.in_doubt = *options.in_doubt;
  if (options.max_attempts) job.max_attempts = *options.max_attempts;
  if (options.max_error_rate) job.max_error_rate = options.max_error_rate;
  if (options.stall_timeout) job.stall_timeout = *options.stall_timeout;
}

int report(const failure& f) {
  std::string text;
  // Problems of a file stand one a line, each with its own place.
  if (f.kind != failure_kind::usage || f.message.find('\n') == std::string::npos)
    text = "spillway: ";
  text += f.message + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
  return exit_code(f.kind);
}

int run_run(const run_options& options, const stop_flag& stop) {
  if (options.dry_run) return run_plan({options, {}, {}}, stop);
  const auto request = make_request(options);
  if (!request) return report(request.error());
  progress_view view(view_mode(options));
  setup_logging(options.log_level,
                options.log_format == "json" ? log_format::json : log_format::text,
                [&view](std::string_view line) { view.write_above(line); });
  event_printer events;
  const auto end = run_job(*request, stop, [&](const run_progress& p) {
    view.show(p);
    if (options.json) events.show(p);
  });
  view.finish();
  reset_logging();
  if (!end) return report(end.error());
  if (options.json)
    print_summary_event(*request, *end);
  else if (!options.quiet)
    print_tables(*request, *end);
  explain_end(options, *end);
  return exit_code(*end);
}

}  // namespace spillway
