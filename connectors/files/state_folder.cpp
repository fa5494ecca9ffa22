#include "connectors/files/state_folder.hpp"

#include <algorithm>
#include <filesystem>

namespace spillway {
namespace {

namespace fs = std::filesystem;

failure usage(std::string message) { return {failure_kind::usage, std::move(message)}; }

std::string store_path(const file_log_options& o) { return o.state + "/store"; }

/// A folder is ours if it holds a store, or is empty.
enum class folder { absent, empty, ours, foreign };

result<folder> look_at(const std::string& path) {
  std::error_code code;
  const auto status = fs::status(path, code);
  if (status.type() == fs::file_type::not_found) return folder::absent;
  if (status.type() != fs::file_type::directory)
    return failure{failure_kind::storage, "state " + path + " is not a folder"};
  if (fs::exists(path + "/store/CURRENT", code)) return folder::ours;
  bool empty = true;
  for (auto it = fs::directory_iterator(path, code); !code && it != fs::directory_iterator();
       it.increment(code)) {
    const auto name = it->path().filename().string();
    // What a creation that was cut short leaves behind.
    if (name != "store" && name.rfind("status.json", 0) != 0) empty = false;
  }
  if (code) return failure{failure_kind::storage, "state " + path + ": " + code.message()};
  return empty ? folder::empty : folder::foreign;
}

result<void> remove_all_of(const file_log_options& o) {
  for (const auto& path : {o.state, o.output, o.errors}) {
    std::error_code code;
    fs::remove_all(path, code);
    if (code) return failure{failure_kind::storage, "can't remove " + path + ": " + code.message()};
  }
  return {};
}

state::header header_for(const file_log_options& o, const input_reader& input) {
  state::header h;
  h.job = o.job;
  h.in_doubt = o.in_doubt;
  for (const auto& f : input.files()) h.inputs.emplace_back(f.name, f.size);
  h.residency = o.residency;
  return h;
}

result<void> open_rows(const file_log_options& o, const input_reader& input, bool create_results,
                       bool create_errors, opened_state& s) {
  auto results = row_file::open(o.output, create_results);
  if (!results) return results.error();
  if (input.has_inode_of(results->fd())) return usage("the output " + o.output + " is an input");
  auto errors = row_file::open(o.errors, create_errors);
  if (!errors) return errors.error();
  if (input.has_inode_of(errors->fd()))
    return usage("the errors file " + o.errors + " is an input");
  s.results = *std::move(results);
  s.errors = *std::move(errors);
  return {};
}

result<opened_state> create_state(const file_log_options& o, const input_reader& input) {
  std::error_code code;
  std::vector<std::string> made;  // their folders have to be synced as well
  for (auto path = fs::path(o.state); !path.empty() && !fs::exists(path, code);
       path = path.parent_path())
    made.push_back(path.string());
  fs::create_directories(o.state, code);
  if (code)
    return failure{failure_kind::storage, "can't create state " + o.state + ": " + code.message()};
  fs::remove_all(store_path(o), code);  // of a creation that was cut short
  auto store = open_rocksdb(store_path(o), true);
  if (!store) return store.error();
  opened_state s;
  s.store = *std::move(store);
  const auto written = s.store->write({{state::header_key, encode(header_for(o, input))},
                                       {state::progress_key, encode(s.progress)}});
  if (!written) return written.error();
  if (auto r = sync_folder_of(store_path(o)); !r) return r.error();
  for (const auto& path : made)
    if (auto r = sync_folder_of(path); !r) return r.error();
  if (auto r = open_rows(o, input, true, true, s); !r) return r.error();
  return s;
}

/// True for a store whose creation was cut short before anything was written to it.
result<bool> is_unborn(index_store& store, const file_log_options& o) {
  bool empty = true;
  const auto scanned = store.scan("", [&](std::string_view, std::string_view) {
    empty = false;
    return false;
  });
  if (!scanned) return scanned.error();
  std::error_code code;
  if (empty && (fs::exists(o.output, code) || fs::exists(o.errors, code)))
    return failure{failure_kind::storage,
                   "state " + o.state + " has lost its records, but " + o.output + " or " +
                       o.errors +
                       " is there; restore the state from a copy, or start anew with --overwrite"};
  return empty;
}

/// True if everything in `narrow` is allowed by `wide`.
bool narrows(const std::optional<std::vector<std::string>>& narrow,
             const std::optional<std::vector<std::string>>& wide) {
  if (!wide) return true;
  if (!narrow) return false;
  return std::all_of(narrow->begin(), narrow->end(), [&](const std::string& place) {
    return std::find(wide->begin(), wide->end(), place) != wide->end();
  });
}

result<void> check_header(const state::header& h, const file_log_options& o,
                          const input_reader& input) {
  const std::string anew = "; use another output, or start anew with --overwrite";
  const std::string belongs = "the state " + o.state + " belongs to ";
  if (h.job != o.job) return usage(belongs + "job '" + h.job + "', not '" + o.job + "'" + anew);
  if (h.in_doubt != o.in_doubt)
    return usage(belongs + "a job whose in-doubt policy is '" + name_of(h.in_doubt) +
                 "': it can't change" + anew);
  if (!narrows(o.residency, h.residency))
    return usage(belongs + "a job with a narrower residency: it may only be narrowed further" +
                 anew);
  const auto& files = input.files();
  if (h.inputs.size() != files.size())
    return usage(belongs + "a job with " + std::to_string(h.inputs.size()) + " input files, not " +
                 std::to_string(files.size()) + anew);
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (h.inputs[i].first != files[i].name)
      return usage(belongs + "a job whose input is " + h.inputs[i].first + ", not " +
                   files[i].name + anew);
    if (h.inputs[i].second != files[i].size)
      return usage("the input " + files[i].name + " has changed since the state was created (" +
                   std::to_string(h.inputs[i].second) + " bytes then, " +
                   std::to_string(files[i].size) + " now); restore it" + anew);
  }
  return {};
}

/// Nothing when the store was never written to.
result<std::optional<opened_state>> reopen_state(const file_log_options& o,
                                                 const input_reader& input) {
  auto store = open_rocksdb(store_path(o), false);
  if (!store) return store.error();
  const auto unborn = is_unborn(**store, o);
  if (!unborn) return unborn.error();
  if (*unborn) return std::optional<opened_state>{};
  opened_state s;
  s.store = *std::move(store);
  const auto header_bytes = s.store->get(state::header_key);
  if (!header_bytes) return header_bytes.error();
  if (!*header_bytes)
    return failure{failure_kind::storage, "state " + o.state +
                                              " has no header: it is not a state "
                                              "of spillway, or it is damaged"};
  auto header = state::decode_header(**header_bytes);
  if (!header) return header.error().within("state " + o.state);
  if (header->version > state::format_version)
    return failure{failure_kind::storage,
                   "state " + o.state + " was written by a newer version of spillway (format " +
                       std::to_string(header->version) + "); use that version"};
  if (auto r = check_header(*header, o, input); !r) return r.error();
  const auto progress_bytes = s.store->get(state::progress_key);
  if (!progress_bytes) return progress_bytes.error();
  auto progress = state::decode_progress(progress_bytes->value_or(std::string("\xff")));
  if (!progress) return progress.error().within("state " + o.state);
  s.progress = *std::move(progress);

  const auto missing = [&](const std::string& path, const row_file_mark& mark) -> result<void> {
    std::error_code code;
    if (mark.length == 0 || fs::exists(path, code)) return {};
    return failure{failure_kind::storage, path + " is missing, but the state " + o.state +
                                              " says that it holds rows; "
                                              "restore it, or start anew with --overwrite"};
  };
  if (auto r = missing(o.output, s.progress.results); !r) return r.error();
  if (auto r = missing(o.errors, s.progress.errors); !r) return r.error();
  if (auto r =
          open_rows(o, input, s.progress.results.length == 0, s.progress.errors.length == 0, s);
      !r)
    return r.error();
  if (header->residency != o.residency) {
    header->residency = o.residency;
    if (auto r = s.store->write({{state::header_key, encode(*header)}}); !r) return r.error();
  }
  return std::optional<opened_state>(std::move(s));
}

}  // namespace

result<opened_state> open_state(const file_log_options& o, const input_reader& input) {
  auto found = look_at(o.state);
  if (!found) return found.error();
  if (*found == folder::foreign)
    return failure{failure_kind::storage, "the folder " + o.state +
                                              " exists and is not a state of "
                                              "spillway; choose another with --state"};
  if (o.overwrite) {
    // Nobody may be working on it: only the one who can open the state may remove it.
    if (*found == folder::ours) {
      auto store = open_rocksdb(store_path(o), false);
      if (!store && store.error().kind == failure_kind::usage) return store.error();
    }
    for (const auto& path : {o.output, o.errors}) {
      std::error_code code;
      if (!fs::exists(path, code)) continue;
      auto rows = row_file::open(path, false);
      if (!rows) return rows.error();
      if (input.has_inode_of(rows->fd()))
        return usage(path + " is an input; it is not overwritten");
    }
    if (auto r = remove_all_of(o); !r) return r.error();
    return create_state(o, input);
  }
  if (*found == folder::ours) {
    auto state = reopen_state(o, input);
    if (!state) return state.error();
    if (*state) return **std::move(state);
  }
  for (const auto& path : {o.output, o.errors}) {
    std::error_code code;
    if (fs::exists(path, code))
      return usage(path + " exists, but there is no state " + o.state +
                   " to go on from; choose "
                   "another output, or replace it with --overwrite");
  }
  return create_state(o, input);
}

}  // namespace spillway
