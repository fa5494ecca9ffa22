// What ended calls change: permits, charges, and whether a prompt is finished or goes again.
#include "orchestrator/core/retry.hpp"
#include "orchestrator/core/scheduler.hpp"
#include "orchestrator/core/served.hpp"
#include "orchestrator/core/tally.hpp"
#include "schemas/result.hpp"

#include <algorithm>

namespace spillway {
namespace {

lane_totals& day_of(partition_state& home, lane_id id) {
  if (id.value() >= home.day.size()) home.day.resize(id.value() + 1);
  return home.day[id.value()];
}

/// A failed probe does not count so many times; a lane that fails everything is tried that often
/// with the same prompt only where there are few.
constexpr std::uint32_t excused_max = 20;

bool may_go_on(const active_prompt& active, const job_config& policy, const outcome& out) {
  return out.never_sent() || active.attempts < policy.max_attempts;
}

/// Turns an ended call without an answer into the error row of the hold policy.
void hold_in_doubt(outcome& out) {
  out.error_message = "the call ended without an answer (" + out.error_code +
                      ") and may have been billed; the in-doubt policy is to hold it";
  out.error_code = "in_doubt";
}

}  // namespace

void scheduler::retire(time_point now, std::vector<call_ended>&& calls, stripe_runner& stripes,
                       tick_actions& actions) {
  if (calls.empty()) return;
  std::sort(calls.begin(), calls.end(), [](const call_ended& a, const call_ended& b) {
    return std::pair(a.where, a.call) < std::pair(b.where, b.call);
  });
  in_flight_ -= static_cast<std::int64_t>(calls.size());
  // Lanes and money are shared by all stripes: they see the answers one by one, in this order.
  std::vector<nano_usd> charges(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    auto& ended = calls[i];
    if (const auto late = late_.find(ended.call); late != late_.end()) {
      auto call = std::move(late->second);
      late_.erase(late);
      retire_late(now, std::move(call), std::move(ended), actions);
      continue;
    }
    auto& part = stripes_[stripe_of(ended.where)];
    const auto it = part.active.find(ended.where);
    ensure(it != part.active.end() && it->second.open && it->second.call == ended.call,
           "an answer for a call that is not open");
    auto& active = it->second;
    charges[i] = end_call(now, active, active.queue->home, ended, actions);
    auto& cls = *active.queue->cls;
    if (ended.outcome.kind == outcome_kind::answered) {
      cls.down_since.reset();
      if (ended.outcome.usage.known) {
        const auto& usage = ended.outcome.usage;
        cls.input_mean += (static_cast<double>(usage.input.count()) - cls.input_mean) / 64;
        cls.output_mean += (static_cast<double>(usage.output.count()) - cls.output_mean) / 64;
      }
    }
    part.todo.push_back(i);
  }

  stripes.for_each_stripe(calls.size(), [&](std::size_t s) {
    for (const std::size_t i : stripes_[s].todo)
      retire_one(now, stripes_[s], std::move(calls[i]), charges[i]);
    stripes_[s].todo.clear();
  });
  for (auto& part : stripes_) collect(part, actions);
}

const prompt* scheduler::prompt_of(position where, call_id call) const {
  if (const auto late = late_.find(call); late != late_.end()) return &late->second.prompt.what;
  const auto& active = stripes_[stripe_of(where)].active;
  const auto it = active.find(where);
  return it != active.end() && it->second.call == call ? &it->second.what : nullptr;
}

/// Gives the call's permit and reservation back; returns what it is charged.
nano_usd scheduler::end_call(time_point now, active_prompt& active, partition_state* home,
                             call_ended& ended, tick_actions& actions) {
  auto& l = *lanes_[active.lane.value()].state;
  const auto& out = ended.outcome;
  const auto latency = ended.done_at - ended.sent_at;
  const auto charge = l.end_call(now, active.cost, active.size(), out, latency, ended.told);
  note_probe(active, ended.outcome);
  if (out.down == down_cause::auth || out.down == down_cause::billing)
    for (auto& other : lanes_)
      if (other.state.get() != &l && other.state->setup().pool_index == l.setup().pool_index)
        other.state->stop(now, out.down, out.error_code);
  if (out.form_refused && l.refuses_forms() && home != nullptr && others_work(active))
    l.stop(now, down_cause::missing_model, "refuses all it is asked: " + out.error_code);
  const bool suspect = active.deaths >= suspect_deaths;
  const auto job = jobs_.find(active.what.job);
  if (home == nullptr || job == jobs_.end()) {
    if (suspect) suspect_recorded();
    return charge;
  }
  if (suspect) actions.suspects.push_back(home->owner);
  auto& books = books_of(*home, *job->second);
  tally_end(books.of(active.lane, l.setup()), now, out, charge, latency);
  tally_end(day_of(*home, active.lane), now, out, charge, latency);
  books.money.settle(active.cost.reserve, charge);
  --books.open;
  --home->open;
  --job->second->open;
  // The job is charged what the provider's limiter was.
  tokens actual = active.cost.rate;
  if (out.never_sent())
    actual = {};
  else if (out.usage.known)
    actual = l.setup().charge_of(out.usage, output_limit(active.size(), l.setup().config));
  job->second->served += served_by(actual - active.cost.rate, job->second->setup.weight);
  if (out.in_doubt && active.maybe_billed == 0 && !active.settled) ++books.in_doubt;
  return charge;
}

/// Whether prompts like this one have another lane that works.
bool scheduler::others_work(const active_prompt& active) const {
  const auto& ranked = active.queue->cls->ranked;
  return std::any_of(ranked.begin(), ranked.end(), [&](lane_id id) {
    return id != active.lane && lanes_[id.value()].state->usable();
  });
}

/// A probe goes out for the lane's sake: if it fails, that is not held against its prompt. Unless
/// it may be the prompt that fails: the lane failed no other since it answered last, or it answered
/// others between two failures of this one.
void scheduler::note_probe(active_prompt& active, outcome& out) {
  auto& entry = lanes_[active.lane.value()];
  const auto where = active.what.where;
  if (out.kind == outcome_kind::answered) {
    ++entry.answers;
    entry.failed_for.reset();
    entry.failed_several = false;
  }
  if (!out.unhealthy) return;
  if (active.failed_on == active.lane && active.failed_after < entry.answers)
    active.fails_alone = true;
  active.failed_on = active.lane;
  active.failed_after = entry.answers;
  if (active.fails_alone) return;
  entry.failed_several = entry.failed_several || entry.failed_for.value_or(where) != where;
  if (!entry.failed_for) entry.failed_for = where;
  if (!active.probe || !entry.failed_several || !out.counts_attempt) return;
  if (active.excused == excused_max) return;
  ++active.excused;
  out.counts_attempt = false;
}

void scheduler::retire_one(time_point now, stripe& s, call_ended&& ended, nano_usd charge) {
  const auto it = s.active.find(ended.where);
  auto& active = it->second;
  auto& out = ended.outcome;
  const auto& policy = active.queue->cls->job->setup.policy;
  active.open = false;
  active.error_code = out.error_code;
  active.error_message = out.error_message;
  const nano_usd total = active.charged + charge;

  const auto finish = [&](outcome_kind kind) {
    out.kind = kind;
    const auto owner = active.queue->home->owner;
    s.finishes.push_back(
        {std::move(active), std::move(out), total, ended.sent_at, ended.done_at, owner});
    s.active.erase(it);
  };
  if (out.in_doubt) ++active.maybe_billed;
  if (out.counts_attempt) ++active.attempts;
  if (active.settled || out.kind == outcome_kind::answered) return finish(outcome_kind::answered);
  if (out.kind == outcome_kind::rejected) return finish(outcome_kind::rejected);
  if (out.in_doubt && policy.in_doubt == in_doubt_policy::hold) {
    hold_in_doubt(out);
    return finish(outcome_kind::rejected);
  }
  if (out.kind == outcome_kind::retry && out.retry_once) {
    auto& tried = active.tried_once;
    if (std::find(tried.begin(), tried.end(), active.lane) != tried.end())
      out.kind = outcome_kind::spill;
    else
      tried.push_back(active.lane);
  }
  if (out.kind == outcome_kind::spill) active.unfit.push_back(active.lane);
  if (!out.never_sent() && (!has_lane_left(active) || !may_go_on(active, policy, out)))
    return finish(outcome_kind::rejected);

  active.charged = total;
  if (out.never_sent()) --active.sends;
  time_point ready = now;
  if (out.kind == outcome_kind::retry && !out.quota_signal && !out.never_sent())
    ready += retry_delay(settings_.seed, ended.where,
                         out.stale_credentials ? 1u : std::max(1u, active.sends),
                         out.retry_after.value_or(duration{}));
  active.ready_at = ready;
  s.to_waiting.push_back(&active);
  s.ended.push_back({record_of(active, now), active.queue->home->owner});
}

/// A call of a partition that was detached: what it came to goes to its old log.
void scheduler::retire_late(time_point now, late_call&& late, call_ended&& ended,
                            tick_actions& actions) {
  auto& active = late.prompt;
  auto& out = ended.outcome;
  const auto charge = end_call(now, active, late.home, ended, actions);
  const auto job = jobs_.find(active.what.job);
  if (late.home == nullptr || job == jobs_.end()) return;
  if (active.settled) return actions.charged.push_back(late.home->owner);
  active.open = false;
  if (out.in_doubt) ++active.maybe_billed;
  if (out.counts_attempt) ++active.attempts;
  const auto total = active.charged + charge;
  const auto& policy = job->second->setup.policy;
  bool over = out.kind == outcome_kind::answered || out.kind == outcome_kind::rejected;
  if (!over && out.in_doubt && policy.in_doubt == in_doubt_policy::hold) {
    hold_in_doubt(out);
    over = true;
  }
  // Whether it has a lane left is for the next owner to find out.
  over = over || !may_go_on(active, policy, out);
  if (!over) {
    active.charged = total;
    if (out.never_sent()) --active.sends;
    actions.ended.push_back({record_of(active, now), late.home->owner});
    return;
  }
  if (out.kind != outcome_kind::answered) out.kind = outcome_kind::rejected;
  finish_action finish{std::move(active), std::move(out), total,
                       ended.sent_at,     ended.done_at,  late.home->owner};
  const bool failed = finish.outcome.kind != outcome_kind::answered;
  const auto lane = finish.prompt.lane;
  auto& totals = late.home->books.at(job->first).of(lane, lane_at(lane).setup());
  ++(failed ? totals.rejected : totals.answered);
  ++(failed ? lanes_[lane.value()].state->totals().rejected
            : lanes_[lane.value()].state->totals().answered);
  note_final(*job->second, failed);
  actions.finishes.push_back(std::move(finish));
}

/// What the stripes left for everyone: finished prompts, and those that wait for their next send.
void scheduler::collect(stripe& part, tick_actions& actions) {
  for (auto& finish : part.finishes) {
    auto& queue = *finish.prompt.queue;
    drop_active(finish.prompt);
    if (finish.prompt.settled) {
      actions.charged.push_back(finish.owner);
      continue;
    }
    const bool failed = finish.outcome.kind != outcome_kind::answered;
    const auto lane = finish.prompt.lane;
    auto& totals = lanes_[lane.value()].state->totals();
    auto& own = queue.books->of(lane, lane_at(lane).setup());
    ++(failed ? totals.rejected : totals.answered);
    ++(failed ? own.rejected : own.answered);
    note_final(*queue.cls->job, failed);
    note_finish(*queue.home, finish);
    actions.finishes.push_back(std::move(finish));
  }
  for (auto* active : part.to_waiting) {
    active->queue->waiting.emplace(active->ready_at, active->what.where);
    ++waiting_;
    relist(*active->queue);
  }
  for (auto& record : part.ended) actions.ended.push_back(std::move(record));
  part.finishes.clear();
  part.to_waiting.clear();
  part.ended.clear();
}

/// A prompt of an attached partition is done: its past is of no use any more.
void scheduler::note_finish(partition_state& home, const finish_action& finish) {
  const auto local = finish.prompt.what.where.local();
  if (finish.prompt.maybe_billed > 0) --home.books.at(finish.prompt.what.job).in_doubt;
  if (!home.history.empty()) home.history.erase(local);
  if (!home.insisted.empty()) home.insisted.erase(local);
}

void scheduler::note_final(job_state& job, bool failed) {
  job.last_failed <<= 1;
  job.last_failed[0] = failed;
  ++job.finals;
  const auto& allowed = job.setup.policy.max_error_rate;
  if (!allowed || job.finals < job.last_failed.size() || job.tripped) return;
  const double share =
      static_cast<double>(job.last_failed.count()) / static_cast<double>(job.last_failed.size());
  job.tripped = share > *allowed;
}

void scheduler::drop_active(active_prompt& active) {
  const auto bytes = active.what.text.size();
  active_bytes_ -= bytes;
  active.queue->cls->job->active_bytes -= bytes;
}

bool scheduler::has_lane_left(const active_prompt& active) const {
  const auto& ranked = active.queue->cls->ranked;
  // Without any lane configured it waits, as those that were never sent do.
  return ranked.empty() || std::any_of(ranked.begin(), ranked.end(), [&](lane_id id) {
           return std::find(active.unfit.begin(), active.unfit.end(), id) == active.unfit.end();
         });
}

attempt_record scheduler::record_of(const active_prompt& a, time_point now) const {
  const auto& setup = lane_at(a.lane).setup();
  return {.where = a.what.where,
          .file = a.what.file,
          .line = a.what.line,
          .in_flight = a.open,
          .pool = setup.pool,
          .lane = setup.config.name(),
          .sends = a.sends,
          .attempts = a.attempts,
          .maybe_billed = a.maybe_billed,
          .charged = a.charged,
          .reserved = a.open ? a.cost.reserve : nano_usd{},
          .at = now,
          .job = a.what.job,
          .deaths = a.deaths};
}

void scheduler::settle(const settled_send& s, time_point now) {
  auto* home = home_of(s.where.partition());
  const auto job = jobs_.find(s.job);
  if (home == nullptr || job == jobs_.end()) return;
  nano_usd before, reserved;
  bool doubted = false;
  auto& active = stripes_[stripe_of(s.where)].active;
  if (const auto it = active.find(s.where); it != active.end()) {
    auto& a = it->second;
    before = a.charged;
    doubted = a.maybe_billed > 0;
    if (a.open) {
      a.settled = true;
    } else {
      a.queue->waiting.erase({a.ready_at, s.where});
      --waiting_;
      drop_active(a);
      relist(*a.queue);
      active.erase(it);
    }
  } else {
    if (const auto past = home->history.find(s.where.local()); past != home->history.end()) {
      before = past->second.charged;
      doubted = past->second.maybe_billed > 0;
      if (past->second.in_flight) reserved = past->second.reserved;
    }
    if (home->held.erase(s.where.local()) == 0) (void)withdraw(*home, s.where);
  }
  home->history.erase(s.where.local());
  auto& books = books_of(*home, *job->second);
  if (doubted) --books.in_doubt;
  const auto more = std::max(nano_usd{}, s.charged - before);
  books.money.settle(reserved, more);
  const auto book = [&](lane_totals& t) {
    ++(s.answered ? t.answered : t.rejected);
    t.input += s.usage.input;
    t.cached += s.usage.cached;
    t.output += s.usage.output;
    tally_charge(t, now, more);
  };
  if (s.pool.empty()) return;
  book(books.of(s.pool, s.lane));
  if (const auto lane = find_lane(s.pool, s.lane)) {
    book(lanes_[lane->value()].state->totals());
    tally_charge(day_of(*home, *lane), now, more);
  }
}

attempt_record scheduler::reopen(attempt_record record, bool in_doubt, time_point now) {
  auto* home = home_of(record.where.partition());
  const auto job = jobs_.find(record.job);
  if (home == nullptr || job == jobs_.end()) return record;
  const auto local = record.where.local();
  auto& books = books_of(*home, *job->second);
  home->held.erase(local);
  bool doubted = false;
  if (const auto it = home->history.find(local); it != home->history.end()) {
    if (it->second.in_flight) books.money.settle(it->second.reserved, {});
    doubted = it->second.maybe_billed > 0;
  }
  if (in_doubt) {
    ++record.maybe_billed;
    record.charged += record.reserved;
    books.money.settle({}, record.reserved);
    const auto book = [&](lane_totals& t) {
      ++t.maybe_billed;
      tally_charge(t, now, record.reserved);
    };
    book(books.of(record.pool, record.lane));
    if (const auto lane = find_lane(record.pool, record.lane)) {
      book(lanes_[lane->value()].state->totals());
      tally_charge(day_of(*home, *lane), now, record.reserved);
    }
  } else {
    home->insisted.insert(local);
  }
  record.in_flight = false;
  record.reserved = {};
  if (record.maybe_billed > 0 && !doubted) ++books.in_doubt;
  if (record.maybe_billed == 0 && doubted) --books.in_doubt;
  home->history.insert_or_assign(local, record);
  return record;
}

}  // namespace spillway
