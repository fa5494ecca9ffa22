#include "orchestrator/cli/arguments.hpp"

#include "orchestrator/cli/arguments_flags.hpp"
#include "orchestrator/cli/arguments_fleet.hpp"

#include <iostream>

namespace spillway {

namespace {

constexpr const char* main_help_end = R"(The smallest useful example:
  $ cat pools.yaml
  pools:
    - name: openai
      provider: openai
      auth: { api_key: env:OPENAI_API_KEY }
      lanes: [{ model: gpt-5.4-mini, quota: { rpm: 500, tpm: 200000 } }]
  $ spillway run prompts.jsonl -o results.jsonl -c pools.yaml
  $ spillway status -o results.jsonl          # meanwhile, in another terminal

A prompt is one line of the OpenAI Batch form:
  {"custom_id": "a-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": ..., ...}}

Stopped, killed or crashed? Repeat the same command: it goes on where it was, and pays for nothing
twice that had been answered.

Exit codes: 0 every prompt answered; 1 finished, some prompts became error rows; 2 wrong usage or
configuration; 3 stopped before the end, can be resumed; 4 fault of the state or of the storage.)";

constexpr const char* run_help_end =
    R"(Files: STEM is OUT without .jsonl. Results go to OUT, error rows to STEM.errors.jsonl, the
state that makes a run resumable to STEM.state. Ctrl-C lets the calls in flight finish and stops;
a second Ctrl-C stops at once. Both can be resumed by the same command.)";

constexpr const char* plan_help_end =
    R"(Checks every line, estimates its tokens, and says what each lane would cost and how the prompts
would split; nothing is sent. Tokens are estimated from the text (how well: see the README).
Exit codes: 0 every prompt has a lane; 1 some lines or prompts would become error rows; 2 wrong usage
or configuration.)";

constexpr const char* status_help_end =
    R"(Of a run: reads only what it wrote last; asks neither the run nor any provider. Of a fleet's JOB,
the exit code is 0 when it is finished and every prompt was answered, 1 when some became error rows,
3 when it is not finished.)";

constexpr const char* pools_check_help_end =
    R"(Credentials, reachability, certificates, this machine's clock, and whether each lane's model is
there: by the provider's list of models, or by a call without content, which is refused and not
billed. Exit codes: 0 no problem found; 2 some, each with what to do.)";

constexpr const char* simulate_help_end =
    R"(Serves the pools of SIM.yaml on loopback, with the quotas, latencies and faults it names,
until Ctrl-C. GET /_sim/stats tells what was sent, answered, refused and billed.)";

void add_run_policy_flags(CLI::App& app, run_options& o) {
  add_policy_flags(app, o);
  add_duration(app, "--drain-timeout", o.drain_timeout,
               "How long Ctrl-C lets the calls in flight go on");
}

void add_output_flags(CLI::App& app, run_options& o) {
  app.add_flag("--json", o.json, "Events on standard output, one JSON object a line");
  app.add_flag("--quiet,-q", o.quiet, "No progress and no final table");
  app.add_option("--log-level", o.log_level, "Least level that is logged")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  app.add_option("--log-format", o.log_format, "Form of the log on standard error")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

void add_inputs(CLI::App& app, run_options& o) {
  app.add_option("inputs", o.inputs, "Files of prompts, one JSON object a line")
      ->required()
      ->type_name("IN.jsonl");
  app.add_option_function<std::uint64_t>(
         "--max-line-bytes",
         [&o](const std::uint64_t& n) { o.line_bytes_max = static_cast<std::size_t>(n); },
         "Longer lines become error rows; 16777216 unless told")
      ->check(CLI::Range(std::uint64_t{1024}, std::uint64_t{1} << 30).description(""))
      ->type_name("N");
  app.add_option("--threads", o.threads, "Threads to use; 0: by the machine's cores")
      ->check(CLI::Range(0u, 1024u).description(""))
      ->type_name("N");
}

void add_plan(CLI::App& app, plan_options& o) {
  app.footer(plan_help_end);
  add_inputs(app, o.run);
  app.add_option("-c,--config", o.run.config, "Pools, lanes and the job's defaults")
      ->required()
      ->type_name("POOLS.yaml");
  add_prices(app, o.run.prices);
  app.add_option_function<std::int64_t>(
         "--output-tokens", [&o](const std::int64_t& n) { o.output_tokens = n; },
         "Expected of an answer, where the prompt allows as many; 256 unless told")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000}).description(""))
      ->type_name("N");
  add_duration(app, "--latency", o.latency,
               "Expected of a call; unless told 1 s and 1 s for each 60 tokens of output");
  add_policy_flags(app, o.run);
  app.add_flag("--json", o.run.json, "One JSON object on standard output");
}

void add_run(CLI::App& app, run_options& o) {
  app.footer(run_help_end);
  add_inputs(app, o);
  app.add_option("-o,--output", o.output, "File for the results")
      ->required()
      ->type_name("OUT.jsonl");
  app.add_option("-c,--config", o.config, "Pools, lanes and the job's defaults")
      ->required()
      ->type_name("POOLS.yaml");
  add_prices(app, o.prices);
  app.add_option("--job", o.job, "Name of the job; default: the output's name")->type_name("NAME");
  app.add_option("--errors", o.errors, "File for error rows")->type_name("FILE");
  app.add_option("--state", o.state, "Folder for what a resume needs")->type_name("DIR");
  app.add_option("--audit", o.audit, "Append what the job may use, and used, to this file")
      ->type_name("FILE");
  app.add_flag("--overwrite", o.overwrite, "Start afresh: replace OUT, the errors and the state");
  app.add_flag("--dry-run", o.dry_run, "Only say what it would cost and how long it would take");
  app.add_flag("--strict", o.strict, "Send nothing if any line of the input is bad");
  add_run_policy_flags(app, o);
  app.add_option("--seed", o.seed, "Of the random delays of retries; 0: a new one each run")
      ->type_name("N");
  add_output_flags(app, o);
}

void add_status(CLI::App& app, status_options& o) {
  app.footer(status_help_end);
  auto* output =
      app.add_option("-o,--output", o.output, "The run's output")->type_name("OUT.jsonl");
  auto* state = app.add_option("--state", o.state, "The run's state folder")->type_name("DIR");
  auto* config = app.add_option("-c,--config", o.config, "Of a fleet instead: where Kafka is")
                     ->type_name("FLEET.yaml");
  auto* job = app.add_option("job", o.job, "Of a fleet: one job; default: all")
                  ->needs(config)
                  ->type_name("JOB");
  auto* watch = app.add_flag("--watch", o.watch, "Of a fleet: again every second, until the end")
                    ->needs(config);
  app.add_flag("--json", o.json, "One JSON object on standard output");
  app.callback([output, state, config, job, watch] {
    const bool of_files = !output->empty() || !state->empty();
    if (of_files && !config->empty())
      throw CLI::ValidationError("-c", "expected either a run's files or a fleet, found both");
    if (!of_files && config->empty())
      throw CLI::RequiredError("-o OUT.jsonl (the run's output), --state DIR, or -c FLEET.yaml");
    if (!watch->empty() && job->empty()) throw CLI::RequiredError("JOB (with --watch)");
  });
}

void add_costs(CLI::App& app, costs_options& o) {
  app.footer(
      "Billed so far, and what calls in doubt may have been billed. A fleet's jobs count as\n"
      "long as they are kept; days are UTC, the last 400 of a run or job.");
  auto* output =
      app.add_option("-o,--output", o.output, "The run's output")->type_name("OUT.jsonl");
  auto* state = app.add_option("--state", o.state, "The run's state folder")->type_name("DIR");
  auto* config = app.add_option("-c,--config", o.config, "Of a fleet instead: where Kafka is")
                     ->type_name("FLEET.yaml");
  const std::map<std::string, cost_view> views{{"tenant", cost_view::tenant},
                                               {"job", cost_view::job},
                                               {"lane", cost_view::lane},
                                               {"day", cost_view::day}};
  app.add_option("--by", o.views, "Only this sheet; repeatable")
      ->transform(CLI::CheckedTransformer(views).description(""))
      ->type_name("tenant|job|lane|day");
  app.add_flag("--json", o.json, "One JSON object on standard output");
  app.callback([output, state, config] {
    const bool of_files = !output->empty() || !state->empty();
    if (of_files && !config->empty())
      throw CLI::ValidationError("-c", "expected either a run's files or a fleet, found both");
    if (!of_files && config->empty())
      throw CLI::RequiredError("-o OUT.jsonl (the run's output), --state DIR, or -c FLEET.yaml");
  });
}

void add_pools(CLI::App& app, pools_check_options& o) {
  app.require_subcommand(1);
  auto& check = *app.add_subcommand("check", "Ask every pool whether its lanes could work");
  check.footer(pools_check_help_end);
  check.add_option("-c,--config", o.config, "Pools and lanes")->required()->type_name("POOLS.yaml");
  add_prices(check, o.prices);
  check.add_flag("--send", o.send, "Send one small prompt a lane, too: that is billed");
  check.add_flag("--json", o.json, "One JSON object a finding on standard output");
}

void add_simulate(CLI::App& app, simulate_options& o) {
  app.footer(simulate_help_end);
  app.add_option("-c,--config", o.config, "The pools to imitate")
      ->required()
      ->type_name("SIM.yaml");
  app.add_option("--ready-file", o.ready_file, "Written when listening: addresses as JSON")
      ->type_name("FILE");
}

}  // namespace

parsed_arguments parse_arguments(int argc, const char* const* argv) {
  CLI::App app{
      "Runs large batches of prompts over several model providers, within every quota, at "
      "the lowest cost,\nand goes on where it was after anything short of a lost disk."};
  app.name("spillway");
  app.set_version_flag("--version,-V", "spillway " SPILLWAY_VERSION);
  app.require_subcommand(1);
  app.footer(main_help_end);
  run_options run;
  plan_options plan;
  status_options status;
  costs_options costs;
  pools_check_options pools_check;
  simulate_options simulate;
  auto* run_command = app.add_subcommand("run", "Answer every prompt of the input files");
  auto* status_command = app.add_subcommand("status", "Show how far a run or a fleet's job is");
  auto* simulate_command =
      app.add_subcommand("simulate", "Imitate providers on this machine, for trying things out");
  add_run(*run_command, run);
  auto* plan_command =
      app.add_subcommand("plan", "Say what a run would cost and how long it would take");
  add_plan(*plan_command, plan);
  add_status(*status_command, status);
  auto* costs_command = app.add_subcommand("costs", "What was paid, by lane, day, job and tenant");
  add_costs(*costs_command, costs);
  auto* pools_command = app.add_subcommand("pools", "Find out whether pools could work");
  add_pools(*pools_command, pools_check);
  add_simulate(*simulate_command, simulate);
  const fleet_arguments fleet(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return arguments_done{app.exit(e, std::cout, std::cerr)};
  } catch (const CLI::ParseError& e) {
    const auto used = app.get_subcommands();
    std::string problem = e.what();
    if (used.empty() && (argc < 2 || *argv[1] != '-')) {
      problem = "expected a command such as run, status or submit, found " +
                std::string(argc < 2 ? "nothing" : argv[1]);
    }
    std::cerr << "spillway: " << problem << "\nSee spillway "
              << (used.empty() ? "" : used.front()->get_name() + " ") << "--help.\n";
    return arguments_done{exit_code(failure_kind::usage)};
  }
  run.command_line.assign(argv, argv + argc);
  if (run_command->parsed()) return run;
  if (plan_command->parsed()) return plan;
  if (status_command->parsed()) return status;
  if (costs_command->parsed()) return costs;
  if (pools_command->parsed()) return pools_check;
  if (auto command = fleet.parsed()) return *std::move(command);
  return simulate;
}

}  // namespace spillway
