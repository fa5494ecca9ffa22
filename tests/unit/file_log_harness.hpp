// A folder with an input and a log over it, and the parts of a commit by hand.
#pragma once

#include "connectors/files/file_log.hpp"
#include "connectors/jsonl.hpp"
#include "connectors/rows.hpp"
#include "tests/support/temp_folder.hpp"

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

namespace spillway {

/// Takes a log's word of what is durable, and lets a test wait for it.
class durable_watch {
 public:
  durable_sink sink() {
    return [this](result<commit_seq> r) {
      const std::lock_guard lock(mutex_);
      if (r)
        seen_.push_back(*r);
      else
        failed_ = r.error();
      changed_.notify_all();
    };
  }
  /// False when writing failed instead.
  bool wait(commit_seq seq) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failed_ || (!seen_.empty() && seen_.back() >= seq); });
    return !failed_;
  }
  failure wait_failure() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failed_.has_value(); });
    return *failed_;
  }
  std::vector<commit_seq> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<commit_seq> seen_;
  std::optional<failure> failed_;
};

struct job_folder {
  explicit job_folder(std::size_t prompts = 3) {
    std::string text;
    for (std::size_t i = 0; i < prompts; ++i) text += "line " + std::to_string(i + 1) + "\n";
    options.inputs = {folder.write("in.jsonl", text)};
    options.output = folder / "out.jsonl";
    options.errors = folder / "out.errors.jsonl";
    options.state = folder / "out.state";
    options.job = "job";
  }
  temp_folder folder;
  file_log_options options;
  durable_watch durable;
};

/// A log that was taken over.
struct opened_log {
  std::unique_ptr<partition_log> log;
  recovered_log found;
};

inline result<opened_log> open_log(job_folder& job) {
  opened_log o;
  o.log = make_file_log(job.options, job.durable.sink());
  auto found = o.log->take_over();
  if (!found) return found.error();
  o.found = *std::move(found);
  return o;
}

inline std::string row_of(const job_folder& job, std::uint64_t line, std::uint32_t attempts = 1,
                          std::string_view text = "") {
  row_facts f;
  f.job = "job";
  f.file = job.options.inputs[0];
  f.line = line;
  f.custom_id_token = "\"x\"";
  f.origin = {"pool", "lane", "", "m"};
  f.attempts = attempts;
  f.usage = {true, tokens(30), tokens(4), tokens(7)};
  f.cost = nano_usd(450);
  f.request_id = text;
  f.status = 200;
  return make_row(f);
}

inline attempt_record intent(std::uint64_t line, std::uint32_t sends = 1) {
  attempt_record a;
  a.where = position::from_value(static_cast<std::uint32_t>(line - 1));
  a.line = line;
  a.in_flight = true;
  a.pool = "pool";
  a.lane = "lane";
  a.sends = sends;
  a.reserved = nano_usd(1'000);
  return a;
}

inline finished_prompt answer(const job_folder& job, std::uint64_t line,
                              row_kind kind = row_kind::answered) {
  finished_prompt f;
  f.where = position::from_value(line - 1);
  f.kind = kind;
  f.row = row_of(job, line);
  return f;
}

inline shard_record record_of(const shard_data& data) {
  shard_record s{data.where, {}};
  for (std::uint32_t i = 0; i < data.where.count; ++i) s.id_hashes.push_back(1'000 + i);
  return s;
}

}  // namespace spillway
