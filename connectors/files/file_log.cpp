#include "connectors/files/file_log.hpp"

#include "connectors/files/journal.hpp"
#include "connectors/files/recovery.hpp"
#include "connectors/files/state_folder.hpp"

#include <simdjson.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

namespace spillway {
namespace {

/// A group brings only what it changed; the record holds all.
void note_totals(std::vector<named_totals>& all, named_totals changed) {
  for (auto& known : all)
    if (known.pool == changed.pool && known.lane == changed.lane) {
      known = std::move(changed);
      return;
    }
  all.push_back(std::move(changed));
}

class file_log final : public partition_log {
 public:
  file_log(file_log_options options, durable_sink sink)
      : options_(std::move(options)), sink_(std::move(sink)) {}

  ~file_log() override { stop_writer(); }

  result<recovered_log> take_over() override;
  result<std::optional<shard_data>> read_next() override { return input_->read_next(); }
  result<shard_data> read(const shard_descriptor& where) override { return input_->read(where); }
  void append(commit_seq seq, commit_group group) override;
  result<void> close() override;

 private:
  struct queued {
    commit_seq seq;
    commit_group group;
  };
  result<void> load_shards(recovered_log&);
  result<void> load_journal(recovered_log&);
  result<void> adopt_surplus(recovered_log&);
  void adopt(const surplus_plan&, row_kind, std::vector<position>& finished);
  void write_loop();
  result<void> commit(std::vector<queued>&);
  result<void> write_rows(row_file&, const std::string& rows);
  void stop_writer();

  file_log_options options_;
  durable_sink sink_;
  std::optional<input_reader> input_;

  // Of the writing thread once it runs.
  opened_state state_;
  journal journal_;
  std::vector<shard_bits> done_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<queued> queue_;
  bool stopping_ = false;
  std::optional<failure> failed_;
  std::thread writer_;
};

result<recovered_log> file_log::take_over() {
  if (!simdjson::validate_utf8(options_.job))
    return failure{failure_kind::usage,
                   "the job's name is not valid UTF-8; every row carries it, so "
                   "give one with --job"};
  auto input = input_reader::open(options_.inputs, options_.line_bytes_max);
  if (!input) return input.error();
  input_ = *std::move(input);
  auto state = open_state(options_, *input_);
  if (!state) return state.error();
  state_ = *std::move(state);

  recovered_log log;
  log.input_bytes = input_->total_bytes();
  if (auto r = load_shards(log); !r) return r.error();
  if (auto r = load_journal(log); !r) return r.error();
  if (auto r = adopt_surplus(log); !r) return r.error();
  if (!log.shards.empty()) input_->resume_after(log.shards.back().where);
  log.attempts = journal_.open();
  for (const auto& t : state_.progress.totals) log.totals.push_back({job_number(0), t});
  log.answered = state_.progress.answered;
  log.errors = state_.progress.failed + state_.progress.invalid;
  log.invalid = state_.progress.invalid;
  writer_ = std::thread([this] { write_loop(); });
  return log;
}

result<void> file_log::load_shards(recovered_log& log) {
  std::optional<failure> bad;
  auto scanned = state_.store->scan("s", [&](std::string_view key, std::string_view value) {
    const shard_id id(static_cast<std::uint32_t>(state::journal_sequence(key)));
    auto record = state::decode_shard(id, value);
    if (!record || id.value() != log.shards.size()) {
      bad = failure{failure_kind::storage, "state " + options_.state + " is damaged: bad shard"};
      return false;
    }
    log.shards.push_back({record->where, {}, std::move(record->id_hashes)});
    return true;
  });
  if (!scanned) return scanned;
  if (bad) return *bad;
  scanned = state_.store->scan("d", [&](std::string_view key, std::string_view value) {
    const auto id = state::journal_sequence(key);
    auto bits = state::decode_done(value);
    if (!bits || id >= log.shards.size()) {
      bad =
          failure{failure_kind::storage, "state " + options_.state + " is damaged: bad done bits"};
      return false;
    }
    log.shards[id].done = *bits;
    return true;
  });
  if (!scanned) return scanned;
  if (bad) return *bad;
  return {};
}

result<void> file_log::load_journal(recovered_log& log) {
  std::optional<failure> bad;
  const auto scanned = state_.store->scan("j", [&](std::string_view key, std::string_view value) {
    auto attempts = state::decode_journal(value);
    if (!attempts) {
      bad = attempts.error().within("state " + options_.state);
      return false;
    }
    std::erase_if(*attempts, [&](const attempt_record& a) {
      const auto shard = a.where.shard().value();
      return shard >= log.shards.size() || log.shards[shard].done.test(a.where.index());
    });
    journal_.restore(state::journal_sequence(key), *attempts);
    return true;
  });
  if (!scanned) return scanned;
  if (bad) return *bad;
  for (const auto& shard : log.shards) done_.push_back(shard.done);
  return {};
}

void file_log::adopt(const surplus_plan& plan, row_kind kind, std::vector<position>& finished) {
  auto& p = state_.progress;
  for (const auto& [attempt, row] : plan.adopted) {
    finished.push_back(attempt.where);
    done_[attempt.where.shard().value()].set(attempt.where.index());
    ++(kind == row_kind::answered ? p.answered : p.failed);
    for (auto& lane : p.totals) {
      if (lane.pool != attempt.pool || lane.lane != attempt.lane) continue;
      auto& t = lane.totals;
      ++(kind == row_kind::answered ? t.answered : t.rejected);
      t.input += row.usage.input;
      t.cached += row.usage.cached;
      t.output += row.usage.output;
      t.settled += row.cost - attempt.charged;
      t.day_spend += row.cost - attempt.charged;
      t.by_day.add({utc_day(attempt.at), 0, row.cost - attempt.charged});
    }
  }
}

result<void> file_log::adopt_surplus(recovered_log& log) {
  auto& p = state_.progress;
  auto results = state_.results.check(p.results);
  if (!results) return results.error();
  auto errors = state_.errors.check(p.errors);
  if (!errors) return errors.error();
  if (results->empty() && errors->empty()) return {};

  std::vector<std::string> names;
  for (const auto& f : input_->files()) names.push_back(f.name);
  const auto attempts = journal_.open();
  auto answered = plan_surplus(*results, false, options_.output, attempts, names);
  if (!answered) return answered.error();
  auto failed = plan_surplus(*errors, true, options_.errors, attempts, names);
  if (!failed) return failed.error();
  // Nothing is touched before both files are known to be ours.
  std::vector<position> finished;
  for (auto [file, plan, surplus] : {std::tuple(&state_.results, &*answered, results->size()),
                                     std::tuple(&state_.errors, &*failed, errors->size())}) {
    // Rows that stay where they are can't be spoilt by writing them again.
    if (auto r = file->append(plan->keep, plan->moved ? surplus : 0); !r) return r;
    if (auto r = file->cut(); !r) return r;
    if (auto r = file->sync(); !r) return r;
  }
  adopt(*answered, row_kind::answered, finished);
  adopt(*failed, row_kind::failed, finished);
  p.results = state_.results.mark();
  p.errors = state_.errors.mark();
  log.adopted = static_cast<std::int64_t>(finished.size());

  const auto step = journal_.commit({}, finished);
  std::vector<index_write> writes{{state::progress_key, state::encode(p)}};
  for (const auto where : finished) {
    const auto shard = where.shard();
    log.shards[shard.value()].done = done_[shard.value()];
    writes.push_back({state::done_key(shard), state::encode(done_[shard.value()])});
  }
  if (!step.write.empty())
    writes.push_back({state::journal_key(step.sequence), state::encode(step.write)});
  for (const auto gone : step.remove) writes.push_back({state::journal_key(gone), std::nullopt});
  return state_.store->write(writes);
}

void file_log::append(commit_seq seq, commit_group group) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({seq, std::move(group)});
  }
  wake_.notify_one();
}

void file_log::write_loop() {
  for (;;) {
    std::vector<queued> groups;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      groups.swap(queue_);
    }
    const auto last = groups.back().seq;
    const auto written = commit(groups);
    if (!written) {
      const std::lock_guard lock(mutex_);
      failed_ = written.error();
    }
    sink_(written ? result<commit_seq>(last) : result<commit_seq>(written.error()));
    if (!written) return;
  }
}

result<void> file_log::write_rows(row_file& file, const std::string& rows) {
  if (rows.empty()) return {};
  if (auto r = file.append(rows); !r) return r;
  return file.sync();
}

result<void> file_log::commit(std::vector<queued>& groups) {
  std::string results, errors;
  std::vector<position> finished;
  std::vector<attempt_record> attempts;
  std::vector<index_write> writes;
  std::set<std::uint32_t> touched;
  auto& p = state_.progress;
  for (auto& [seq, group] : groups) {
    for (const auto& shard : group.shards) {
      ensure(shard.where.id.value() == done_.size(), "shards are recorded in order");
      done_.emplace_back();
      writes.push_back({state::shard_key(shard.where.id), state::encode(shard)});
    }
    for (const auto& f : group.finished) {
      (f.kind == row_kind::answered ? results : errors) += f.row;
      ++(f.kind == row_kind::answered ? p.answered
         : f.kind == row_kind::failed ? p.failed
                                      : p.invalid);
      auto& bits = done_.at(f.where.shard().value());
      ensure(!bits.test(f.where.index()), "a prompt recorded twice");
      bits.set(f.where.index());
      touched.insert(f.where.shard().value());
      finished.push_back(f.where);
    }
    for (auto& a : group.attempts) attempts.push_back(std::move(a));
    for (auto& changed : group.totals) note_totals(p.totals, std::move(changed.lane));
  }
  if (auto r = write_rows(state_.results, results); !r) return r;
  if (auto r = write_rows(state_.errors, errors); !r) return r;
  p.results = state_.results.mark();
  p.errors = state_.errors.mark();

  const auto step = journal_.commit(std::move(attempts), finished);
  for (const auto shard : touched)
    writes.push_back({state::done_key(shard_id(shard)), state::encode(done_[shard])});
  if (!step.write.empty())
    writes.push_back({state::journal_key(step.sequence), state::encode(step.write)});
  for (const auto gone : step.remove) writes.push_back({state::journal_key(gone), std::nullopt});
  writes.push_back({state::progress_key, state::encode(p)});
  return state_.store->write(writes);
}

void file_log::stop_writer() {
  if (!writer_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  writer_.join();
}

result<void> file_log::close() {
  stop_writer();
  state_ = opened_state{};
  const std::lock_guard lock(mutex_);
  if (failed_) return *failed_;
  return {};
}

}  // namespace

std::unique_ptr<partition_log> make_file_log(file_log_options options, durable_sink sink) {
  return std::make_unique<file_log>(std::move(options), std::move(sink));
}

}  // namespace spillway
