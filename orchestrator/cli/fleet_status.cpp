// spillway status -c: how far a fleet's jobs are, from what their owners last wrote.
#include "orchestrator/cli/fleet_status.hpp"

#include "connectors/rows.hpp"
#include "orchestrator/cli/fleet.hpp"
#include "orchestrator/cli/fleet_commands.hpp"
#include "orchestrator/cli/fleet_view.hpp"
#include "orchestrator/cli/format.hpp"
#include "orchestrator/cli/progress.hpp"
#include "orchestrator/engine/progress_json.hpp"

#include <boost/json/array.hpp>

#include <unistd.h>

namespace spillway {

namespace json = boost::json;

namespace {

constexpr std::chrono::milliseconds watch_period{1000};
constexpr std::chrono::milliseconds watch_step{50};

/// A job's figures, from its final record once there is one.
struct job_figures {
  std::int64_t prompts = 0, answered = 0, errors = 0, invalid = 0, in_flight = 0, in_doubt = 0,
               maybe_billed = 0;
  nano_usd settled, reserved;
  std::vector<named_totals> lanes;
  std::vector<std::string> hindrances;
  time_point updated{};
};

job_figures figures_of(const kafka::job_entry& job, const kafka::job_parts& parts) {
  if (const auto& f = job.final) {
    const auto signed_of = [](std::uint64_t n) { return static_cast<std::int64_t>(n); };
    job_figures out;
    out.prompts = signed_of(f->prompts);
    out.answered = signed_of(f->answered);
    out.errors = signed_of(f->errors);
    out.invalid = signed_of(f->invalid);
    out.maybe_billed = signed_of(f->maybe_billed);
    out.settled = f->settled;
    out.lanes = f->lanes;
    out.updated = f->finished;
    return out;
  }
  auto sums = sum_of(job, parts);
  return {sums.prompts,
          sums.answered,
          sums.errors,
          sums.invalid,
          sums.in_flight,
          sums.in_doubt,
          sums.maybe_billed,
          sums.settled,
          sums.reserved,
          std::move(sums.lanes),
          std::move(sums.hindrances),
          sums.updated};
}

std::optional<time_point> created_of(const kafka::job_entry& job) {
  if (job.manifest) return job.manifest->created;
  if (job.submission) return job.submission->started;
  return std::nullopt;
}

double done_share(const job_figures& f) {
  if (f.prompts <= 0) return 0;
  return static_cast<double>(f.answered + f.errors) / static_cast<double>(f.prompts);
}

json::array lanes_json(const std::vector<named_totals>& lanes) {
  json::array out;
  for (const auto& lane : lanes) {
    const auto& t = lane.totals;
    json::object o{{"pool", lane.pool},
                   {"lane", lane.lane},
                   {"model", lane.model},
                   {"calls", t.calls},
                   {"answered", t.answered},
                   {"rejected", t.rejected},
                   {"refused_429", t.refused_429},
                   {"failed", t.failed},
                   {"retries", t.retries},
                   {"spilled_in", t.spilled_in},
                   {"spilled_out", t.spilled_out},
                   {"maybe_billed", t.maybe_billed},
                   {"input_tokens", t.input.count()},
                   {"cached_tokens", t.cached.count()},
                   {"output_tokens", t.output.count()},
                   {"cost_usd", to_usd(t.settled)}};
    if (const auto p50 = t.latency.quantile(0.5)) o["latency_p50_s"] = seconds_of(*p50);
    if (const auto p95 = t.latency.quantile(0.95)) o["latency_p95_s"] = seconds_of(*p95);
    out.push_back(std::move(o));
  }
  return out;
}

std::string lanes_table(const std::vector<named_totals>& lanes) {
  std::vector<std::vector<std::string>> rows{{"LANE", "CALLS", "ANSWERED", "REJECTED", "429",
                                              "FAILED", "IN TOKENS", "OUT TOKENS", "COST"}};
  for (const auto& lane : lanes) {
    const auto& t = lane.totals;
    rows.push_back({printable(lane.pool + "/" + lane.lane), grouped(t.calls), grouped(t.answered),
                    grouped(t.rejected), grouped(t.refused_429), grouped(t.failed),
                    compact(t.input.count()), compact(t.output.count()), usd(t.settled)});
  }
  return text_table(rows, {1, 2, 3, 4, 5, 6, 7, 8});
}

std::string state_text(const kafka::job_entry& job) {
  std::string text = kafka::name_of(job.state);
  if (job.final && job.final->outcome == kafka::job_outcome::cancelled) text += ", cancelled";
  if (job.submission && job.submission->abandoned && !job.manifest) text = "abandoned";
  return text;
}

int show_all(fleet_access& fleet, const kafka::job_table& jobs, bool as_json) {
  const auto progress = read_progress(fleet);
  if (!progress) return report(progress.error());
  std::string text;
  for (const auto* job : jobs.all())
    if (as_json) text += job_json(*job, progress->of(job->name)) + "\n";
  if (!as_json) text = jobs.all().empty() ? "No jobs yet.\n" : jobs_table(jobs, *progress);
  print(text);
  return 0;
}

/// Redraws in place on a terminal, else prints again what changed.
class status_screen {
 public:
  explicit status_screen(bool redraw) : redraw_(redraw) {}
  void show(const std::string& text) {
    if (text == last_) return;
    std::string out;
    if (redraw_ && lines_ > 0) out = "\x1b[" + std::to_string(lines_) + "A\r\x1b[J";
    lines_ = std::count(text.begin(), text.end(), '\n');
    last_ = text;
    print(out + text);
  }

 private:
  bool redraw_;
  std::string last_;
  std::ptrdiff_t lines_ = 0;
};

void wait_a_period(const stop_flag& stop) {
  for (auto waited = watch_step; waited < watch_period && stop.load() == 0; waited += watch_step)
    ::usleep(static_cast<useconds_t>(std::chrono::microseconds(watch_step).count()));
}

}  // namespace

std::string jobs_table(const kafka::job_table& jobs, const kafka::progress_table& progress) {
  std::vector<std::vector<std::string>> rows{{"JOB", "STATE", "DONE", "PROMPTS", "ANSWERED",
                                              "ERRORS", "IN FLIGHT", "COST", "TENANT", "CREATED"}};
  for (const auto* job : jobs.all()) {
    const auto f = figures_of(*job, progress.of(job->name));
    const auto created = created_of(*job);
    rows.push_back({job->name, state_text(*job), percent(done_share(f)), grouped(f.prompts),
                    grouped(f.answered), grouped(f.errors), grouped(f.in_flight), usd(f.settled),
                    printable(job->policy.tenant), created ? iso_time(*created) : ""});
  }
  return text_table(rows, {2, 3, 4, 5, 6, 7});
}

std::string job_text(const kafka::job_entry& job, const kafka::job_parts& parts) {
  const auto f = figures_of(job, parts);
  std::string text = "Job " + job.name + ": " + state_text(job) + "\n";
  if (!job.reason.empty()) text += "  " + printable(job.reason) + "\n";
  constexpr std::size_t bar_columns = 40;
  text += bar(done_share(f), bar_columns, style_of_terminal(STDOUT_FILENO).unicode) + " " +
          percent(done_share(f)) + "  " + grouped(f.answered + f.errors) + " / " +
          grouped(f.prompts) + (job.takes_records() ? "+" : "") + "\n";
  text += "Answered " + grouped(f.answered) + ", error rows " + grouped(f.errors) + " (" +
          grouped(f.invalid) + " bad lines), in flight " + grouped(f.in_flight) +
          ", maybe billed " + grouped(f.maybe_billed) + "\n";
  text += "Cost " + usd(f.settled);
  if (job.policy.budget) text += " of " + usd(*job.policy.budget);
  text += "\n";
  if (job.policy.deadline) text += "Wanted by " + iso_time(*job.policy.deadline) + "\n";
  if (const auto created = created_of(job)) text += "Created " + iso_time(*created) + "\n";
  if (job.final) {
    text += "Finished " + iso_time(job.final->finished) + ", after " +
            brief(job.final->finished - job.final->created) + "\n";
  } else if (f.updated > time_point{}) {
    text += "As of " + iso_time(f.updated) + "\n";
  } else if (job.manifest) {
    text += "No member has worked on it yet.\n";
  }
  for (const auto& hindrance : f.hindrances) text += "Held up: " + printable(hindrance) + "\n";
  if (!f.lanes.empty()) text += "\n" + lanes_table(f.lanes);
  return text;
}

std::string job_json(const kafka::job_entry& job, const kafka::job_parts& parts) {
  const auto f = figures_of(job, parts);
  json::object out{{"job", job.name},
                   {"state", state_text(job)},
                   {"prompts", f.prompts},
                   {"answered", f.answered},
                   {"errors", f.errors},
                   {"invalid", f.invalid},
                   {"in_flight", f.in_flight},
                   {"in_doubt", f.in_doubt},
                   {"maybe_billed", f.maybe_billed},
                   {"cost_usd", to_usd(f.settled)},
                   {"reserved_usd", to_usd(f.reserved)},
                   {"tenant", job.policy.tenant},
                   {"weight", job.policy.weight},
                   {"priority", job.policy.priority},
                   {"lanes", lanes_json(f.lanes)}};
  if (!job.reason.empty()) out["reason"] = job.reason;
  if (job.policy.budget) out["budget_usd"] = to_usd(*job.policy.budget);
  if (job.policy.deadline) out["deadline"] = iso_time(*job.policy.deadline);
  if (const auto created = created_of(job)) out["created_at"] = iso_time(*created);
  if (f.updated > time_point{}) out["updated_at"] = iso_time(f.updated);
  if (job.final) {
    out["outcome"] = kafka::name_of(job.final->outcome);
    out["finished_at"] = iso_time(job.final->finished);
    out["elapsed_s"] = seconds_of(job.final->finished - job.final->created);
  }
  json::array hindrances;
  for (const auto& hindrance : f.hindrances) hindrances.emplace_back(hindrance);
  out["held_up"] = std::move(hindrances);
  return json_line(out);
}

void tell_opened(const std::string& job, bool fresh, bool as_json) {
  if (as_json) {
    print(json_line(json::object{{"job", job}, {"command", "open"}, {"written", fresh}}) + "\n");
    return;
  }
  print("Job " + job + (fresh ? " is open" : " is open already") +
        ": it takes records on the topic `shards` with the header job=" + job + ".\n");
}

int run_fleet_status(const status_options& options, const stop_flag& stop) {
  log_to_standard_error();
  auto fleet = open_fleet(options.config);
  if (!fleet) return report(fleet.error());
  auto jobs = read_jobs(*fleet);
  if (!jobs) return report(jobs.error());
  if (options.job.empty()) return show_all(*fleet, *jobs, options.json);
  status_screen screen(!options.json && ::isatty(STDOUT_FILENO) == 1);
  for (;;) {
    const auto job = find_job(*jobs, options.job);
    if (!job) return report(job.error());
    const auto progress = read_progress(*fleet);
    if (!progress) return report(progress.error());
    const auto& parts = progress->of(options.job);
    screen.show(options.json ? job_json(**job, parts) + "\n" : job_text(**job, parts));
    if (!options.watch || (*job)->final || stop.load() > 0) return exit_code_of(**job);
    wait_a_period(stop);
    if (auto ok = read_on(*fleet, *jobs); !ok) return report(ok.error());
  }
}

}  // namespace spillway
