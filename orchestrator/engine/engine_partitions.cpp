// Partitions: taking them on and leaving them, and what reaches and leaves their logs.
#include "orchestrator/engine/engine.hpp"
#include "orchestrator/engine/unsent.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace spillway {
namespace {

// First readings asked for ahead of what was taken in.
constexpr std::size_t first_readings_out_max = 8;
constexpr std::uint64_t commits_open_max = 64;

/// Every open send has totals to be charged to.
void add_missing_totals(recovered_log& log) {
  for (const auto& a : log.attempts) {
    if (!a.in_flight) continue;
    const bool known = std::any_of(log.totals.begin(), log.totals.end(), [&](const auto& t) {
      return t.job == a.job && t.lane.pool == a.pool && t.lane.lane == a.lane;
    });
    if (!known) log.totals.push_back({a.job, {a.pool, a.lane, {}, {}}});
  }
}

}  // namespace

partition_events& engine_events::of(partition_id id) {
  for (auto& p : partitions)
    if (p.partition == id) return p;
  auto& made = partitions.emplace_back();
  made.partition = id;
  return made;
}

const partition_events* engine_events::find(partition_id id) const {
  for (const auto& p : partitions)
    if (p.partition == id) return &p;
  return nullptr;
}

partition_work* engine::find(partition_id id) const {
  const auto it = partitions_.find(id);
  return it == partitions_.end() ? nullptr : it->second.get();
}

partition_work* engine::find(owner_id owner) const {
  partition_work* found = nullptr;
  each_partition([&](partition_work& work) {
    if (work.owner == owner) found = &work;
  });
  return found;
}

void engine::attach(partition_id id, partition_log& log, recovered_log found, time_point) {
  ensure(left(id), "a partition attached again before it was left");
  auto made = std::make_unique<partition_work>();
  auto& work = *made;
  work.id = id;
  work.owner = owner_id(next_owner_++);
  work.log = &log;
  add_missing_totals(found);
  work.group.attempts = end_open_sends(found.attempts, found.totals, found.held);
  work.changed = !work.group.attempts.empty();
  work.in_doubt_at_start = static_cast<std::int64_t>(work.group.attempts.size());
  scheduler_->attach(id, work.owner, found.totals, found.attempts, found.held);
  scheduler_->note_changed(work.owner, work.group.attempts);
  for (const auto& [job, amount] : found.reserved) scheduler_->reserve(id, job, amount);
  for (const auto& shard : found.shards) {
    work.done.add(shard.where, shard.done);
    work.counts[shard.where.job].prompts += shard.where.count;
    work.indexed_bytes += shard.where.length;
    if (work.done.complete(shard.where.id))
      work.done.note_queued(shard.where.id);
    else
      work.unqueued.push_back(shard.where.id);
  }
  if (found.rows.empty()) found.rows.push_back({{}, found.answered, found.errors, found.invalid});
  for (const auto& rows : found.rows) {
    auto& counts = work.counts[rows.job];
    counts.answered += rows.answered;
    counts.errors += rows.errors;
    counts.invalid += rows.invalid;
  }
  work.resumed = work.done.finished();
  work.adopted = found.adopted;
  work.input_bytes = found.input_bytes;
  partitions_.emplace(id, std::move(made));
  if (paused_) scheduler_->suspend(id);
}

void engine::suspend(partition_id id) {
  auto* work = find(id);
  if (work == nullptr || work->suspended) return;
  work->suspended = work->tell_suspended = true;
  scheduler_->suspend(id);
}

void engine::resume(partition_id id) {
  auto* work = find(id);
  if (work == nullptr || !work->suspended || work->failed) return;
  work->suspended = false;
  if (!work->tell_suspended) work->log->resume();
  work->tell_suspended = false;
  if (!paused_) scheduler_->resume(id);
}

void engine::pause(bool yes) {
  if (yes == paused_) return;
  paused_ = yes;
  for (const auto& [id, work] : partitions_) {
    if (work->suspended) continue;
    if (yes)
      scheduler_->suspend(id);
    else
      scheduler_->resume(id);
  }
}

void engine::detach(partition_id id) {
  suspend(id);
  const auto it = partitions_.find(id);
  if (it == partitions_.end()) return;
  auto work = std::move(it->second);
  partitions_.erase(it);
  scheduler_->detach(id);
  work->leaving = work->tell_left = true;
  leaving_.push_back(std::move(work));
}

bool engine::left(partition_id id) const {
  bool gone = true;
  each_partition([&](const partition_work& work) { gone = gone && work.id != id; });
  return gone;
}

void engine::drop(partition_id id) {
  if (const auto it = partitions_.find(id); it != partitions_.end()) {
    scheduler_->detach(id);
    leaving_.push_back(std::move(it->second));
    partitions_.erase(it);
  }
  std::erase_if(leaving_, [&](const std::unique_ptr<partition_work>& work) {
    if (work->id != id) return false;
    // Sends that never left give their permits back with the next step.
    for (const auto& send : work->waiting_sends) given_back_.push_back(unsent_result(send.call.id));
    note_suspects(*work, true);
    scheduler_->forget(work->owner);
    return true;
  });
}

/// Partitions that were detached and whose last call has ended durably.
void engine::forget_left() {
  std::erase_if(leaving_, [&](const std::unique_ptr<partition_work>& work) {
    if (scheduler_->open_calls(work->owner) > 0 || work->commits_open() > 0 || work->changed ||
        work->tell_left)
      return false;
    note_suspects(*work, true);
    scheduler_->forget(work->owner);
    return true;
  });
}

std::optional<failure> engine::failed(partition_id id) const {
  std::optional<failure> why;
  each_partition([&](const partition_work& work) {
    if (work.id == id && work.failed) why = work.failed;
  });
  return why;
}

void engine::forget_before(partition_id id, shard_id shard) {
  if (auto* work = find(id)) work->done.forget_before(shard);
}

void engine::note_log(partition_events& p, engine_events& all) {
  each_partition([&](partition_work& work) {
    if (work.id != p.partition) return;
    if (p.durable) work.durable = std::max(work.durable, *p.durable);
    if (p.broken) note_broken(work, *p.broken);
    if (!p.input_failed || work.failed) return;
    work.failed = p.input_failed;
    if (setup_.endless) return suspend(work.id);
    if (!broken_) broken_ = p.input_failed;
    all.drain = true;
  });
}

void engine::note_broken(partition_work& work, const failure& why) {
  if (!work.failed) work.failed = why;
  if (setup_.endless) return suspend(work.id);
  if (!broken_) {
    broken_ = why;
    stop_reason_ = why.message;
    for (auto& use : nets_) use.net->cancel_all();
  }
  done_ = true;
}

void engine::take_news(partition_work& work, const log_news& news, time_point now) {
  for (const auto& s : news.settled) {
    if (!work.done.knows(s.where.shard()) || work.done.done(s.where)) continue;
    work.done.finish(s.where);
    auto& counts = work.counts[s.job];
    ++(s.kind == row_kind::answered ? counts.answered : counts.errors);
    scheduler_->settle(
        {s.where, s.job, s.kind == row_kind::answered, s.charged, s.pool, s.lane, s.usage}, now);
    work.changed = true;
  }
  for (const auto& r : news.reopened) reopen(work, r, now);
}

void engine::reopen(partition_work& work, const reopened_prompt& r, time_point now) {
  const auto where = r.history.where;
  if (!work.done.knows(where.shard()) || work.done.forgotten(where.shard())) {
    spdlog::warn("partition {}: a prompt to be sent again is not there any more", work.id.value());
    return;
  }
  if (work.done.done(where)) {
    work.done.reopen(where);
    --work.counts[r.history.job].errors;
  } else if (!scheduler_->held(where)) {
    return;  // it waits or is under way as it is
  }
  work.group.attempts.push_back(scheduler_->reopen(r.history, r.in_doubt, now));
  work.changed = true;
  // Else the first reading of its shard brings it along.
  if (!work.done.queued(where.shard())) {
    const auto& waiting = work.unqueued;
    const bool comes = std::find(waiting.begin(), waiting.end(), where.shard()) != waiting.end() ||
                       std::any_of(work.asked_again.begin(), work.asked_again.end(),
                                   [&](const auto& asked) { return asked.first == where.shard(); });
    if (comes) return;
  }
  const auto [it, first] = work.reopened.try_emplace(where.shard());
  it->second.set(where.index());
  if (first) read_again(work, where.shard(), reading::reopened);
}

void engine::read_again(partition_work& work, shard_id id, reading why) {
  const auto& where = work.done.at(id);
  if (why == reading::load && work.commits_open() > commits_open_max) {
    // Rows of a cancelled job come as fast as bodies do: the disk sets the pace.
    const auto* job = scheduler_->job(where.job);
    if (job != nullptr && job->cancelled) return work.loads.push_back(id);
  }
  work.asked_again.emplace_back(id, why);
  reader_->read_again(where);
}

void engine::take_shard(partition_work& work, parsed_shard&& shard, tick_events& tick,
                        time_point now) {
  const auto id = shard.record.where.id;
  shard_loaded loaded{id, reading::first, std::move(shard.prompts), work.id};
  if (work.done.knows(id)) {
    ensure(!work.asked_again.empty() && work.asked_again.front().first == id,
           "a shard nobody asked for");
    loaded.why = work.asked_again.front().second;
    work.asked_again.pop_front();
  } else {
    work.done.add(shard.record.where, shard.past ? shard.past->done : shard_bits{});
    work.counts[shard.record.where.job].prompts += shard.record.where.count;
    if (shard.past) take_past(work, *shard.past);
    work.indexed_bytes += shard.record.where.length;
    work.group.shards.push_back(std::move(shard.record));
    work.changed = true;
    work.next_out = false;
  }
  shard_bits wanted;
  if (loaded.why == reading::reopened) {
    const auto it = work.reopened.find(id);
    ensure(it != work.reopened.end(), "a shard nobody asked for");
    wanted = it->second;
    work.reopened.erase(it);
  }
  const auto unwanted = [&](position where) {
    return work.done.done(where) ||
           (loaded.why == reading::reopened && !wanted.test(where.index()));
  };
  std::erase_if(loaded.prompts, [&](const prompt& p) { return unwanted(p.where); });
  if (loaded.why != reading::load)
    for (const auto& line : shard.invalid)
      if (!unwanted(line.where) && !scheduler_->held(line.where)) write_invalid(work, line, now);
  if (loaded.why == reading::first) {
    work.done.note_queued(id);
    --work.first_readings_out;
  }
  tick.shards.push_back(std::move(loaded));
}

void engine::take_past(partition_work& work, const shard_past& past) {
  for (const auto& entry : past.attempts) {
    scheduler_->remember(entry.last, entry.held);
    if (entry.ended) work.group.attempts.push_back(entry.last);
  }
}

void engine::write_invalid(partition_work& work, const invalid_line& line, time_point now) {
  work.done.finish(line.where);
  auto& counts = work.counts[line.job];
  ++counts.errors;
  ++counts.invalid;
  if (line.refused) ++refused_prompts_[{line.job, line.code}];
  finished_prompt row;
  row.where = line.where;
  row.kind = line.refused ? row_kind::refused : row_kind::invalid;
  row.error_code = line.code;
  row.row = row_for(line);
  row.job = line.job;
  row.custom_id_token = line.custom_id_token;
  row.done_at = now;
  if (const auto* past = scheduler_->history_of(line.where)) {
    row.pool = past->pool;
    row.lane = past->lane;
    row.charged = past->charged;
    row.sends = past->sends;
    row.maybe_billed = past->maybe_billed;
  }
  work.group.finished.push_back(std::move(row));
  work.changed = true;
}

void engine::request_shards(partition_work& work) {
  // Rows and records that wait for the disk are kept in memory: the disk sets the pace.
  if (draining_ || work.suspended || work.failed || work.commits_open() > commits_open_max) return;
  for (; !work.loads.empty(); work.loads.pop_front()) {
    work.asked_again.emplace_back(work.loads.front(), reading::load);
    reader_->read_again(work.done.at(work.loads.front()));
  }
  while (work.first_readings_out < first_readings_out_max) {
    if (!work.unqueued.empty()) {
      read_again(work, work.unqueued.front(), reading::first);
      work.unqueued.pop_front();
    } else if (!work.input_read && !work.next_out) {
      reader_->read_next(work.id);
      work.next_out = true;
    } else {
      return;
    }
    ++work.first_readings_out;
  }
}

void engine::commit(partition_work& work) {
  if (work.changed) {
    work.changed = false;
    scheduler_->take_changed_totals(work.owner, work.group.totals);
    if (const auto n = std::exchange(work.suspects_ended, 0); n > 0)
      work.suspects.emplace_back(work.next_commit, n);
    work.log->append(work.next_commit, std::exchange(work.group, {}));
    work.next_commit = commit_seq(work.next_commit.value() + 1);
  }
  if (std::exchange(work.tell_suspended, false)) work.log->suspend();
  if (std::exchange(work.tell_left, false)) work.log->leave();
}

void engine::note_suspects(partition_work& work, bool all) {
  for (; !work.suspects.empty() && (all || work.suspects.front().first <= work.durable);
       work.suspects.pop_front())
    for (std::size_t i = 0; i < work.suspects.front().second; ++i) scheduler_->suspect_recorded();
}

void engine::release(partition_id id, commit_seq durable) {
  auto* work = find(id);
  if (work == nullptr) return;
  work->durable = std::max(work->durable, durable);
  if (!draining_ && !done_ && !work->suspended) release_sends(*work, nullptr);
}

commit_seq engine::durable(partition_id id) const {
  const auto* work = find(id);
  return work == nullptr ? commit_seq{} : work->durable;
}

/// Sends what is durable. When draining, or once the partition is to be left, gives it back unsent.
void engine::release_sends(partition_work& work, std::vector<call_result>* unsent) {
  std::map<std::pair<std::size_t, lane_id>, std::vector<outgoing_call>> ready;
  const bool leaving = work.suspended || work.leaving;
  for (; !work.waiting_sends.empty() &&
         (leaving || work.waiting_sends.front().intent <= work.durable);
       work.waiting_sends.pop_front()) {
    auto& send = work.waiting_sends.front();
    if (!draining_ && !leaving) {
      ready[{send.net, send.there}].push_back(std::move(send.call));
      continue;
    }
    unsent->push_back(unsent_result(send.call.id));
  }
  for (auto& [to, calls] : ready) nets_[to.first].net->submit(to.second, std::move(calls));
}

}  // namespace spillway
