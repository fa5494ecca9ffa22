#include "connectors/kafka/book.hpp"

#include <algorithm>
#include <limits>

namespace spillway::kafka {

void book::restore(const snapshot& s) {
  *this = {};
  done_.restore(s.watermark, s.done);
  for (const auto& p : s.generations) {
    generations_[p.prompt()] = p.generation;
    done_.mark_reopened(p);
  }
  for (const auto& j : s.jobs) jobs_[j.job] = j;
  for (const auto& a : s.attempts) {
    attempts_[a.where.prompt()] = {a, false};
    job(a.job).open_charge += a.charged;
  }
  applied_.insert(s.applied.begin(), s.applied.end());
  for (const auto& pending : s.hand_overs)
    for (const auto& a : pending.open) hand_overs_[pending.session][a.where.prompt()] = a;
}

snapshot book::take() const {
  snapshot s;
  s.watermark = done_.watermark();
  s.done = done_.rows();
  s.attempts.reserve(attempts_.size());
  for (const auto& [where, a] : attempts_) s.attempts.push_back(a.last);
  s.applied.assign(applied_.begin(), applied_.end());
  for (const auto& [name, j] : jobs_) s.jobs.push_back(j);
  for (const auto& [prompt, generation] : generations_)
    s.generations.push_back(prompt.in(generation));
  for (const auto& [session, open] : hand_overs_) {
    auto& pending = s.hand_overs.emplace_back();
    pending.session = session;
    for (const auto& [where, a] : open) pending.open.push_back(a);
  }
  return s;
}

job_state& book::job(const std::string& name) {
  auto& j = jobs_[name];
  if (j.job.empty()) j.job = name;
  return j;
}

lane_totals& book::lane_of(job_state& j, const std::string& pool, const std::string& lane,
                           const std::string& model) {
  for (auto& l : j.lanes)
    if (l.lane == lane && l.pool == pool) {
      if (l.model.empty()) l.model = model;
      return l.totals;
    }
  return j.lanes.emplace_back(named_totals{pool, lane, model, {}}).totals;
}

void book::add(lane_totals& t, const delta& d, time_point at) {
  t.calls += d.sends;
  t.maybe_billed += d.maybe_billed;
  t.settled += d.charged;
  const auto day = utc_day(at);
  t.by_day.add({day, d.sends, d.charged});
  if (day > t.day) {
    t.day = day;
    t.day_requests = 0;
    t.day_spend = nano_usd(0);
  }
  if (day != t.day) return;
  t.day_requests += d.sends;
  t.day_spend += d.charged;
}

void book::set_attempt(const fleet_attempt& a, bool mine) {
  const auto prompt = a.where.prompt();
  if (!wants(a.where)) return;
  end_hold(prompt);
  auto& slot = attempts_[prompt];
  const auto& old = slot.last;
  auto& j = job(a.job);
  const auto charged = a.charged - old.charged;
  add(lane_of(j, a.pool, a.lane, ""),
      {std::int64_t{a.sends} - old.sends, std::int64_t{a.maybe_billed} - old.maybe_billed, charged},
      a.at);
  j.open_charge += charged;
  slot = {a, mine};
}

void book::drop_attempt(const place& prompt) {
  const auto at = attempts_.find(prompt);
  if (at == attempts_.end()) return;
  const auto& a = at->second.last;
  auto& j = job(a.job);
  add(lane_of(j, a.pool, a.lane, ""),
      {-std::int64_t{a.sends}, -std::int64_t{a.maybe_billed}, -a.charged}, a.at);
  j.open_charge -= a.charged;
  attempts_.erase(at);
}

void book::count(const result_facts& f, bool superseded) {
  auto& j = job(f.job);
  const auto* prior = superseded ? nullptr : find(f.where);
  fleet_attempt before;
  if (prior) before = prior->last;
  const bool unsent = f.pool.empty() && f.lane.empty();
  const delta change{std::int64_t{f.sends} - before.sends,
                     std::int64_t{f.maybe_billed} - before.maybe_billed,
                     f.charged - before.charged};
  j.finished_charge += f.charged;
  j.open_charge -= before.charged;
  if (unsent && !prior && f.charged == nano_usd(0)) return;
  auto& t = unsent ? lane_of(j, before.pool, before.lane, "") : lane_of(j, f.pool, f.lane, f.model);
  add(t, change, f.done_at);
  t.answered += f.kind == row_kind::answered;
  t.rejected += f.kind == row_kind::failed;
  t.input += f.usage.input;
  t.cached += f.usage.cached;
  t.output += f.usage.output;
}

book::counted book::finish(const result_facts& f) {
  const auto prompt = f.where.prompt();
  const auto current = generation(prompt);
  if (f.where.generation < current) {
    count(f, true);
    return counted::superseded;
  }
  if (f.where.generation > current) {  // its command's record is gone: the result says as much
    drop_attempt(prompt);
    generations_[prompt] = f.where.generation;
    if (done_.test(prompt)) {
      const auto failed_job = done_.reopen(prompt);
      if (!failed_job.empty()) --job(failed_job).errors;
    }
  }
  if (done_.test(prompt)) return counted::already;
  count(f, false);
  attempts_.erase(prompt);
  end_hold(prompt);
  auto& j = job(f.job);
  switch (f.kind) {
    case row_kind::answered: ++j.answered; break;
    case row_kind::failed:
    case row_kind::refused: ++j.errors; break;
    case row_kind::invalid:
      ++j.errors;
      ++j.invalid;
      break;
  }
  if (f.kind == row_kind::failed || f.kind == row_kind::refused)
    done_.fail(prompt, f.job, f.code);
  else
    done_.set(prompt);
  return counted::newly;
}

void book::locate(const result_facts& f, std::int64_t offset) {
  auto& days = job(f.job).days;
  const job_day seen{utc_day(f.done_at), offset, f.where.offset};
  const auto at = std::lower_bound(days.begin(), days.end(), seen.day,
                                   [](const job_day& d, std::int64_t day) { return d.day < day; });
  if (at == days.end() || at->day != seen.day) {
    days.insert(at, seen);
    return;
  }
  at->first_result = std::min(at->first_result, seen.first_result);
  at->first_shard = std::min(at->first_shard, seen.first_shard);
}

kept_offsets book::kept(const retention& wanted) {
  constexpr auto all = std::numeric_limits<std::int64_t>::max();
  kept_offsets out{all, all};
  for (auto& [name, j] : jobs_) {
    const auto since = wanted.find(name);
    if (since == wanted.end()) continue;
    const auto first = utc_day(since->second);
    std::erase_if(j.days, [&](const job_day& d) { return d.day < first; });
    for (const auto& d : j.days) {
      out.results = std::min(out.results, d.first_result);
      out.shards = std::min(out.shards, d.first_shard);
    }
  }
  return out;
}

void book::observe(const job_lane& seen) {
  auto& t = lane_of(job(seen.job), seen.lane.pool, seen.lane.lane, seen.lane.model);
  const auto& s = seen.lane.totals;
  t.refused_429 = s.refused_429;
  t.failed = s.failed;
  t.retries = s.retries;
  t.spilled_in = s.spilled_in;
  t.spilled_out = s.spilled_out;
  t.latency = s.latency;
}

bool book::apply(const applied_note& note) {
  if (!applied_.insert(note.command).second) return false;
  for (const auto& p : note.reopened) {
    const auto prompt = p.prompt();
    if (generation(prompt) >= p.generation) continue;
    drop_attempt(prompt);
    generations_[prompt] = p.generation;
    if (!done_.test(prompt)) continue;  // its row comes later, and is superseded already
    const auto failed_job = done_.reopen(prompt);
    if (!failed_job.empty()) --job(failed_job).errors;
  }
  return true;
}

void book::hand_over(const std::string& session, const std::vector<fleet_attempt>& open) {
  auto& held = hand_overs_[session];
  for (const auto& a : open) held[a.where.prompt()] = a;
  if (held.empty()) hand_overs_.erase(session);
}

void book::end_hold(const place& p) {
  for (auto at = hand_overs_.begin(); at != hand_overs_.end();) {
    at->second.erase(p.prompt());
    at = at->second.empty() ? hand_overs_.erase(at) : std::next(at);
  }
}

std::uint32_t book::generation(const place& p) const {
  const auto at = generations_.find(p.prompt());
  return at == generations_.end() ? 0 : at->second;
}

bool book::wants(const place& p) const { return p.generation == generation(p) && !done_.test(p); }

const book::attempt* book::find(const place& p) const {
  const auto at = attempts_.find(p.prompt());
  return at == attempts_.end() ? nullptr : &at->second;
}

std::vector<place> book::retried(const std::string& job_name,
                                 const std::vector<std::string>& codes) const {
  auto out = done_.failed(job_name, [&](const std::string& code) {
    return codes.empty() || std::find(codes.begin(), codes.end(), code) != codes.end();
  });
  for (auto& p : out) p.generation = generation(p) + 1;
  return out;
}

nano_usd book::charge_of(const result_facts& f) const {
  const auto* a = find(f.where);
  if (!a || a->last.where.generation != f.where.generation) return f.charged;
  const bool later = a->last.in_flight && a->last.sends > f.sends;
  return std::max(f.charged, a->last.charged + (later ? a->last.reserved : nano_usd(0)));
}

fleet_attempt book::in_doubt(fleet_attempt a) {
  a.in_flight = false;
  ++a.maybe_billed;
  a.charged += a.reserved;
  a.reserved = nano_usd(0);
  return a;
}

bool book::forget_job(const std::string& name) {
  for (const auto& [session, open] : hand_overs_)
    for (const auto& [where, a] : open)
      if (a.job == name) return false;
  for (const auto& [where, a] : attempts_)
    if (a.last.job == name && a.mine && a.last.in_flight) return false;
  // What else is open nobody waits for: the shards of a job that is gone are not read any more.
  std::erase_if(attempts_, [&](const auto& a) { return a.second.last.job == name; });
  done_.forget_failed(name);
  jobs_.erase(name);
  std::erase_if(applied_, [&](const std::string& c) { return c.starts_with(name + "/"); });
  return true;
}

void book::forget_below(std::int64_t first) {
  done_.forget_below(first);
  std::erase_if(generations_, [&](const auto& g) { return g.first.offset < first; });
}

void book::cut(std::int64_t end) {
  done_.cut(end);
  std::erase_if(generations_, [&](const auto& g) { return g.first.offset >= end; });
  std::vector<place> lost;
  for (const auto& [where, a] : attempts_)
    if (where.offset >= end) lost.push_back(where);
  for (const auto& where : lost) {
    end_hold(where);
    drop_attempt(where);
  }
}

void book::forget_results() {
  done_.restore(0, {});
  for (auto& [name, j] : jobs_) {
    j.answered = j.errors = j.invalid = 0;
    j.finished_charge = j.open_charge = nano_usd(0);
    j.lanes.clear();
    j.days.clear();
  }
  const auto kept = std::move(attempts_);
  attempts_.clear();
  for (const auto& [where, a] : kept) set_attempt(a.last, a.mine);
}

}  // namespace spillway::kafka
