#include "connectors/kafka/job_table.hpp"

#include "connectors/kafka/fleet_codec_jobs.hpp"

#include <algorithm>

namespace spillway::kafka {

/// The newest record of each key, from which everything else follows. One that can't be read hides
/// the ones before it: a broker may have dropped those, and all readers must agree.
struct job_table::sources {
  struct command_source {
    std::int64_t offset = 0;
    command_record what;
  };
  std::optional<submission_record> submission;
  std::optional<manifest_record> manifest;
  std::optional<record_fault> manifest_fault;
  std::optional<final_record> final;
  std::int64_t final_offset = -1;
  std::map<std::string, command_source, std::less<>> commands;
  job_entry entry;

  [[nodiscard]] bool known() const { return submission || manifest || manifest_fault || final; }
  [[nodiscard]] bool empty() const { return !known() && commands.empty(); }
};

namespace {

constexpr const char* remedy = "; cancel the job and submit it again under another name";

std::optional<std::string> mismatch(const manifest_record& m, std::uint32_t partitions) {
  if (m.open) return std::nullopt;
  std::uint64_t shards = 0, prompts = 0;
  std::set<std::uint32_t> seen;
  for (const auto& p : m.partitions) {
    shards += p.shards;
    prompts += p.prompts;
    if (!seen.insert(p.partition).second || (partitions > 0 && p.partition >= partitions))
      return "its manifest names partition " + std::to_string(p.partition) +
             ", which the fleet does not have or which stands there twice" + remedy;
  }
  if (shards == m.shards && prompts == m.prompts) return std::nullopt;
  return "its manifest counts " + std::to_string(m.prompts) + " prompts in " +
         std::to_string(m.shards) + " shards, but its partitions add up to " +
         std::to_string(prompts) + " in " + std::to_string(shards) + remedy;
}

job_phase state_of(const job_entry& job) {
  if (job.final) return job_phase::finished;
  // Cancelled, it ends with what is there.
  const bool ends = job.cancelled && job.manifest;
  if (!job.reason.empty() && !ends) return job_phase::damaged;
  if (!job.manifest) return job_phase::submitting;
  if (job.cancelled) return job_phase::cancelled;
  if (job.paused) return job_phase::paused;
  if (!job.manifest->open) return job_phase::active;
  return job.end_offsets ? job_phase::closed : job_phase::open;
}

void apply_command(job_entry& job, const placed_command& command) {
  switch (command.what.kind) {
    case command_kind::pause: job.paused = true; break;
    case command_kind::resume: job.paused = false; break;
    case command_kind::cancel:
      job.cancelled = true;
      job.last_change_of_work = command.offset;
      break;
    case command_kind::retry: job.last_change_of_work = command.offset; break;
    case command_kind::close:
      if (!job.end_offsets) job.end_offsets = command.what.end_offsets;
      break;
    case command_kind::policy:
      if (command.what.policy) job.policy = *command.what.policy;
      break;
  }
}

/// Keeps a decoded record if it names the job of its key.
template <class T>
std::optional<record_fault> keep(decoded<T> in, const jobs_key& key, std::optional<T>& out) {
  if (auto* fault = std::get_if<record_fault>(&in)) return std::move(*fault);
  auto& value = std::get<T>(in);
  if (value.job != key.job)
    return record_fault{"unparsable", "the record's key and value name different jobs"};
  out = std::move(value);
  return std::nullopt;
}

}  // namespace

const char* name_of(job_phase state) {
  switch (state) {
    case job_phase::submitting: return "submitting";
    case job_phase::open: return "open";
    case job_phase::closed: return "closed";
    case job_phase::active: return "active";
    case job_phase::paused: return "paused";
    case job_phase::cancelled: return "cancelled";
    case job_phase::finished: return "finished";
    case job_phase::damaged: return "damaged";
  }
  return "unknown";
}

job_table::job_table(std::uint32_t partitions) : partitions_(partitions) {}
job_table::~job_table() = default;
job_table::job_table(job_table&&) noexcept = default;
job_table& job_table::operator=(job_table&&) noexcept = default;

std::optional<record_fault> job_table::store(sources& job, const stored_record& in) {
  const auto key = *parse_jobs_key(in.what.key);
  const auto& value = in.what.value;
  const bool gone = in.what.tombstone;
  switch (key.kind) {
    case jobs_key_kind::submission:
      job.submission.reset();
      if (!gone) return keep(decode_submission(value), key, job.submission);
      break;
    case jobs_key_kind::manifest: {
      job.manifest.reset();
      job.manifest_fault.reset();
      if (gone) break;
      // The job is known all the same: its shards must wait, not go to the dead letters.
      job.manifest_fault = keep(decode_manifest(value), key, job.manifest);
      return job.manifest_fault;
    }
    case jobs_key_kind::final: {
      job.final.reset();
      job.final_offset = in.offset;
      if (!gone) return keep(decode_final(value), key, job.final);
      break;
    }
    case jobs_key_kind::command: {
      job.commands.erase(key.command);
      if (gone) break;
      std::optional<command_record> command;
      if (auto fault = keep(decode_command(value), key, command)) return fault;
      if (command->id != key.command)
        return record_fault{"unparsable", "the command's key and value give different ids"};
      job.commands[key.command] = {in.offset, std::move(*command)};
      break;
    }
  }
  return std::nullopt;
}

std::optional<record_fault> job_table::apply(const stored_record& in) {
  if (in.offset < next_offset_) return std::nullopt;
  next_offset_ = in.offset + 1;
  const auto key = parse_jobs_key(in.what.key);
  if (!key) {
    return record_fault{"unknown_key",
                        "the key is none of submission/JOB, job/JOB, command/JOB/ID and final/JOB; "
                        "submit with `spillway submit`, or send lines to the topic `shards`"};
  }
  auto& job = jobs_[key->job];
  auto fault = store(job, in);
  derive(key->job);
  return fault;
}

void job_table::derive(const std::string& name) {
  auto& job = jobs_.find(name)->second;
  const bool was_known = !job.entry.name.empty();
  if (was_known) changed_.insert(job.entry.number);
  if (!job.known()) {
    names_.erase(job.entry.number);
    job.entry = {};
    if (job.empty()) jobs_.erase(name);
    return;
  }
  job_entry entry;
  entry.number = was_known ? job.entry.number : job_number(next_number_++);
  entry.name = name;
  entry.submission = job.submission;
  entry.manifest = job.manifest;
  if (job.manifest_fault) entry.reason = job.manifest_fault->message;
  if (job.manifest) {
    entry.policy = job.manifest->policy;
    entry.reason = mismatch(*job.manifest, partitions_).value_or("");
  }
  for (const auto& [id, command] : job.commands)
    entry.commands.push_back({command.offset, command.what});
  std::sort(entry.commands.begin(), entry.commands.end(),
            [](const auto& a, const auto& b) { return a.offset < b.offset; });
  bool reopened = false;
  for (const auto& command : entry.commands) {
    apply_command(entry, command);
    if (command.what.kind == command_kind::retry && command.offset > job.final_offset)
      reopened = true;
  }
  if (!reopened) entry.final = job.final;
  entry.state = state_of(entry);
  names_[entry.number] = name;
  changed_.insert(entry.number);
  job.entry = std::move(entry);
}

const job_entry* job_table::find(std::string_view name) const {
  const auto at = jobs_.find(name);
  return at == jobs_.end() || at->second.entry.name.empty() ? nullptr : &at->second.entry;
}

const job_entry* job_table::find(job_number number) const {
  const auto at = names_.find(number);
  return at == names_.end() ? nullptr : find(at->second);
}

std::vector<const job_entry*> job_table::all() const {
  std::vector<const job_entry*> out;
  for (const auto& [name, job] : jobs_)
    if (!job.entry.name.empty()) out.push_back(&job.entry);
  return out;
}

std::vector<job_number> job_table::take_changed() {
  std::vector<job_number> out(changed_.begin(), changed_.end());
  changed_.clear();
  return out;
}

}  // namespace spillway::kafka
