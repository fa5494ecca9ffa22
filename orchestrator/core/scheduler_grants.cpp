// The sending half of a tick: which prompts go now, and through which lane.
#include "orchestrator/core/scheduler.hpp"
#include "orchestrator/core/served.hpp"
#include "orchestrator/core/tally.hpp"
#include "schemas/result.hpp"

#include <algorithm>

namespace spillway {
namespace {

constexpr std::size_t ready_waiting_max = 256;  // retries looked at in one tick and queue
// A prompt that failed so often is no probe while a lane works: it might be what fails.
constexpr std::uint32_t no_probe_failures = 2;

/// Orders a heap: true if `a` goes after `b`.
bool goes_later(const job_state* a, const job_state* b) {
  if (a->setup.priority != b->setup.priority) return a->setup.priority < b->setup.priority;
  return std::pair(a->served, a->id) > std::pair(b->served, b->id);
}

bool soon_again(refusal r) {
  return r == refusal::slots || r == refusal::requests || r == refusal::token_rate;
}

}  // namespace

std::vector<scheduler::grant> scheduler::grant_permits(time_point now, tick_actions& actions) {
  std::vector<grant> grants;
  if (draining_) return grants;
  auto jobs = jobs_in_turn(now);
  std::make_heap(jobs.begin(), jobs.end(), goes_later);
  while (!jobs.empty()) {
    std::pop_heap(jobs.begin(), jobs.end(), goes_later);
    if (grant_of_job(now, *jobs.back(), grants, actions))
      std::push_heap(jobs.begin(), jobs.end(), goes_later);
    else
      jobs.pop_back();
  }
  wake_for_retries(now, actions);
  return grants;
}

std::vector<job_state*> scheduler::jobs_in_turn(time_point now) {
  std::vector<job_state*> jobs;
  for (auto& entry : lanes_) entry.wanted_by = nullptr;
  for (auto* job : working_) {
    job->money_short = job->day_short = job->progress = false;
    job->stalled_model.clear();
    if (!job->may_send()) continue;
    // Where nothing is left to hope for, no further probe goes out: the last ones may end.
    if (settings_.gives_up && std::all_of(job->work.begin(), job->work.end(),
                                          [&](auto* cls) { return stalled(now, *cls); })) {
      job->stalled_model = job->work.front()->model;
      continue;
    }
    job->turn = (job->turn + 1) % job->work.size();
    const auto behind = virtual_time_[job->setup.priority] - served_by(served_credit_max, 1);
    job->served = std::max(job->served, behind);
    jobs.push_back(job);
  }
  return jobs;
}

bool scheduler::grant_of_job(time_point now, job_state& job, std::vector<grant>& grants,
                             tick_actions& actions) {
  for (std::size_t n = job.work.size(); n > 0; --n) {
    auto& cls = *job.work[job.turn % job.work.size()];
    job.turn = (job.turn + 1) % job.work.size();
    if (cls.closed_at == tick_) continue;
    if (!grant_of_class(now, cls, grants, actions)) {
      cls.closed_at = tick_;
      continue;
    }
    auto& clock = virtual_time_[job.setup.priority];
    clock = std::max(clock, job.served);
    job.served += served_by(grants.back().cost.rate, job.setup.weight);
    return true;
  }
  return false;
}

bool scheduler::grant_of_class(time_point now, class_state& cls, std::vector<grant>& grants,
                               tick_actions& actions) {
  bool none_open = false;
  for (std::size_t n = cls.work.size(); n > 0; --n) {
    auto& queue = *cls.work[cls.turn % cls.work.size()];
    cls.turn = (cls.turn + 1) % cls.work.size();
    if (queue.tick != tick_) {
      queue.tick = tick_;
      queue.closed = queue.more_ready = queue.too_dear = false;
      look_at_retries(now, queue);
    }
    if (queue.closed) continue;
    const auto got = grant_of_queue(now, queue, grants, actions);
    if (got == choice::granted) return true;
    queue.closed = true;
    queue.too_dear = got == choice::too_dear;
    // Without a lane that takes anything, the other partitions need not be asked.
    if (got == choice::blocked && !any_lane_open(now, cls)) none_open = true;
    if (none_open) return false;
  }
  return false;
}

void scheduler::look_at_retries(time_point now, work_queue& queue) {
  auto& ready = queue.ready;
  ready.clear();
  queue.next_ready = 0;
  for (const auto& [at, where] : queue.waiting) {
    if (at > now) break;
    ready.push_back(where);
  }
  std::sort(ready.begin(), ready.end());
  const auto& ranked = queue.cls->ranked;
  queue.probes_only =
      std::none_of(ranked.begin(), ranked.end(), [&](lane_id id) { return lane_at(id).usable(); });
  // Probes are shared out, so that no prompt is all of them.
  if (queue.probes_only)
    std::stable_sort(ready.begin(), ready.end(),
                     [&](position a, position b) { return failures_of(a) < failures_of(b); });
  if (ready.size() <= ready_waiting_max) return;
  ready_offset_ = (ready_offset_ + ready_waiting_max) % ready.size();
  if (!queue.probes_only)
    std::rotate(ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(ready_offset_),
                ready.end());
  ready.resize(ready_waiting_max);
  queue.more_ready = true;
}

std::uint32_t scheduler::failures_of(position where) const {
  return stripes_[stripe_of(where)].active.at(where).failures();
}

bool scheduler::any_lane_open(time_point now, const class_state& cls) const {
  return std::any_of(cls.ranked.begin(), cls.ranked.end(),
                     [&](lane_id id) { return lane_at(id).check(now, {}) == refusal::none; });
}

scheduler::choice scheduler::grant_retry(time_point now, work_queue& queue,
                                         std::vector<grant>& grants, tick_actions& actions) {
  auto& cls = *queue.cls;
  while (queue.next_ready < queue.ready.size()) {
    const auto where = queue.ready[queue.next_ready++];
    auto& active = stripes_[stripe_of(where)].active.at(where);
    if (active.deaths >= suspect_deaths && suspects_open_ > 0) continue;
    auto& down_since = active.unfit.empty() ? cls.down_since : active.down_since;
    grant g;
    g.where = where;
    const candidate what{active.size(), active.failures(), &active.unfit, &down_since};
    if (choose_lane(now, queue, what, g, actions) == choice::granted) {
      if (active.deaths >= suspect_deaths) ++suspects_open_;
      queue.waiting.erase({active.ready_at, where});
      --waiting_;
      grants.push_back(std::move(g));
      return choice::granted;
    }
    if (!any_lane_open(now, cls)) return choice::blocked;
  }
  return choice::too_dear;
}

scheduler::choice scheduler::grant_of_queue(time_point now, work_queue& queue,
                                            std::vector<grant>& grants, tick_actions& actions) {
  const bool retries = queue.next_ready < queue.ready.size();
  if (retries && queue.probes_only && failures_of(queue.ready[queue.next_ready]) > 0 &&
      grant_fresh(now, queue, grants, actions) == choice::granted)
    return choice::granted;
  if (retries) {
    const auto got = grant_retry(now, queue, grants, actions);
    if (got != choice::too_dear) return got;
  }
  return grant_fresh(now, queue, grants, actions);
}

scheduler::choice scheduler::grant_fresh(time_point now, work_queue& queue,
                                         std::vector<grant>& grants, tick_actions& actions) {
  static const std::vector<lane_id> all_fit;
  auto& cls = *queue.cls;
  auto& job = *cls.job;
  const bool suspect = !queue.suspects.empty() && suspects_open_ == 0;
  auto& from = suspect ? queue.suspects : queue.fresh;
  if (from.empty()) {
    // Bodies will come, and so will the turn of the next suspect.
    if (!queue.unloaded.empty() || !queue.suspects.empty()) job.progress = true;
    return choice::blocked;
  }
  // Started prompts come first; a job is stopped by others' only beyond its own part.
  if (active_bytes_ > settings_.window_bytes &&
      job.active_bytes > settings_.window_bytes / working_.size())
    return choice::blocked;
  const auto& head = from.front();
  const auto size = size_of(head);
  grant g;
  g.where = head.where;
  g.fresh = true;
  const auto got = choose_lane(now, queue, {size, 0, &all_fit, &cls.down_since}, g, actions);
  if (got != choice::granted) return got;
  const auto bytes = head.text.size();
  queue.loaded_bytes -= bytes;
  resident_bytes_ -= bytes;
  if (suspect) ++suspects_open_;
  g.what = std::move(from.front());
  from.pop_front();
  grants.push_back(std::move(g));
  return choice::granted;
}

scheduler::choice scheduler::choose_lane(time_point now, work_queue& queue, const candidate& what,
                                         grant& g, tick_actions& actions) {
  auto& cls = *queue.cls;
  auto& job = *cls.job;
  const auto& unfit = *what.unfit;
  auto& down_since = *what.down_since;
  bool affordable = cls.ranked.empty(), usable = false;
  std::optional<std::pair<lane_id, call_cost>> last_resort;
  for (const lane_id id : cls.ranked) {
    if (!unfit.empty() && std::find(unfit.begin(), unfit.end(), id) != unfit.end()) continue;
    auto& entry = lanes_[id.value()];
    auto& l = *entry.state;
    const auto cost = l.cost_for(what.size);
    if (!queue.books->money.fits(cost.reserve)) {
      job.money_short = true;
      continue;
    }
    if (l.never_fits(cost)) {
      job.day_short = true;
      continue;
    }
    affordable = true;
    usable = usable || l.usable();
    const auto why = l.check(now, cost);
    if (why == refusal::none && (entry.wanted_by == nullptr || entry.wanted_by == &job)) {
      if (what.failures >= no_probe_failures && l.probing(now)) {
        if (!last_resort) last_resort.emplace(id, cost);
        continue;
      }
      take_permit(now, queue, id, cost, g);
      if (l.usable()) down_since.reset();
      return choice::granted;
    }
    if (why != refusal::none) actions.wake = std::min(actions.wake, l.ready_at(now, cost));
    // A small prompt of another job must not take what a larger one in turn waits for.
    if (soon_again(why) && entry.wanted_by == nullptr) entry.wanted_by = &job;
  }
  if (last_resort && !usable) {
    take_permit(now, queue, last_resort->first, last_resort->second, g);
    return choice::granted;
  }
  if (!affordable) return choice::too_dear;
  note_blocked(now, down_since, usable, cls, actions);
  return choice::blocked;
}

void scheduler::take_permit(time_point now, work_queue& queue, lane_id id, const call_cost& cost,
                            grant& g) {
  auto& home = *queue.home;
  auto& job = *queue.cls->job;
  auto& l = *lanes_[id.value()].state;
  auto& own = queue.books->of(id, l.setup());
  g.probe = l.probing(now);
  l.take(now, cost);
  tally_send(own, now);
  if (id.value() >= home.day.size()) home.day.resize(id.value() + 1);
  tally_send(home.day[id.value()], now);
  queue.books->money.reserve(cost.reserve);
  if (const auto first = queue.cls->ranked.front(); id != first) {
    auto& best = *lanes_[first.value()].state;
    ++l.totals().spilled_in;
    ++own.spilled_in;
    ++best.totals().spilled_out;
    ++queue.books->of(first, best.setup()).spilled_out;
  }
  if (auto& cls = *queue.cls; !cls.shares.empty()) {
    cls.shares.took(id);
    cls.shares.order(cls.ranked);
  }
  ++queue.books->open;
  ++home.open;
  ++job.open;
  ++in_flight_;
  g.queue = &queue;
  g.lane = id;
  g.cost = cost;
  g.call = call_id(next_call_++);
  job.progress = true;
  touch(queue);
}

bool scheduler::any_usable(const class_state& cls) const {
  return std::any_of(cls.ranked.begin(), cls.ranked.end(),
                     [&](lane_id id) { return lane_at(id).usable(); });
}

bool scheduler::stalled(time_point now, const class_state& cls) const {
  return cls.down_since && now >= *cls.down_since + cls.job->setup.policy.stall_timeout &&
         !any_usable(cls);
}

void scheduler::note_blocked(time_point now, std::optional<time_point>& down_since, bool usable,
                             class_state& cls, tick_actions& actions) {
  auto& job = *cls.job;
  if (usable) {
    down_since.reset();
    job.progress = true;
    return;
  }
  if (!down_since) down_since = now;
  const auto end = *down_since + job.setup.policy.stall_timeout;
  if (now >= end) {
    job.stalled_model = cls.model;
    return;
  }
  job.progress = true;
  actions.wake = std::min(actions.wake, end);
}

/// Retries whose time, or turn, has not come yet.
void scheduler::wake_for_retries(time_point now, tick_actions& actions) {
  if (waiting_ == 0) return;
  for (const auto* queue : listed_) {
    auto& cls = *queue->cls;
    if (queue->waiting.empty() || !cls.job->may_send()) continue;
    if (queue->tick == tick_ && queue->more_ready)
      for (const lane_id id : cls.ranked)
        actions.wake = std::min(actions.wake, std::max(lane_at(id).ready_at(now, {}),
                                                       now + std::chrono::milliseconds(10)));
    const auto later = queue->waiting.lower_bound({now + duration(1), position{}});
    if (later == queue->waiting.end()) continue;
    actions.wake = std::min(actions.wake, later->first);
    // Where all prompts wait for their next try, nobody else finds the lanes down; then a retry to
    // come is no hope in the end.
    note_blocked(now, cls.down_since, any_usable(cls), cls, actions);
  }
}

void scheduler::start_calls(std::vector<grant>& grants, stripe_runner& stripes,
                            tick_actions& actions) {
  if (grants.empty()) return;
  actions.sends.resize(grants.size());
  for (std::size_t i = 0; i < grants.size(); ++i) {
    const auto& g = grants[i];
    stripes_[stripe_of(g.where)].todo.push_back(i);
    if (!g.fresh) continue;
    active_bytes_ += g.what.text.size();
    g.queue->cls->job->active_bytes += g.what.text.size();
  }
  stripes.for_each_stripe(grants.size(), [&](std::size_t s) {
    for (const std::size_t i : stripes_[s].todo)
      actions.sends[i] = {start_call(grants[i]), grants[i].call};
    stripes_[s].todo.clear();
  });
  for (const auto& send : actions.sends) {
    if (send.prompt->sends <= 1) continue;
    auto& l = *lanes_[send.prompt->lane.value()].state;
    ++l.totals().retries;
    ++send.prompt->queue->books->of(send.prompt->lane, l.setup()).retries;
  }
}

const active_prompt* scheduler::start_call(grant& g) {
  auto& s = stripes_[stripe_of(g.where)];
  active_prompt* active = nullptr;
  if (g.fresh) {
    active = &s.active[g.where];
    active->what = std::move(g.what);
    active->queue = g.queue;
    if (const auto& history = g.queue->home->history; !history.empty())
      if (const auto it = history.find(g.where.local()); it != history.end()) {
        active->sends = it->second.sends;
        active->attempts = it->second.attempts;
        active->maybe_billed = it->second.maybe_billed;
        active->charged = it->second.charged;
        active->deaths = it->second.deaths;
      }
  } else {
    active = &s.active.at(g.where);
  }
  active->lane = g.lane;
  active->cost = g.cost;
  active->call = g.call;
  active->probe = g.probe;
  active->open = true;
  ++active->sends;
  return active;
}

}  // namespace spillway
