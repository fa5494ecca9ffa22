#include "orchestrator/cli/arguments_fleet.hpp"

#include "orchestrator/cli/arguments_flags.hpp"

namespace spillway {

namespace {

constexpr const char* topics_help_end =
    R"(Creates what is missing and changes nothing that exists: run it again to see what differs from
what the fleet needs. Exit codes: 0 as it has to be; 1 something differs; 2 or 4 it failed.)";

constexpr const char* submit_help_end =
    R"(Reads and checks every line first: with bad lines nothing is submitted (exit code 2). Killed or
stopped half-way? The same command goes on behind what was written; the job exists for the fleet
only once all of it is there. A job that is there already: says so, exit code 0.)";

constexpr const char* jobs_help_end =
    R"(An open job takes lines from any Kafka client: records on the topic `shards` with the header
`job`, until `jobs close`. See the README for kcat and Python.)";

constexpr const char* results_help_end =
    R"(Answers go to FILE, error rows to STEM.errors.jsonl, each prompt once. Exit codes: 0 finished,
every prompt answered; 1 finished, some became error rows; 3 the job is not finished: what there is
so far was written (with --follow: stopped before the end).)";

constexpr const char* control_help_end =
    "Takes effect when the members read it, within a second or two; waits for nobody.";

constexpr const char* policy_help_end =
    R"(What is not named stays as it is. Takes effect when the members read it, within a second or two: a
job that its budget or its errors hold up goes on. Residency can only be narrowed.)";

constexpr const char* serve_help_end =
    R"(SIGTERM or Ctrl-C lets the calls in flight finish and stops; a second one stops at once. SIGHUP
reads the configuration again: it is taken on whole or not at all, and no call is lost. Pages:
/metrics, /healthz, /readyz, /status at member.listen. Exit codes: 0 told to stop, and drained; 2
wrong configuration or topics, or another process works under this member's name; 4 the broker or the
local index can't be used.)";

constexpr const char* dead_help_end =
    R"(Dead letters are records that can't be worked on: unknown job, unreadable, too large. They are
kept whole. OFFSET is the number that `dead list` shows first.)";

void add_config(CLI::App& app, std::string& config, bool& json) {
  app.add_option("-c,--config", config, "The fleet: where Kafka is")
      ->required()
      ->type_name("FLEET.yaml");
  app.add_flag("--json", json, "JSON on standard output, one object a line");
}

void add_job(CLI::App& app, std::string& job) {
  app.add_option_function<std::string>(
         "job",
         [&job](const std::string& name) {
           if (!is_plain_name(name)) {
             throw CLI::ValidationError(
                 "JOB", R"(expected at most 64 letters, digits, ".", "_" and "-", found )" + name);
           }
           job = name;
         },
         "Name of the job")
      ->required()
      ->type_name("JOB");
}

void add_turn_flags(CLI::App& app, job_flags& o) {
  app.add_option("--weight", o.weight, "Share among jobs of equal priority; 1 unless told")
      ->check(CLI::Range(std::int64_t{1}, job_weight_max).description(""))
      ->type_name("N");
  app.add_option("--priority", o.priority, "Higher goes first; 0 unless told")
      ->check(CLI::Range(std::int64_t{-1'000'000}, std::int64_t{1'000'000}).description(""))
      ->type_name("N");
  add_duration(app, "--deadline", o.deadline,
               "Wanted by then, from now; shown, steers nothing yet");
  add_duration(app, "--keep", o.keep, "Input and results stay this long after the end; 7d");
}

void add_job_flags(CLI::App& app, job_flags& o) {
  app.add_option("--tenant", o.tenant, "Who the job is for")->type_name("NAME");
  add_turn_flags(app, o);
  add_policy_flags(app, o);
}

CLI::App& command(CLI::App& app, const char* name, const char* what, const char* footer) {
  auto* added = app.add_subcommand(name, what);
  added->footer(footer);
  return *added;
}

}  // namespace

struct fleet_arguments::parts {
  topics_options topics;
  submit_options submit;
  jobs_options jobs;
  results_options results;
  errors_options errors;
  control_options control;
  policy_options policy;
  serve_options serve;
  dead_options dead;
  std::optional<fleet_command> parsed;

  /// Keeps the options of a command when it was the one that was given.
  template <class Options>
  void on(CLI::App& app, Options& options, std::function<void()> adjust = {}) {
    app.callback([this, &options, adjust = std::move(adjust)] {
      if (adjust) adjust();
      parsed = options;
    });
  }

  void add_topics(CLI::App& app) {
    auto& topics_app = command(app, "topics", "The fleet's topics", topics_help_end);
    topics_app.require_subcommand(1);
    auto& create = command(topics_app, "create", "Create or check them", topics_help_end);
    add_config(create, topics.config, topics.json);
    create
        .add_option("--partitions", topics.partitions,
                    "Of shards, results, journal and late: the most members that can work at once")
        ->check(CLI::Range(1, 1024).description(""))
        ->type_name("N");
    create.add_option("--replication", topics.replication, "Copies of each record; 3 or more")
        ->check(CLI::Range(1, 64).description(""))
        ->type_name("N");
    on(create, topics);
  }

  void add_submit(CLI::App& app) {
    auto& submit_app =
        command(app, "submit", "Give files of prompts to a fleet as a job", submit_help_end);
    submit_app.add_option("inputs", submit.inputs, "Files of prompts, one JSON object a line")
        ->required()
        ->type_name("IN.jsonl");
    submit_app
        .add_option_function<std::string>(
            "--job",
            [this](const std::string& name) {
              if (!is_plain_name(name))
                throw CLI::ValidationError(
                    "--job",
                    R"(expected at most 64 letters, digits, ".", "_" and "-", found )" + name);
              submit.job = name;
            },
            "Name of the job")
        ->required()
        ->type_name("NAME");
    add_config(submit_app, submit.config, submit.json);
    add_job_flags(submit_app, submit.policy);
    submit_app.add_flag("--allow-invalid", submit.allow_invalid,
                        "Take bad lines, too: they become error rows");
    submit_app
        .add_option("--max-line-bytes", submit.line_bytes_max,
                    "Longer lines are refused; 16777216 unless told")
        ->check(CLI::Range(std::size_t{1024}, std::size_t{1} << 30).description(""))
        ->type_name("N");
    submit_app.add_option("--threads", submit.threads, "Threads to use; 0: by the machine's cores")
        ->check(CLI::Range(0u, 1024u).description(""))
        ->type_name("N");
    submit_app.add_flag("--quiet,-q", submit.quiet, "No progress and no final word");
    on(submit_app, submit);
  }

  void add_jobs(CLI::App& app) {
    auto& jobs_app = command(app, "jobs",
                             "List the fleet's jobs; open and close one that takes "
                             "lines from any client",
                             jobs_help_end);
    auto* config = jobs_app.add_option("-c,--config", jobs.config, "The fleet: where Kafka is")
                       ->type_name("FLEET.yaml");
    jobs_app.add_flag("--json", jobs.json, "JSON on standard output, one object a line");
    auto& open = command(jobs_app, "open", "Open a job that takes lines", jobs_help_end);
    add_job(open, jobs.job);
    add_config(open, jobs.config, jobs.json);
    add_job_flags(open, jobs.policy);
    on(open, jobs, [this] { jobs.action = jobs_options::what::open; });
    auto& close = command(jobs_app, "close", "Take no more lines", jobs_help_end);
    add_job(close, jobs.job);
    add_config(close, jobs.config, jobs.json);
    on(close, jobs, [this] { jobs.action = jobs_options::what::close; });
    jobs_app.callback([this, config, &jobs_app] {
      if (!jobs_app.get_subcommands().empty()) return;
      if (config->empty()) throw CLI::RequiredError("-c FLEET.yaml");
      parsed = jobs;
    });
  }

  void add_results(CLI::App& app) {
    auto& results_app = command(app, "results", "Write a job's rows to files", results_help_end);
    add_job(results_app, results.job);
    results_app.add_option("-o,--output", results.output, "File for the answers")
        ->required()
        ->type_name("OUT.jsonl");
    add_config(results_app, results.config, results.json);
    results_app.add_option("--errors", results.errors, "File for error rows")->type_name("FILE");
    results_app.add_flag("--follow", results.follow, "Go on until the job is finished");
    results_app.add_flag("--ordered", results.ordered,
                         "By input file and line; written once everything was read");
    results_app.add_flag("--overwrite", results.overwrite, "Replace files that exist");
    results_app.add_flag("--quiet,-q", results.quiet, "No progress and no final word");
    on(results_app, results);
    auto& errors_app = command(app, "errors", "Show a job's error rows", results_help_end);
    errors_app.footer(
        "Exit codes: 0 no error rows; 1 there are some. --json prints the rows whole.");
    add_job(errors_app, errors.job);
    add_config(errors_app, errors.config, errors.json);
    errors_app
        .add_option("--limit", errors.limit, "Rows to show, 0 for all; default 20, with --json all")
        ->type_name("N");
    on(errors_app, errors);
  }

  void add_control(CLI::App& app) {
    using kafka::command_kind;
    for (const auto& [name, what, kind] :
         {std::tuple{"pause", "Send nothing more of a job for now", command_kind::pause},
          std::tuple{"resume", "Go on with a paused job", command_kind::resume},
          std::tuple{"cancel", "End a job: what was not sent becomes error rows",
                     command_kind::cancel},
          std::tuple{"retry", "Send a job's failed prompts again", command_kind::retry}}) {
      auto& control_app = command(app, name, what, control_help_end);
      add_job(control_app, control.job);
      add_config(control_app, control.config, control.json);
      if (kind == command_kind::retry) {
        control_app.add_flag("--in-doubt", control.in_doubt_only,
                             "Only prompts that were held because they may have been billed");
        control_app
            .add_option("--code", control.codes, "Only rows with this error code; repeatable")
            ->type_name("CODE");
      }
      on(control_app, control, [this, kind = kind] { control.kind = kind; });
    }
  }

  void add_policy(CLI::App& app) {
    auto& policy_app =
        command(app, "policy", "Change what may change while a job runs", policy_help_end);
    add_job(policy_app, policy.job);
    add_config(policy_app, policy.config, policy.json);
    auto& flags = *policy_app.add_option_group("Changes", "At least one of these");
    add_turn_flags(flags, policy.changes);
    add_changeable_flags(flags, policy.changes);
    flags.require_option();
    on(policy_app, policy);
  }

  void add_serve(CLI::App& app) {
    auto& serve_app =
        command(app, "serve", "Work as a member of the fleet until told to stop", serve_help_end);
    serve_app.add_option("-c,--config", serve.config, "The fleet's configuration")
        ->required()
        ->type_name("FILE");
    serve_app.add_option("--member", serve.member, "This member's name; else member.id")
        ->type_name("NAME");
    serve_app.add_option("--state", serve.state, "Folder of the local index; else member.state")
        ->type_name("DIR");
    add_prices(serve_app, serve.prices);
    serve_app.add_option("--threads", serve.threads,
                         "Threads for parsing and encoding; 0: one a core");
    serve_app.add_option("--seed", serve.seed, "Of the retry delays; 0: random");
    serve_app.add_option("--log-level", serve.log_level, "Least level that is logged")
        ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
        ->capture_default_str();
    serve_app.add_option("--log-format", serve.log_format, "Form of the log on standard error")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    on(serve_app, serve);
  }

  void add_dead(CLI::App& app) {
    auto& dead_app = command(app, "dead", "Dead letters: list, show, send again", dead_help_end);
    dead_app.require_subcommand(1);
    auto& list = command(dead_app, "list", "List them", dead_help_end);
    add_config(list, dead.config, dead.json);
    list.add_option("--job", dead.job, "Only those that name this job")->type_name("NAME");
    on(list, dead);
    auto& show = command(dead_app, "show", "Show one whole", dead_help_end);
    show.add_option("offset", dead.offsets, "Which")->required()->expected(1)->type_name("OFFSET");
    add_config(show, dead.config, dead.json);
    on(show, dead, [this] { dead.action = dead_options::what::show; });
    auto& requeue =
        command(dead_app, "requeue", "Send back to where they came from", dead_help_end);
    auto* offsets = requeue.add_option("offset", dead.offsets, "Which")->type_name("OFFSET");
    auto* all = requeue.add_flag("--all", dead.all, "All that were not sent back before");
    requeue.add_option("--job", dead.job, "With --all: only those that name this job")
        ->type_name("NAME");
    requeue.add_flag("--again", dead.again, "Also those that were sent back before");
    add_config(requeue, dead.config, dead.json);
    on(requeue, dead, [this, offsets, all] {
      if (offsets->empty() == all->empty()) throw CLI::RequiredError("either OFFSET or --all");
      dead.action = dead_options::what::requeue;
    });
  }
};

fleet_arguments::fleet_arguments(CLI::App& app) : parts_(std::make_unique<parts>()) {
  parts_->add_topics(app);
  parts_->add_submit(app);
  parts_->add_jobs(app);
  parts_->add_results(app);
  parts_->add_control(app);
  parts_->add_policy(app);
  parts_->add_dead(app);
  parts_->add_serve(app);
}

fleet_arguments::~fleet_arguments() = default;

std::optional<fleet_command> fleet_arguments::parsed() const { return parts_->parsed; }

}  // namespace spillway
