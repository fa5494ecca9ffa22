#include "connectors/kafka/shard_intake.hpp"

#include "connectors/files/checksum.hpp"
#include "connectors/jsonl.hpp"
#include "connectors/kafka/fleet_codec_jobs.hpp"

#include <algorithm>

namespace spillway::kafka {
namespace {

constexpr std::int64_t block_offsets = shard_prompts_max;

std::int64_t block_of(std::int64_t offset) { return offset - offset % block_offsets; }

void pad(shard_data& data) {
  data.size = data.bytes.size();
  data.where.length = data.size;
  data.where.crc = crc_of(data.bytes);
  // Growing it in place would double the memory of each shard that waits.
  std::string padded;
  padded.reserve(data.size + read_padding);
  padded.append(data.bytes).append(read_padding, '\0');
  data.bytes = std::move(padded);
}

/// The lines of a text, each ending in a line feed.
std::string whole_lines(std::string_view text) {
  std::string out(text);
  if (!out.empty() && out.back() != '\n') out.push_back('\n');
  return out;
}

}  // namespace

shard_intake::shard_intake(partition_id partition, std::string topic_name, job_lookup jobs,
                           std::function<file_id(std::string_view)> intern,
                           std::function<void(const shard_data&)> store, intake_limits limits)
    : partition_(partition),
      topic_name_(std::move(topic_name)),
      jobs_(std::move(jobs)),
      intern_(std::move(intern)),
      store_(std::move(store)),
      limits_(limits) {}

void shard_intake::feed(stored_record r) {
  const auto format = r.what.header(format_header);
  if (!format) return take_lines(std::move(r));
  if (*format == shard_format) return take_packed(std::move(r));
  auto message = "the record's format '" + std::string(*format) +
                 "' is not known here: it was written by a newer version; update the members";
  bury(std::move(r), "unknown_version", std::move(message));
}

void shard_intake::bury(stored_record&& r, std::string code, std::string message) {
  flush();
  seen_.push_back({r.offset, 0, false, {}});
  dead_.push_back({r.offset, std::move(r.what), std::move(code), std::move(message)});
}

/// Counted as one unfinished prompt, so that nothing is thought done beyond it.
void shard_intake::set_aside(stored_record&& r) {
  seen_.push_back({r.offset, 1, false, {}});
  undecided_.push_back(std::move(r));
}

void shard_intake::take_packed(stored_record&& r) {
  flush();
  auto parsed = decode_shard(r.what.value);
  if (auto* fault = std::get_if<record_fault>(&parsed))
    return bury(std::move(r), std::move(fault->code), std::move(fault->message));
  auto& shard = std::get<shard_lines>(parsed);
  if (shard.job.empty()) return bury(std::move(r), "missing_job", "the shard names no job");
  if (shard.lines.size() > limits_.shard_bytes_max && shard.count > 1)
    return bury(std::move(r), "too_large",
                "a shard of more than one prompt holds at most " +
                    std::to_string(limits_.shard_bytes_max) + " bytes");
  if (shard.count == 0 || split_lines(shard.lines, shard.first_line).size() != shard.count)
    return bury(std::move(r), "damaged", "the shard's count does not match its lines");
  shard_of_job s;
  s.job = std::move(shard.job);
  s.submission = std::move(shard.submission);
  s.data.where.partition = partition_;
  s.data.where.file = intern_(shard.file);
  s.data.where.offset = static_cast<std::uint64_t>(r.offset);
  s.data.where.first_line = shard.first_line;
  s.data.where.next_line = shard.next_line;
  s.data.where.count = shard.count;
  s.data.where.ids_checked = true;
  s.data.bytes = std::move(shard.lines);
  pad(s.data);
  const auto standing = jobs_(s.job);
  switch (judge(s, standing)) {
    case verdict::undecided: return set_aside(std::move(r));
    case verdict::drop: seen_.push_back({r.offset, 0, false, s.job}); return;
    case verdict::wait:
      seen_.push_back({r.offset, s.data.where.count, false, s.job});
      store_(s.data);
      s.data.bytes = {};
      waiting_[s.job].push_back(std::move(s));
      return;
    case verdict::take:
      seen_.push_back({r.offset, s.data.where.count, false, s.job});
      make_ready(std::move(s), standing.number);
  }
}

void shard_intake::take_lines(stored_record&& r) {
  const auto named = r.what.header(job_header);
  if (!named || named->empty())
    return bury(std::move(r), "missing_job",
                "the record has no header 'job' that names an open job");
  const std::string job(*named);
  auto text = whole_lines(r.what.value);
  const auto lines = split_lines(text, 1);
  if (lines.empty()) {
    flush();
    seen_.push_back({r.offset, 0, false, job});
    return;
  }
  if (lines.size() > shard_prompts_max ||
      (lines.size() > 1 && text.size() > limits_.shard_bytes_max))
    return bury(std::move(r), "too_large",
                "a record holds at most 512 lines, and " + std::to_string(limits_.shard_bytes_max) +
                    " bytes if more than one");
  const auto standing = jobs_(job);
  if (standing.now == job_standing::state::unknown) {
    flush();
    return set_aside(std::move(r));
  }
  const bool closed = standing.now == job_standing::state::ended || !standing.takes_lines ||
                      (standing.end_offset && r.offset >= *standing.end_offset);
  if (closed) {
    auto message = "the job '" + job + "' takes no lines: it is closed or was never opened";
    return bury(std::move(r), "job_closed", std::move(message));
  }
  if (lines.size() == 1) {
    add_line(standing, job, r.offset,
             std::string_view(text).substr(lines[0].offset, lines[0].length));
    return;
  }
  flush();
  shard_of_job s;
  s.job = job;
  s.data.where.partition = partition_;
  s.data.where.file = intern_(topic_name_ + "@" + std::to_string(r.offset));
  s.data.where.offset = static_cast<std::uint64_t>(r.offset);
  s.data.where.first_line = 1;
  s.data.where.next_line = lines.back().number + 1;
  s.data.where.count = static_cast<std::uint32_t>(lines.size());
  s.data.bytes = std::move(text);
  pad(s.data);
  seen_.push_back({r.offset, s.data.where.count, false, job});
  make_ready(std::move(s), standing.number);
}

void shard_intake::add_line(const job_standing& standing, const std::string& job,
                            std::int64_t offset, std::string_view line) {
  seen_.push_back({offset, 1, true, job});
  const auto next = run_ ? static_cast<std::int64_t>(run_->data.where.offset) +
                               static_cast<std::int64_t>(run_->data.where.count)
                         : 0;
  const bool goes_on =
      run_ && run_->job == job && offset == next &&
      block_of(offset) == block_of(static_cast<std::int64_t>(run_->data.where.offset)) &&
      run_->data.bytes.size() + line.size() < limits_.shard_bytes_max;
  if (!goes_on) {
    flush();
    run_.emplace();
    run_->job = job;
    run_->line_record = true;
    run_job_ = standing.number;
    auto& where = run_->data.where;
    where.partition = partition_;
    where.file = intern_(topic_name_);
    where.offset = static_cast<std::uint64_t>(offset);
    where.first_line = static_cast<std::uint64_t>(offset);
    where.line_records = true;
  }
  run_->data.bytes.append(line);
  run_->data.bytes.push_back('\n');
  ++run_->data.where.count;
  run_->data.where.next_line = static_cast<std::uint64_t>(offset) + 1;
}

void shard_intake::flush() {
  if (!run_) return;
  auto run = *std::move(run_);
  run_.reset();
  pad(run.data);
  make_ready(std::move(run), run_job_);
}

shard_intake::verdict shard_intake::judge(const shard_of_job& s,
                                          const job_standing& standing) const {
  switch (standing.now) {
    case job_standing::state::unknown: return verdict::undecided;
    case job_standing::state::ended: return verdict::drop;
    default: break;
  }
  if (s.submission != standing.submission) return verdict::drop;
  return standing.now == job_standing::state::active ? verdict::take : verdict::wait;
}

void shard_intake::make_ready(shard_of_job&& s, job_number number) {
  s.data.where.job = number;
  if (!s.data.bytes.empty()) store_(s.data);
  ready_bytes_ += s.data.bytes.size();
  ready_.push_back({std::move(s.data), std::move(s.job)});
}

std::optional<shard_intake::ready_shard> shard_intake::next() {
  if (ready_.empty()) return std::nullopt;
  auto shard = std::move(ready_.front());
  ready_.pop_front();
  ready_bytes_ -= shard.data.bytes.size();
  return shard;
}

void shard_intake::jobs_changed() {
  auto again = std::exchange(undecided_, {});
  for (auto& r : again) feed(std::move(r));
  flush();  // perhaps nothing follows for a long time
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const auto standing = jobs_(it->first);
    const bool still = standing.now == job_standing::state::submitting ||
                       standing.now == job_standing::state::damaged ||
                       standing.now == job_standing::state::unknown;
    if (still) {
      ++it;
      continue;
    }
    for (auto& s : it->second) {
      if (judge(s, standing) == verdict::take)
        make_ready(std::move(s), standing.number);
      else
        seen_.push_back({static_cast<std::int64_t>(s.data.where.offset), 0, false, s.job});
    }
    it = waiting_.erase(it);
  }
}

void shard_intake::give_up_unknown(std::int64_t offset) {
  auto left = std::exchange(undecided_, {});
  for (auto& r : left) {
    if (r.offset >= offset)
      undecided_.push_back(std::move(r));
    else
      bury(std::move(r), "unknown_job",
           "no job of that name is open or submitted: open it first, then requeue this letter");
  }
}

result<shard_data> shard_intake::cut_again(const shard_descriptor& where,
                                           const std::vector<stored_record>& records) {
  shard_data data;
  data.where = where;
  for (const auto& r : records) {
    if (r.what.header(format_header) == shard_format) {
      auto shard = decode_shard(r.what.value);
      if (const auto* lines = std::get_if<shard_lines>(&shard)) data.bytes += lines->lines;
      continue;
    }
    const auto text = whole_lines(r.what.value);
    if (!where.line_records) {
      data.bytes += text;
      continue;
    }
    for (const auto& line : split_lines(text, 1)) {
      data.bytes.append(text, line.offset, line.length);
      data.bytes.push_back('\n');
    }
  }
  data.size = data.bytes.size();
  if (data.size != where.length || crc_of(data.bytes) != where.crc)
    return failure{failure_kind::storage, "offset " + std::to_string(where.offset) +
                                              " of the shards topic no longer holds what was read "
                                              "there; was the topic made anew?"};
  data.bytes.append(read_padding, '\0');
  return data;
}

}  // namespace spillway::kafka
