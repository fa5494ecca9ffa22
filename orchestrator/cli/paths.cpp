#include "orchestrator/cli/paths.hpp"

#include <filesystem>
#include <map>

namespace spillway {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view rows_suffix = ".jsonl";

failure usage(std::string message) { return {failure_kind::usage, std::move(message)}; }

/// The file behind a name, whatever links and dots lead there; also for files that don't exist yet.
std::string identity(const std::string& path) {
  std::error_code error;
  const auto full = fs::weakly_canonical(fs::absolute(path, error), error);
  return error ? fs::path(path).lexically_normal().string() : full.string();
}

}  // namespace

result<void> check_input(const std::string& input) {
  if (input == "-")
    return usage("standard input is not supported yet; write the prompts to a file first");
  for (const char* suffix : {".gz", ".zst", ".bz2", ".xz", ".zip"}) {
    if (input.ends_with(suffix))
      return usage(input + ": compressed input is not supported yet; decompress it first");
  }
  std::error_code error;
  const auto status = fs::status(input, error);
  if (!fs::exists(status)) return usage(input + ": no such input file");
  if (!fs::is_regular_file(status))
    return usage(input + ": not a regular file; a run reads its input more than once");
  return {};
}

run_paths derive_paths(const std::string& output, const std::string& errors,
                       const std::string& state) {
  std::string stem = output;
  if (stem.ends_with(rows_suffix)) stem.resize(stem.size() - rows_suffix.size());
  run_paths paths;
  paths.output = output;
  paths.errors = errors.empty() ? stem + ".errors.jsonl" : errors;
  paths.state = state.empty() ? stem + ".state" : state;
  paths.stem = fs::path(stem).filename().string();
  return paths;
}

result<void> check_paths(const run_paths& paths, const std::vector<std::string>& inputs,
                         const std::string& config) {
  std::error_code error;
  if (paths.output.empty() || fs::is_directory(paths.output, error))
    return usage(paths.output + ": the output (-o) must name a file, as in -o results.jsonl");
  if (fs::is_directory(paths.errors, error))
    return usage(paths.errors + ": --errors must name a file");
  std::map<std::string, std::string> used;
  const auto claim = [&](const std::string& path, const std::string& role) -> result<void> {
    const auto [at, fresh] = used.emplace(identity(path), role);
    if (fresh) return {};
    return usage(path + " is both " + at->second + " and " + role + "; name different files");
  };
  for (const auto& input : inputs) {
    if (auto ok = check_input(input); !ok) return ok;
    if (auto ok = claim(input, "an input"); !ok) return ok;
  }
  if (auto ok = claim(config, "the configuration (-c)"); !ok) return ok;
  if (auto ok = claim(paths.output, "the output (-o)"); !ok) return ok;
  if (auto ok = claim(paths.errors, "the errors file (--errors)"); !ok) return ok;
  return claim(paths.state, "the state folder (--state)");
}

}  // namespace spillway
