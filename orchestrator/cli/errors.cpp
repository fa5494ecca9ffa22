// spillway errors: a job's error rows, counted by code.
#include "orchestrator/cli/fleet.hpp"
#include "orchestrator/cli/fleet_commands.hpp"
#include "orchestrator/cli/fleet_view.hpp"
#include "orchestrator/cli/format.hpp"
#include "orchestrator/cli/result_fetch.hpp"
#include "orchestrator/engine/progress_json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <unistd.h>

#include <filesystem>
#include <map>

namespace spillway {

namespace {

namespace json = boost::json;

/// A folder that is gone with the command.
class scratch_folder {
 public:
  scratch_folder() {
    path_ = (std::filesystem::temp_directory_path() / "spillway-XXXXXX").string();
    if (!::mkdtemp(path_.data())) path_.clear();
  }
  ~scratch_folder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string text_of(const json::value& row, std::initializer_list<const char*> keys) {
  const json::value* at = &row;
  for (const char* key : keys) {
    const auto* object = at->if_object();
    at = object ? object->if_contains(key) : nullptr;
    if (!at) return {};
  }
  if (at->is_string()) return std::string(at->get_string());
  if (at->is_null()) return {};
  return json::serialize(*at);
}

struct error_summary {
  std::map<std::string, std::int64_t> codes;
  std::vector<std::vector<std::string>> shown{{"CUSTOM_ID", "FILE", "LINE", "CODE", "MESSAGE"}};
};

/// Prints rows whole for programs; keeps what people are shown.
result<error_summary> summarise(const std::string& path, const errors_options& options) {
  constexpr std::size_t message_columns = 100;
  error_summary out;
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (!file) return failure{failure_kind::storage, path + ": cannot be read"};
  char* line = nullptr;
  std::size_t size = 0, count = 0;
  for (ssize_t n = 0; (n = ::getline(&line, &size, file)) > 0; ++count) {
    const std::string_view row(line, static_cast<std::size_t>(n));
    const bool wanted = !options.limit || *options.limit == 0 || count < *options.limit;
    if (options.json && wanted) std::fwrite(row.data(), 1, row.size(), stdout);
    json::error_code bad;
    const auto value = json::parse(row, bad);
    if (bad) continue;
    const auto code = text_of(value, {"error", "code"});
    ++out.codes[code];
    constexpr std::size_t shown_max = 20;
    const bool shown = options.limit ? wanted : count < shown_max;
    if (options.json || !shown) continue;
    out.shown.push_back(
        {printable(text_of(value, {"custom_id"})), printable(text_of(value, {"spillway", "file"})),
         text_of(value, {"spillway", "line"}), printable(code),
         clipped(printable(text_of(value, {"error", "message"})), message_columns)});
  }
  std::free(line);
  std::fclose(file);
  return out;
}

void tell(const error_summary& summary, std::uint64_t errors) {
  if (errors == 0) {
    print("No error rows.\n");
    return;
  }
  std::vector<std::vector<std::string>> rows{{"CODE", "ROWS"}};
  for (const auto& [code, count] : summary.codes) rows.push_back({printable(code), grouped(count)});
  std::string text = text_table(rows, {1}) + "\n" + text_table(summary.shown, {2});
  const auto shown = summary.shown.size() - 1;
  if (shown < errors)
    text +=
        "and " + grouped(static_cast<std::int64_t>(errors - shown)) + " more; --limit 0 for all\n";
  print(text);
}

}  // namespace

int run_errors(const errors_options& options, const stop_flag& stop) {
  auto fleet = open_fleet(options.config);
  if (!fleet) return report(fleet.error());
  const auto jobs = read_jobs(*fleet);
  if (!jobs) return report(jobs.error());
  if (const auto job = find_job(*jobs, options.job); !job) return report(job.error());
  const scratch_folder folder;
  if (folder.path().empty())
    return report({failure_kind::storage, "no folder for temporary files; set TMPDIR"});
  const auto path = folder.path() + "/errors.jsonl";
  auto sink = make_row_files("", path);
  if (!sink) return report(sink.error());
  result_fetcher fetcher(*fleet, options.job);
  auto fetched = fetcher.fetch(
      stop, [&](fetched_row row) { return (*sink)->add(std::move(row)); }, [](std::uint64_t) {});
  if (!fetched) return report(fetched.error());
  const auto counts = (*sink)->finish();
  if (!counts) return report(counts.error());
  const auto summary = summarise(path, options);
  if (!summary) return report(summary.error());
  std::fflush(stdout);
  if (!options.json) tell(*summary, counts->errors);
  return counts->errors == 0 ? 0 : 1;
}

}  // namespace spillway
