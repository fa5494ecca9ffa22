// spillway status: what a run's status.json says, and whether its process is still there.
#include "connectors/rows.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/format.hpp"
#include "orchestrator/cli/paths.hpp"
#include "orchestrator/cli/progress.hpp"
#include "orchestrator/cli/table.hpp"
#include "orchestrator/engine/progress_json.hpp"

#include <boost/json/value.hpp>

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace spillway {

namespace {

constexpr duration stale_after = std::chrono::seconds(30);

bool is_alive(std::int64_t pid) {
  return pid > 0 && (kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM);
}

bool is_over(run_state state) {
  return state == run_state::finished || state == run_state::stopped || state == run_state::failed;
}

result<status_file> read_status(const std::string& state) {
  const std::string path = state + "/status.json";
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return failure{failure_kind::usage,
                   path +
                       ": no status of a run there; give the run's output with -o, or its state "
                       "folder with --state"};
  }
  std::ostringstream text;
  text << file.rdbuf();
  auto status = parse_status(text.str());
  if (!status) return status.error().within(path);
  return status;
}

std::string situation(const status_file& status, bool alive, duration age) {
  const auto& p = status.progress;
  const auto pid = std::to_string(status.pid);
  if (is_over(p.state)) {
    std::string text = name_of(p.state);
    if (!p.stop_reason.empty()) text += ": " + printable(p.stop_reason);
    return text;
  }
  if (!alive) return "interrupted: process " + pid + " is gone";
  std::string text = std::string(name_of(p.state)) + " (process " + pid + ")";
  if (age > stale_after)
    text += "; no news for " + brief(age) + ", the process may be stuck or stopped";
  return text;
}

std::string rendered(const status_file& status, bool alive, duration age) {
  const auto& p = status.progress;
  auto style = style_of_terminal(fileno(stdout));
  style.rows = p.lanes.size() + 10;  // nothing is redrawn: show every lane
  std::string text = "State: " + situation(status, alive, age) + "\n";
  text += "As of: " + iso_time(status.updated_at) + " (" + brief(age) + " ago)\n\n";
  if (alive && !is_over(p.state)) {
    for (const auto& line : render_block(p, style)) text += line + "\n";
    text += "\n";
  }
  text += render_table(p) + "\n" + render_summary(p);
  if (!alive && p.state != run_state::finished)
    text += "To go on, repeat the command that started the run; it resumes where it stopped.\n";
  return text;
}

}  // namespace

int run_status(const status_options& options) {
  const auto paths = derive_paths(options.output, "", options.state);
  const auto status = read_status(paths.state);
  if (!status) return report(status.error());
  // The process that wrote "finished" may live a moment longer; its run is over all the same.
  const bool alive = !is_over(status->progress.state) && is_alive(status->pid);
  const auto now = std::chrono::time_point_cast<duration>(std::chrono::system_clock::now());
  const auto age = std::max(now - status->updated_at, duration::zero());
  std::string text;
  if (options.json) {
    const boost::json::object line{{"pid", status->pid},
                                   {"alive", alive},
                                   {"updated_at", iso_time(status->updated_at)},
                                   {"progress", to_json(status->progress)}};
    text = json_line(line) + "\n";
  } else {
    text = rendered(*status, alive, age);
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace spillway
