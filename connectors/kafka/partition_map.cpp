#include "connectors/kafka/partition_map.hpp"

#include "connectors/jsonl.hpp"

#include <algorithm>

namespace spillway::kafka {
namespace {

/// What was in flight when an owner died counts as billed until a bill says otherwise.
void charge_in_doubt(std::vector<job_totals>& totals, job_number job, const fleet_attempt& a) {
  auto it = std::find_if(totals.begin(), totals.end(), [&](const job_totals& t) {
    return t.job == job && t.lane.pool == a.pool && t.lane.lane == a.lane;
  });
  if (it == totals.end()) it = totals.insert(totals.end(), {job, {a.pool, a.lane, {}, {}}});
  ++it->lane.totals.maybe_billed;
  it->lane.totals.settled += a.reserved;
  it->lane.totals.day_spend += a.reserved;
  it->lane.totals.by_day.add({utc_day(a.at), 0, a.reserved});
}

}  // namespace

std::string result_key(const std::string& job, const std::string& custom_id_token,
                       partition_id partition, const place& where) {
  if (auto id = unquoted(custom_id_token)) return job + "/" + *std::move(id);
  return job + "/@" + std::to_string(partition.value()) + "-" + std::to_string(where.offset) + "-" +
         std::to_string(where.index);
}

recovered_log partition_map::recovered(
    const recovered_partition& r,
    const std::function<std::optional<job_number>(const std::string& job)>& number_of) {
  watermark_ = r.watermark;
  for (const auto& rows : r.done) done_[{rows.line_records, rows.base}] = rows.done;
  for (const auto& p : r.reopened) {
    reopened_.insert(p.prompt());
    uncounted_.insert(p.prompt());
    refetch_.insert(p.offset);
  }
  for (const auto& p : r.generations) generations_[p.prompt()] = p.generation;
  for (const auto& h : r.held) held_.insert(h.where.prompt());
  recovered_log log;
  log.adopted = r.salvaged + r.late;
  for (const auto& job : r.jobs) {
    prompts_[job.job] += job.answered + job.errors;
    const auto number = number_of(job.job);
    if (!number) continue;
    log.rows.push_back({*number, job.answered, job.errors, job.invalid});
    for (const auto& lane : job.lanes) log.totals.push_back({*number, lane});
  }
  for (const auto& a : r.attempts) {
    const auto p = a.where.prompt();
    attempts_[p] = a;
    if (!a.job.empty() && uncounted_.erase(p) > 0) ++prompts_[a.job];
    const auto number = number_of(a.job);
    if (!number || !a.in_flight) continue;
    if (held_.contains(p)) {
      held_reserved_[p] = a.reserved;
      log.reserved.push_back({*number, a.reserved});
    } else {
      charge_in_doubt(log.totals, *number, a);
    }
  }
  return log;
}

bool partition_map::is_done(const place& p) const {
  if (reopened_.contains(p)) return false;
  if (p.offset < watermark_) return true;
  const auto it = done_.find({p.line_record, p.base()});
  return it != done_.end() && it->second.test(p.bit());
}

void partition_map::admit(shard_data& data, const std::string& job) {
  table_.add(data.where, job);
  names_[data.where.job] = job;
  shard_past past;
  std::int64_t open = 0;
  for (std::uint32_t i = 0; i < data.where.count; ++i) {
    const auto p = shard_table::place_in(data.where, i);
    if (is_done(p)) {
      past.done.set(i);
      continue;
    }
    ++open;
    reopened_.erase(p);
    const bool held = held_.erase(p) > 0;
    const auto it = attempts_.find(p);
    if (it == attempts_.end()) continue;
    const auto& last = it->second;
    const bool in_doubt = last.in_flight && !held;
    auto record = to_record(last, position(partition_, data.where.id, i));
    record.job = data.where.job;
    record.deadline = last.deadline;
    if (held) {
      record.in_flight = last.in_flight;
      record.reserved = last.reserved;
    } else if (in_doubt) {
      ++record.maybe_billed;
      record.charged += last.reserved;
    }
    past.attempts.push_back({std::move(record), held, in_doubt});
    attempts_.erase(it);
  }
  table_.add_open(data.where.id, open);
  if (past.done.count() > 0 || !past.attempts.empty())
    data.past = std::make_shared<const shard_past>(std::move(past));
}

std::int64_t partition_map::done_in(const seen_record& r) const {
  if (r.offset < watermark_) return r.count;  // counted at recovery, reopened ones too
  std::int64_t n = 0;
  for (std::uint32_t i = 0; i < r.count; ++i) {
    const place p{r.offset, i, r.line_record, 0};
    const auto it = done_.find({p.line_record, p.base()});
    n += it != done_.end() && it->second.test(p.bit());
  }
  return n;
}

void partition_map::count(const seen_record& r) {
  if (r.offset < watermark_) {
    for (std::uint32_t i = 0; i < r.count; ++i)
      if (uncounted_.erase({r.offset, i, r.line_record, 0}) > 0) ++prompts_[r.job];
    return;
  }
  auto& known = counted_[r.offset];
  if (!known.job.empty()) prompts_[known.job] -= known.prompts;
  known = {r.job, static_cast<std::int64_t>(r.count) - done_in(r)};
  if (!known.job.empty()) prompts_[known.job] += known.prompts;
}

place partition_map::with_generation(place p) const {
  const auto it = generations_.find(p.prompt());
  return it == generations_.end() ? p : p.in(it->second);
}

fleet_attempt partition_map::to_attempt(const attempt_record& a) const {
  fleet_attempt out;
  out.where = with_generation(table_.place_of(a.where));
  out.job = table_.job_of(a.where.shard());
  out.pool = a.pool;
  out.lane = a.lane;
  out.in_flight = a.in_flight;
  out.sends = a.sends;
  out.attempts = a.attempts;
  out.maybe_billed = a.maybe_billed;
  out.charged = a.charged;
  out.reserved = a.reserved;
  out.at = a.at;
  out.deadline = a.deadline;
  out.deaths = a.deaths;
  return out;
}

/// As the engine takes it on: an open send that nobody waits for is in doubt.
attempt_record partition_map::to_record(const fleet_attempt& a, position where) {
  attempt_record out;
  out.where = where;
  out.pool = a.pool;
  out.lane = a.lane;
  out.sends = a.sends;
  out.attempts = a.attempts;
  out.maybe_billed = a.maybe_billed;
  out.charged = a.charged;
  out.at = a.at;
  out.deaths = a.deaths;
  return out;
}

finished_row partition_map::to_row(finished_prompt&& f) const {
  finished_row out;
  const auto where = with_generation(table_.place_of(f.where));
  const auto& job = table_.job_of(f.where.shard());
  // Whoever keeps the last row of each key must not lose the answer to a repeated id.
  const bool repeated = f.error_code == "duplicate_custom_id";
  out.key = result_key(job, repeated ? "null" : f.custom_id_token, partition_, where);
  out.row = std::move(f.row);
  while (!out.row.empty() && out.row.back() == '\n') out.row.pop_back();
  auto& facts = out.facts;
  facts.where = where;
  facts.kind = f.kind;
  facts.job = job;
  facts.pool = std::move(f.pool);
  facts.lane = std::move(f.lane);
  facts.model = std::move(f.model);
  facts.code = std::move(f.error_code);
  facts.usage = f.usage;
  facts.charged = f.charged;
  facts.sends = f.sends;
  facts.maybe_billed = f.maybe_billed;
  facts.done_at = f.done_at;
  return out;
}

owner_group partition_map::to_group(commit_group&& group) {
  owner_group out;
  out.firm = group.firm;
  out.attempts.reserve(group.attempts.size());
  for (const auto& a : group.attempts)  // a prompt that was settled meanwhile may be forgotten
    if (table_.knows(a.where.shard())) out.attempts.push_back(to_attempt(a));
  out.finished.reserve(group.finished.size());
  for (auto& f : group.finished) {
    table_.add_open(f.where.shard(), -1);
    out.finished.push_back(to_row(std::move(f)));
  }
  for (auto& t : group.totals)
    if (const auto name = names_.find(t.job); name != names_.end())
      out.totals.push_back({name->second, std::move(t.lane)});
  return out;
}

log_news partition_map::to_news(const std::vector<settled_place>& settled,
                                const std::vector<reopened_place>& reopened) {
  log_news news;
  for (const auto& s : settled) take_piece(news, s.facts.where.prompt(), s);
  for (const auto& r : reopened) {
    const auto p = r.history.where.prompt();
    if (r.history.where.generation > 0) generations_[p] = r.history.where.generation;
    take_piece(news, p, r);
  }
  return news;
}

void partition_map::take_piece(log_news& news, const place& p, piece what) {
  const auto where = table_.position_of(p);
  if (where && table_.is_taken(where->shard())) return tell(news, *where, what);
  if (where || p.offset >= watermark_) {
    kept_[p].push_back(std::move(what));
    return;
  }
  // All of its record was done and forgotten: only a retry can concern it.
  if (const auto* again = std::get_if<reopened_place>(&what)) {
    reopened_.insert(p);
    attempts_[p] = again->history;
    refetch_.insert(p.offset);
  }
}

void partition_map::tell(log_news& news, position where, const piece& what) {
  const auto job = table_.at(where.shard()).job;
  if (const auto* s = std::get_if<settled_place>(&what)) {
    const auto& f = s->facts;
    table_.add_open(where.shard(), -1);
    held_reserved_.erase(f.where.prompt());
    news.settled.push_back({where, f.kind, job, f.charged, f.pool, f.lane, f.usage});
    return;
  }
  const auto& r = std::get<reopened_place>(what);
  auto record = to_record(r.history, where);
  record.job = job;
  if (r.retried) table_.add_open(where.shard(), 1);
  const auto reserved = held_reserved_.find(r.history.where.prompt());
  if (reserved != held_reserved_.end()) {
    if (r.in_doubt) {  // the engine charges it itself
      record.reserved = reserved->second;
      record.charged -= reserved->second;
      --record.maybe_billed;
    }
    held_reserved_.erase(reserved);
  }
  news.reopened.push_back({std::move(record), r.in_doubt});
}

log_news partition_map::taken(shard_id id) {
  table_.take(id);
  log_news news;
  if (kept_.empty()) return news;
  const auto& where = table_.at(id);
  for (std::uint32_t i = 0; i < where.count; ++i) {
    const auto it = kept_.find(shard_table::place_in(where, i));
    if (it == kept_.end()) continue;
    for (const auto& what : it->second) tell(news, position(partition_, id, i), what);
    kept_.erase(it);
  }
  return news;
}

void partition_map::forget_job(const std::string& job) {
  prompts_.erase(job);
  std::erase_if(names_, [&](const auto& n) { return n.second == job; });
  for (auto& [offset, counted] : counted_)
    if (counted.job == job) counted = {};
}

shard_id partition_map::forget_below(
    std::int64_t offset, const std::function<void(const shard_descriptor&)>& forgotten) {
  watermark_ = std::max(watermark_, offset);
  counted_.erase(counted_.begin(), counted_.lower_bound(offset));
  done_.erase(done_.lower_bound({false, 0}), done_.lower_bound({false, offset}));
  done_.erase(done_.lower_bound({true, 0}), done_.lower_bound({true, offset - shard_prompts_max}));
  return table_.forget_below(offset, forgotten);
}

}  // namespace spillway::kafka
