#include "connectors/kafka/job_progress.hpp"

#include "connectors/kafka/fleet_codec_jobs.hpp"

#include <algorithm>

namespace spillway::kafka {

namespace {

void add_lane(std::vector<named_totals>& lanes, const named_totals& other) {
  for (auto& lane : lanes) {
    if (lane.pool != other.pool || lane.lane != other.lane) continue;
    lane.totals.add(other.totals);
    return;
  }
  lanes.push_back(other);
}

bool has_every_row(const progress_record& part) {
  return part.in_flight == 0 && part.answered + part.errors == part.prompts;
}

/// What was asked of the job last is part of what this partition reports.
bool heeds_commands(const job_entry& job, const progress_record& part) {
  return part.jobs_to > job.last_change_of_work;
}

bool is_complete_open(const job_entry& job, const job_parts& parts, std::uint32_t partitions) {
  if (!job.end_offsets) return false;
  for (std::uint32_t p = 0; p < partitions; ++p) {
    const auto end = p < job.end_offsets->size() ? (*job.end_offsets)[p] : 0;
    const auto at = parts.find(p);
    if (at == parts.end()) {
      if (end > 0) return false;
      continue;
    }
    if (at->second.read_to < end || !has_every_row(at->second) || !heeds_commands(job, at->second))
      return false;
  }
  return true;
}

bool is_complete_submission(const job_entry& job, const job_parts& parts,
                            std::uint32_t partitions) {
  for (const auto& count : job.manifest->partitions) {
    if (count.prompts == 0 || count.partition >= partitions) continue;
    const auto at = parts.find(count.partition);
    if (at == parts.end()) return false;
    const auto& part = at->second;
    // Of a cancelled job what is there counts, whatever its manifest says.
    const bool read_whole = job.cancelled
                                ? part.read_to >= count.end_offset
                                : part.prompts == static_cast<std::int64_t>(count.prompts);
    if (!read_whole || !has_every_row(part) || !heeds_commands(job, part)) return false;
  }
  return true;
}

}  // namespace

std::optional<record_fault> progress_table::apply(const stored_record& in) {
  const auto slash = in.what.key.rfind('/');
  if (slash == std::string::npos)
    return record_fault{"unknown_key", "the key is not JOB/PARTITION"};
  const auto job = in.what.key.substr(0, slash);
  if (in.what.tombstone) {
    const auto at = jobs_.find(job);
    if (at == jobs_.end()) return std::nullopt;
    std::erase_if(at->second, [&](const auto& part) {
      return std::to_string(part.first) == in.what.key.substr(slash + 1);
    });
    if (at->second.empty()) jobs_.erase(at);
    return std::nullopt;
  }
  auto progress = decode_progress(in.what.value);
  if (auto* fault = std::get_if<record_fault>(&progress)) return std::move(*fault);
  auto& value = std::get<progress_record>(progress);
  if (key_of(value) != in.what.key)
    return record_fault{"unparsable", "the progress record's key and value differ"};
  const auto partition = value.partition;
  jobs_[job].insert_or_assign(partition, std::move(value));
  return std::nullopt;
}

const job_parts& progress_table::of(std::string_view job) const {
  static const job_parts none;
  const auto at = jobs_.find(job);
  return at == jobs_.end() ? none : at->second;
}

job_sums sum_of(const job_parts& parts) {
  job_sums out;
  std::map<std::pair<std::string, std::string>, std::int64_t> hindrances;
  for (const auto& [partition, part] : parts) {
    out.prompts += part.prompts;
    out.answered += part.answered;
    out.errors += part.errors;
    out.invalid += part.invalid;
    out.in_flight += part.in_flight;
    out.in_doubt += part.in_doubt;
    out.maybe_billed += part.maybe_billed;
    out.settled += part.settled;
    out.reserved += part.reserved;
    out.updated = std::max(out.updated, part.updated);
    for (const auto& lane : part.lanes) add_lane(out.lanes, lane);
    if (!part.reason.empty()) ++hindrances[{part.condition, part.reason}];
  }
  for (const auto& [what, count] : hindrances) {
    out.hindrances.push_back(what.first + ": " + what.second + " (" + std::to_string(count) +
                             (count == 1 ? " partition)" : " partitions)"));
  }
  return out;
}

job_sums sum_of(const job_entry& job, const job_parts& parts) {
  auto out = sum_of(parts);
  if (job.manifest && !job.manifest->open)
    out.prompts = std::max(out.prompts, static_cast<std::int64_t>(job.manifest->prompts));
  if (!job.manifest && job.submission)
    out.prompts = std::max(out.prompts, static_cast<std::int64_t>(job.submission->prompts));
  return out;
}

bool is_complete(const job_entry& job, const job_parts& parts, std::uint32_t partitions) {
  if (!job.manifest || job.state == job_phase::damaged) return false;
  return job.manifest->open ? is_complete_open(job, parts, partitions)
                            : is_complete_submission(job, parts, partitions);
}

std::optional<final_record> final_of(const job_entry& job, const job_parts& parts,
                                     std::uint32_t partitions, time_point now) {
  if (job.final || !is_complete(job, parts, partitions)) return std::nullopt;
  const auto sums = sum_of(parts);
  const auto unsigned_of = [](std::int64_t n) { return static_cast<std::uint64_t>(n); };
  final_record out;
  out.job = job.name;
  out.outcome = job.cancelled ? job_outcome::cancelled : job_outcome::completed;
  out.prompts = unsigned_of(sums.prompts);
  out.answered = unsigned_of(sums.answered);
  out.errors = unsigned_of(sums.errors);
  out.invalid = unsigned_of(sums.invalid);
  out.maybe_billed = unsigned_of(sums.maybe_billed);
  out.settled = sums.settled;
  out.lanes = sums.lanes;
  out.created = job.manifest->created;
  out.finished = now;
  return out;
}

}  // namespace spillway::kafka
