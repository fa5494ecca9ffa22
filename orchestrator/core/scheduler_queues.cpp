// Prompts on their way into the queues and, unsent, out of them; which bodies to load.
#include "orchestrator/core/scheduler.hpp"
#include "orchestrator/core/tally.hpp"
#include "schemas/result.hpp"

#include <algorithm>

namespace spillway {
namespace {

constexpr std::size_t loads_out_max = 16;     // shards asked for and not yet here
constexpr std::size_t loads_looked_at = 64;   // queues looked at for loads in one tick
constexpr std::size_t cancelled_max = 2'000;  // rows of one tick
constexpr std::uint32_t quarantine_deaths = 3;

}  // namespace

work_queue& scheduler::queue_for(partition_state& home, job_state& job, class_id id,
                                 prompt_features features) {
  auto& cls = class_of(job, id, features);
  auto& queue = cls.queues[home.owner];
  if (!queue) {
    queue = std::make_unique<work_queue>();
    queue->cls = &cls;
    queue->home = &home;
    queue->books = &books_of(home, job);
    home.queues.push_back(queue.get());
  }
  return *queue;
}

void scheduler::list(work_queue& queue) {
  queue.listed = listed_.size();
  listed_.push_back(&queue);
  auto& cls = *queue.cls;
  cls.work.push_back(&queue);
  if (cls.work.size() > 1) return;
  auto& job = *cls.job;
  job.work.push_back(&cls);
  if (job.work.size() > 1) return;
  // What it did not ask for meanwhile is nobody's debt.
  job.served = std::max(job.served, virtual_time_[job.setup.priority]);
  working_.push_back(&job);
}

void scheduler::unlist(work_queue& queue) {
  if (queue.listed == SIZE_MAX) return;
  listed_[queue.listed] = listed_.back();
  listed_[queue.listed]->listed = queue.listed;
  listed_.pop_back();
  queue.listed = SIZE_MAX;
  std::erase(queue.cls->work, &queue);
  if (!queue.cls->work.empty()) return;
  auto& job = *queue.cls->job;
  std::erase(job.work, queue.cls);
  if (job.work.empty()) {
    std::erase(working_, &job);
    job.progress = true;
    job.condition = job_condition::running;
  }
}

void scheduler::relist(work_queue& queue) {
  const bool wanted = queue.has_work() && !queue.home->suspended && !queue.home->gone;
  if (wanted && queue.listed == SIZE_MAX) list(queue);
  if (!wanted) unlist(queue);
}

void scheduler::touch(work_queue& queue) {
  if (queue.touched) return;
  queue.touched = true;
  touched_.push_back(&queue);
}

void scheduler::take_shard(shard_loaded&& shard, tick_actions& actions) {
  auto* home = home_of(shard.partition);
  if (home == nullptr) return;
  if (shard.why == reading::load) {
    ensure(!home->loads.empty(), "a shard nobody asked for");
    auto* queue = home->loads.front();
    home->loads.pop_front();
    --loads_out_;
    if (queue == nullptr) return;
    std::erase_if(shard.prompts, [&](const prompt& p) { return p.cls != queue->cls->id; });
    return queue_loaded(*queue, shard.shard, std::move(shard.prompts));
  }
  std::erase_if(shard.prompts, [&](prompt& p) { return refuse(*home, p, actions); });
  queue_by_class(*home, shard.shard, std::move(shard.prompts), shard.why == reading::first);
}

/// Prompts of one shard and job, in order.
void scheduler::queue_by_class(partition_state& home, shard_id shard, std::vector<prompt>&& prompts,
                               bool counted) {
  if (prompts.empty()) return;
  const auto job = jobs_.find(prompts.front().job);
  ensure(job != jobs_.end(), "a shard of an unknown job");
  std::map<std::pair<class_id, prompt_features>, std::vector<prompt>> by_class;
  for (auto& p : prompts) {
    const auto features = class_features(*job->second, p.cls, p.features);
    by_class[{p.cls, features}].push_back(std::move(p));
  }
  for (auto& [key, part] : by_class) {
    const auto features = class_features(*job->second, key.first, part.front().features);
    auto& queue = queue_for(home, *job->second, key.first, features);
    if (counted) queue.cls->prompts += std::ssize(part);
    for (const auto& p : part) queue.cls->asked |= p.features;
    queue_new(queue, shard, std::move(part));
  }
}

/// Lanes changed, and with them what tells prompts apart: those in memory find their class again.
void scheduler::look_again() {
  for (const auto& [owner, home] : owners_)
    if (!home->gone)
      for (std::size_t i = 0, n = home->queues.size(); i < n; ++i) requeue(*home->queues[i]);
  for (auto& part : stripes_)
    for (auto& [where, active] : part.active) requeue(active);
}

prompt_features scheduler::look_at(prompt& p) const {
  if (p.features == all_features && settings_.features_of && !limits_.at(p.cls.value()).empty())
    p.features = settings_.features_of(p);
  return p.features;
}

void scheduler::requeue(work_queue& queue) {
  auto& job = *queue.cls->job;
  std::map<shard_id, std::vector<prompt>> moved;
  for (auto* list : {&queue.fresh, &queue.suspects})
    std::erase_if(*list, [&](prompt& p) {
      if (class_features(job, p.cls, look_at(p)) == queue.cls->features) return false;
      queue.loaded_bytes -= p.text.size();
      resident_bytes_ -= p.text.size();
      moved[p.where.shard()].push_back(std::move(p));
      return true;
    });
  for (auto& [shard, prompts] : moved)
    queue_by_class(*queue.home, shard, std::move(prompts), false);
  relist(queue);
}

void scheduler::requeue(active_prompt& active) {
  auto& old = *active.queue;
  const auto features = class_features(*old.cls->job, active.what.cls, look_at(active.what));
  if (features == old.cls->features) return;
  auto& queue = queue_for(*old.home, *old.cls->job, active.what.cls, features);
  active.queue = &queue;
  if (active.open) return;
  old.waiting.erase({active.ready_at, active.what.where});
  queue.waiting.emplace(active.ready_at, active.what.where);
  relist(old);
  relist(queue);
}

/// True for a prompt that must not be queued: it gets an error row now, or waits for news.
bool scheduler::refuse(partition_state& home, prompt& p, tick_actions& actions) {
  const auto local = p.where.local();
  if (!home.held.empty() && home.held.contains(local)) return true;
  if (home.history.empty()) return false;
  const auto it = home.history.find(local);
  if (it == home.history.end()) return false;
  const auto& past = it->second;
  if (past.deaths >= quarantine_deaths) {
    finish_unsent(home, std::move(p), "quarantined",
                  std::to_string(past.deaths) +
                      " processes died while this prompt was in flight; it is not sent again",
                  actions);
    return true;
  }
  const auto job = jobs_.find(p.job);
  ensure(job != jobs_.end(), "a prompt of an unknown job");
  if (job->second->setup.policy.in_doubt == in_doubt_policy::hold && past.maybe_billed > 0 &&
      !home.insisted.contains(local)) {
    finish_unsent(home, std::move(p), "in_doubt",
                  "the prompt was in flight when the process stopped and may have "
                  "been billed; the in-doubt policy is to hold it",
                  actions);
    return true;
  }
  return false;
}

void scheduler::finish_unsent(partition_state& home, prompt&& p, const char* code,
                              std::string message, tick_actions& actions) {
  finish_action finish;
  finish.prompt.lane = no_lane;
  if (const auto it = home.history.find(p.where.local()); it != home.history.end()) {
    finish.prompt.lane = find_lane(it->second.pool, it->second.lane).value_or(no_lane);
    finish.prompt.sends = it->second.sends;
    finish.prompt.maybe_billed = it->second.maybe_billed;
    finish.cost = it->second.charged;
  }
  finish.prompt.what = std::move(p);
  finish.outcome.kind = outcome_kind::rejected;
  finish.outcome.error_code = code;
  finish.outcome.error_message = std::move(message);
  finish.owner = home.owner;
  note_finish(home, finish);
  actions.finishes.push_back(std::move(finish));
}

void scheduler::put_fresh(work_queue& queue, prompt&& p) {
  queue.loaded_bytes += p.text.size();
  resident_bytes_ += p.text.size();
  const auto& history = queue.home->history;
  if (!history.empty()) {
    const auto it = history.find(p.where.local());
    if (it != history.end() && it->second.deaths >= suspect_deaths)
      return queue.suspects.push_back(std::move(p));
  }
  queue.fresh.push_back(std::move(p));
}

bool scheduler::room_for(const work_queue& queue, std::size_t bytes) const {
  const auto sharing = listed_.size() + (queue.listed == SIZE_MAX ? 1 : 0);
  const auto held = queue.resident();
  const bool fits = resident_bytes_ + bytes <= settings_.window_bytes;
  if (held > 0) return fits && held + bytes <= settings_.window_bytes / sharing;
  // A class always gets something to send: the largest shard must fit somehow.
  return fits ||
         std::none_of(queue.cls->work.begin(), queue.cls->work.end(), [&](const work_queue* other) {
           return other != &queue && other->resident() > 0 && !other->too_dear;
         });
}

void scheduler::queue_new(work_queue& queue, shard_id shard, std::vector<prompt>&& prompts) {
  std::size_t bytes = 0;
  for (const auto& p : prompts) bytes += p.text.size();
  if (queue.unloaded.empty() && room_for(queue, bytes)) {
    for (auto& p : prompts) put_fresh(queue, std::move(p));
  } else {
    shard_slice slice{
        shard, static_cast<std::uint32_t>(std::min<std::size_t>(bytes, UINT32_MAX)), {}};
    for (const auto& p : prompts) {
      const auto index = static_cast<std::uint16_t>(p.where.index());
      if (!slice.ranges.empty() && slice.ranges.back().first + slice.ranges.back().count == index)
        ++slice.ranges.back().count;
      else
        slice.ranges.push_back({index, 1});
    }
    slice.ranges.shrink_to_fit();
    queue.unloaded.push_back(std::move(slice));
  }
  touch(queue);
  relist(queue);
}

void scheduler::queue_loaded(work_queue& queue, shard_id shard, std::vector<prompt>&& prompts) {
  // Answers to requests come in the order of the requests, so only the front can match.
  ensure(queue.requested > 0 && queue.unloaded.front().shard == shard,
         "shards were read in another order than asked for");
  const shard_slice slice = std::move(queue.unloaded.front());
  queue.unloaded.pop_front();
  --queue.requested;
  queue.requested_bytes -= slice.bytes;
  resident_bytes_ -= slice.bytes;
  std::size_t next = 0, expected = 0, found = 0;
  std::vector<prompt> others;  // since lanes changed
  for (const auto& r : slice.ranges) expected += r.count;
  for (auto& p : prompts) {
    const auto index = p.where.index();
    while (next < slice.ranges.size() &&
           index >= std::uint32_t{slice.ranges[next].first} + slice.ranges[next].count)
      ++next;
    if (next == slice.ranges.size() || index < slice.ranges[next].first) continue;
    ++found;
    if (class_features(*queue.cls->job, p.cls, p.features) == queue.cls->features)
      put_fresh(queue, std::move(p));
    else
      others.push_back(std::move(p));
  }
  ensure(found == expected, "a shard read again lacks prompts it had");
  queue_by_class(*queue.home, shard, std::move(others), false);
  touch(queue);
  relist(queue);
}

/// Prompts of cancelled jobs get their error rows as their bodies come in.
void scheduler::cancel_queued(tick_actions& actions) {
  std::size_t left = cancelled_max;
  for (auto* job : working_) {
    if (!job->setup.cancelled) continue;
    for (auto* cls : job->work)
      for (auto* queue : cls->work)
        if (!cancel_some(*queue, left, actions)) {
          actions.wake = time_point{};
          return;
        }
  }
}

bool scheduler::cancel_some(work_queue& queue, std::size_t& left, tick_actions& actions) {
  const char* const message = "the job was cancelled";
  touch(queue);
  for (auto* waiting : {&queue.fresh, &queue.suspects})
    for (; !waiting->empty(); waiting->pop_front()) {
      if (left-- == 0) return false;
      queue.loaded_bytes -= waiting->front().text.size();
      resident_bytes_ -= waiting->front().text.size();
      finish_unsent(*queue.home, std::move(waiting->front()), "cancelled", message, actions);
    }
  for (; !queue.waiting.empty(); queue.waiting.erase(queue.waiting.begin())) {
    if (left-- == 0) return false;
    const auto where = queue.waiting.begin()->second;
    auto& active = stripes_[stripe_of(where)].active;
    const auto it = active.find(where);
    drop_active(it->second);
    --waiting_;
    finish_action finish;
    finish.cost = it->second.charged;
    finish.prompt = std::move(it->second);
    active.erase(it);
    finish.outcome.kind = outcome_kind::rejected;
    finish.outcome.error_code = "cancelled";
    finish.outcome.error_message = message;
    finish.owner = queue.home->owner;
    note_finish(*queue.home, finish);
    actions.finishes.push_back(std::move(finish));
  }
  return true;
}

void scheduler::request_loads(tick_actions& actions) {
  if (draining_) return;
  for (auto* queue : touched_) request_loads_of(*queue, actions);
  // Others may have more room since the window is shared by fewer.
  for (auto n = std::min(listed_.size(), loads_looked_at); n > 0; --n) {
    load_turn_ = load_turn_ + 1 < listed_.size() ? load_turn_ + 1 : 0;
    request_loads_of(*listed_[load_turn_], actions);
  }
}

void scheduler::request_loads_of(work_queue& queue, tick_actions& actions) {
  const auto& job = *queue.cls->job;
  if (queue.listed == SIZE_MAX || (!job.may_send() && !job.setup.cancelled)) return;
  while (queue.requested < queue.unloaded.size() && loads_out_ < loads_out_max) {
    const auto& slice = queue.unloaded[queue.requested];
    if (!room_for(queue, slice.bytes)) break;
    queue.requested_bytes += slice.bytes;
    resident_bytes_ += slice.bytes;
    ++queue.requested;
    ++loads_out_;
    queue.home->loads.push_back(&queue);
    actions.load.push_back({queue.home->id, slice.shard});
  }
}

/// Takes a prompt that is not started out of its queue; true if it was in one.
bool scheduler::withdraw(partition_state& home, position where) {
  for (auto* queue : home.queues) {
    for (auto* list : {&queue->fresh, &queue->suspects}) {
      const auto it = std::find_if(list->begin(), list->end(),
                                   [&](const prompt& p) { return p.where == where; });
      if (it == list->end()) continue;
      queue->loaded_bytes -= it->text.size();
      resident_bytes_ -= it->text.size();
      list->erase(it);
      relist(*queue);
      return true;
    }
    for (auto& slice : queue->unloaded) {
      if (slice.shard != where.shard()) continue;
      const auto index = where.index();
      const auto r = std::find_if(slice.ranges.begin(), slice.ranges.end(), [&](const auto& range) {
        return index >= range.first && index < std::uint32_t{range.first} + range.count;
      });
      if (r == slice.ranges.end()) continue;
      const index_range behind{static_cast<std::uint16_t>(index + 1),
                               static_cast<std::uint16_t>(r->first + r->count - index - 1)};
      r->count = static_cast<std::uint16_t>(index - r->first);
      const auto next = r->count == 0 ? slice.ranges.erase(r) : std::next(r);
      if (behind.count > 0) slice.ranges.insert(next, behind);
      return true;
    }
  }
  return false;
}

}  // namespace spillway
