// spillway results: a job's rows from the log into files, each prompt once.
#include "orchestrator/cli/fleet.hpp"
#include "orchestrator/cli/fleet_commands.hpp"
#include "orchestrator/cli/fleet_view.hpp"
#include "orchestrator/cli/format.hpp"
#include "orchestrator/cli/paths.hpp"
#include "orchestrator/cli/result_fetch.hpp"
#include "orchestrator/engine/progress_json.hpp"

#include <unistd.h>

#include <filesystem>

namespace spillway {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds follow_period{250};

struct outcome {
  row_counts rows;
  kafka::job_entry job;
};

/// OUT and ERRORS, if they may be written.
result<run_paths> checked_paths(const results_options& options) {
  const auto paths = derive_paths(options.output, options.errors, "");
  if (auto ok = check_paths(paths, {}, options.config); !ok) return ok.error();
  std::error_code ignored;
  for (const auto& path : {paths.output, paths.errors}) {
    if (options.overwrite || !fs::exists(path, ignored)) continue;
    return failure{failure_kind::usage,
                   path + " exists; --overwrite replaces it, or name another file with -o"};
  }
  return paths;
}

result<std::unique_ptr<row_sink>> make_sink(const results_options& options, const run_paths& paths,
                                            const kafka::job_entry& job) {
  if (!options.ordered) return make_row_files(paths.output, paths.errors);
  auto folder = fs::path(paths.output).parent_path().string();
  if (folder.empty()) folder = ".";
  return make_sorted_row_files(paths.output, paths.errors, folder,
                               job.manifest ? job.manifest->files : std::vector<std::string>{});
}

void show(status_line& view, const kafka::job_entry& job, std::uint64_t rows, std::uint64_t seen) {
  if (!view.due()) return;
  std::string text = "Job " + job.name + ": " + grouped(static_cast<std::int64_t>(rows)) + " rows";
  if (job.manifest && !job.manifest->open)
    text += " of " + grouped(static_cast<std::int64_t>(job.manifest->prompts));
  view.show(text + ", " + grouped(static_cast<std::int64_t>(seen)) + " records read");
}

result<outcome> collect(const results_options& options, fleet_access& fleet, kafka::job_table& jobs,
                        row_sink& sink, const stop_flag& stop) {
  status_line view(options.quiet || options.json);
  result_fetcher fetcher(fleet, options.job);
  std::uint64_t rows = 0;
  kafka::job_entry job;
  for (;;) {
    // The end that is read to is asked for after this look: a final record covers all rows.
    const auto found = find_job(jobs, options.job);
    if (!found) return found.error();
    job = **found;
    auto fetched = fetcher.fetch(
        stop,
        [&](fetched_row row) {
          ++rows;
          return sink.add(std::move(row));
        },
        [&](std::uint64_t seen) { show(view, job, rows, seen); });
    if (!fetched) return fetched.error();
    if (auto ok = sink.flush(); !ok) return ok.error();
    if (!options.follow || job.final) break;
    if (stop.load() > 0) {
      return failure{failure_kind::stopped,
                     "stopped; the rows so far were written. --overwrite begins anew"};
    }
    ::usleep(static_cast<useconds_t>(std::chrono::microseconds(follow_period).count()));
    if (auto ok = read_on(fleet, jobs); !ok) return ok.error();
  }
  auto counts = sink.finish();
  if (!counts) return counts.error();
  view.finish();
  if (fetcher.foreign() > 0) {
    std::fprintf(stderr, "spillway: warning: skipped %llu records that are not from spillway\n",
                 static_cast<unsigned long long>(fetcher.foreign()));
  }
  return outcome{*counts, std::move(job)};
}

/// Of a finished job, rows that are not there any more. One that was open loses its old ones early.
std::uint64_t missing_rows(const outcome& done) {
  if (!done.job.final) return 0;
  const auto there = done.rows.answered + done.rows.errors;
  return done.job.final->prompts > there ? done.job.final->prompts - there : 0;
}

bool was_open(const outcome& done) { return done.job.manifest && done.job.manifest->open; }

int exit_code_of(const outcome& done) {
  if (missing_rows(done) > 0 && !was_open(done)) return exit_code(failure_kind::storage);
  if (!done.job.final) return exit_code(failure_kind::stopped);
  return done.rows.errors == 0 ? spillway::exit_code_of(done.job) : 1;
}

void tell(const results_options& options, const run_paths& paths, const outcome& done) {
  if (options.json) {
    print(json_line(boost::json::object{{"event", "summary"},
                                        {"exit_code", exit_code_of(done)},
                                        {"job", options.job},
                                        {"state", kafka::name_of(done.job.state)},
                                        {"answered", done.rows.answered},
                                        {"errors", done.rows.errors},
                                        {"missing", missing_rows(done)},
                                        {"output_file", paths.output},
                                        {"errors_file", paths.errors}}) +
          "\n");
  } else if (!options.quiet) {
    print("Answered " + grouped(static_cast<std::int64_t>(done.rows.answered)) + ", error rows " +
          grouped(static_cast<std::int64_t>(done.rows.errors)) + ".\nResults: " + paths.output +
          "\n" + (done.rows.errors > 0 ? "Errors:  " + paths.errors + "\n" : ""));
    if (!done.job.final) print("The job is not finished: these are the rows so far.\n");
  }
  if (const auto missing = missing_rows(done); missing > 0) {
    std::fprintf(stderr,
                 "spillway: %llu rows of job %s are not on the log any more: results are kept for "
                 "the job's `keep` after %s\n",
                 static_cast<unsigned long long>(missing), options.job.c_str(),
                 was_open(done) ? "they were written, while it is open" : "its end");
  }
}

}  // namespace

int run_results(const results_options& options, const stop_flag& stop) {
  const auto paths = checked_paths(options);
  if (!paths) return report(paths.error());
  auto fleet = open_fleet(options.config);
  if (!fleet) return report(fleet.error());
  auto jobs = read_jobs(*fleet);
  if (!jobs) return report(jobs.error());
  const auto job = find_job(*jobs, options.job);
  if (!job) return report(job.error());
  auto sink = make_sink(options, *paths, **job);
  if (!sink) return report(sink.error());
  const auto done = collect(options, *fleet, *jobs, **sink, stop);
  if (!done) return report(done.error());
  if (done->rows.errors == 0) ::unlink(paths->errors.c_str());
  tell(options, *paths, *done);
  return exit_code_of(*done);
}

}  // namespace spillway
