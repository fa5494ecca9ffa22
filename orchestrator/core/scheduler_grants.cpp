// The sending half of a tick: which prompts go now, through which lane, and which bodies to load.
#include "orchestrator/core/scheduler.hpp"

#include "schemas/result.hpp"

#include <algorithm>
#include <limits>

namespace spillway {
namespace {

constexpr std::size_t ready_waiting_max = 256;  // retries looked at in one tick and class
constexpr std::size_t loads_out_max = 16;       // shards asked for and not yet here

}  // namespace

void scheduler::take_shard(shard_loaded&& shard, tick_actions& actions) {
  if (!shard.first_reading) --loads_out_;
  std::vector<std::vector<prompt>> by_class(classes_.size());
  for (auto& p : shard.prompts)
    if (!shard.first_reading || !hold_in_doubt(p, actions))
      by_class[p.cls.value()].push_back(std::move(p));
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    if (shard.first_reading) {
      if (!by_class[c].empty())
        queue_first_reading(classes_[c], shard.shard, std::move(by_class[c]));
    } else {
      queue_loaded(classes_[c], shard.shard, std::move(by_class[c]));
    }
  }
}

bool scheduler::hold_in_doubt(prompt& p, tick_actions& actions) {
  if (settings_.job.in_doubt != in_doubt_policy::hold) return false;
  const auto it = history_.find(p.where.value());
  if (it == history_.end() || it->second.maybe_billed == 0) return false;
  finish_action finish;
  finish.prompt.lane = no_lane;
  for (std::uint32_t i = 0; i < lanes_.size(); ++i)
    if (lanes_[i].setup().pool == it->second.pool &&
        lanes_[i].setup().config.name() == it->second.lane)
      finish.prompt.lane = lane_id(i);
  finish.prompt.sends = it->second.sends;
  finish.prompt.maybe_billed = it->second.maybe_billed;
  finish.prompt.what = std::move(p);
  finish.outcome.kind = outcome_kind::rejected;
  finish.outcome.error_code = "in_doubt";
  finish.outcome.error_message =
      "the prompt was in flight when the process stopped and may have "
      "been billed; the in-doubt policy is to hold it";
  finish.cost = it->second.charged;
  actions.finishes.push_back(std::move(finish));
  return true;
}

void scheduler::put_fresh(class_state& cls, prompt&& p) {
  cls.queue.loaded_bytes += p.text.size();
  cls.queue.stripes[stripe_of(p.where)].fresh.push_back(std::move(p));
}

void scheduler::queue_first_reading(class_state& cls, shard_id shard,
                                    std::vector<prompt>&& prompts) {
  std::size_t bytes = 0;
  for (const auto& p : prompts) bytes += p.text.size();
  auto& queue = cls.queue;
  const auto room = settings_.window_bytes / classes_.size();
  if (queue.unloaded.empty() && (queue.loaded_bytes == 0 || queue.loaded_bytes + bytes <= room)) {
    for (auto& p : prompts) put_fresh(cls, std::move(p));
    return;
  }
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

void scheduler::queue_loaded(class_state& cls, shard_id shard, std::vector<prompt>&& prompts) {
  auto& queue = cls.queue;
  // Answers to requests come in the order of the requests, so only the front can match.
  if (queue.requested == 0 || queue.unloaded.front().shard != shard) return;
  const shard_slice slice = std::move(queue.unloaded.front());
  queue.unloaded.pop_front();
  --queue.requested;
  queue.requested_bytes -= slice.bytes;
  std::size_t next = 0, expected = 0, found = 0;
  for (const auto& r : slice.ranges) expected += r.count;
  for (auto& p : prompts) {
    const auto index = p.where.index();
    while (next < slice.ranges.size() &&
           index >= std::uint32_t{slice.ranges[next].first} + slice.ranges[next].count)
      ++next;
    if (next == slice.ranges.size() || index < slice.ranges[next].first) continue;
    put_fresh(cls, std::move(p));
    ++found;
  }
  ensure(found == expected, "a shard read again lacks prompts it had");
}

void scheduler::request_loads(tick_actions& actions) {
  if (draining_ || classes_.empty()) return;
  const auto room = settings_.window_bytes / classes_.size();
  for (auto& cls : classes_) {
    auto& queue = cls.queue;
    while (queue.requested < queue.unloaded.size() && loads_out_ < loads_out_max) {
      const auto& slice = queue.unloaded[queue.requested];
      const auto held = queue.loaded_bytes + queue.requested_bytes;
      if (held > 0 && held + slice.bytes > room) break;
      queue.requested_bytes += slice.bytes;
      ++queue.requested;
      ++loads_out_;
      actions.load.push_back(slice.shard);
    }
  }
}

void scheduler::rank_lanes(time_point now) {
  if (ranked_at_ != time_point{} && now - ranked_at_ < std::chrono::seconds(1)) return;
  ranked_at_ = now;
  for (auto& cls : classes_) {
    const auto key = [&](lane_id id) {
      const auto& l = lanes_[id.value()];
      if (settings_.job.order == lane_order::latency)
        return l.mean_latency() ? seconds_of(*l.mean_latency()) : 0.0;
      if (settings_.job.order == lane_order::as_listed) return 0.0;
      const auto cost = l.typical_cost(tokens(static_cast<std::int64_t>(cls.input_mean)),
                                       tokens(static_cast<std::int64_t>(cls.output_mean)));
      return cost.value_or(std::numeric_limits<double>::infinity());
    };
    std::sort(cls.ranked.begin(), cls.ranked.end(),
              [&](lane_id a, lane_id b) { return std::pair(key(a), a) < std::pair(key(b), b); });
  }
}

std::vector<scheduler::grant> scheduler::grant_permits(time_point now, tick_actions& actions) {
  std::vector<grant> grants;
  money_short_ = day_short_ = progress_possible_ = false;
  stalled_model_.clear();
  if (draining_ || classes_.empty()) return grants;
  std::vector<cursor> cursors;
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    const class_id id(static_cast<std::uint32_t>((first_class_ + i) % classes_.size()));
    if (pending(classes_[id.value()])) cursors.push_back(cursor_for(now, id));
  }
  first_class_ = (first_class_ + 1) % classes_.size();
  // Where nothing is left to hope for, no further probe goes out: the last ones may end.
  if (!cursors.empty() && std::all_of(cursors.begin(), cursors.end(), [&](const cursor& c) {
        return stalled(now, classes_[c.cls.value()]);
      })) {
    stalled_model_ = classes_[cursors.front().cls.value()].queue.model;
    return grants;
  }
  for (std::size_t open = cursors.size(); open > 0;) {
    open = 0;
    for (auto& c : cursors) {
      if (c.done) continue;
      c.done = !grant_next(now, c, grants, actions);
      if (!c.done) ++open;
    }
  }
  for (const auto& c : cursors) {  // retries whose time, or turn, has not come yet
    const auto& cls = classes_[c.cls.value()];
    if (c.more_ready)
      for (const lane_id id : cls.ranked)
        actions.wake = std::min(actions.wake, std::max(lanes_[id.value()].ready_at(now, {}),
                                                       now + std::chrono::milliseconds(10)));
    for (const auto& part : cls.queue.stripes) {
      const auto later = part.waiting.lower_bound({now + duration(1), 0});
      if (later == part.waiting.end()) continue;
      actions.wake = std::min(actions.wake, later->first);
      // A retry to come is no hope where all lanes have been down for too long.
      if (stalled(now, cls))
        stalled_model_ = cls.queue.model;
      else
        progress_possible_ = true;
    }
  }
  return grants;
}

scheduler::cursor scheduler::cursor_for(time_point now, class_id id) {
  cursor c{.cls = id, .ready = {}};
  for (const auto& part : classes_[id.value()].queue.stripes)
    for (const auto& [at, where] : part.waiting) {
      if (at > now) break;
      c.ready.push_back(where);
    }
  std::sort(c.ready.begin(), c.ready.end());
  if (c.ready.size() > ready_waiting_max) {
    ready_offset_ = (ready_offset_ + ready_waiting_max) % c.ready.size();
    std::rotate(c.ready.begin(), c.ready.begin() + static_cast<std::ptrdiff_t>(ready_offset_),
                c.ready.end());
    c.ready.resize(ready_waiting_max);
    c.more_ready = true;
  }
  return c;
}

bool scheduler::any_lane_open(time_point now, const class_state& cls) const {
  return std::any_of(cls.ranked.begin(), cls.ranked.end(), [&](lane_id id) {
    return lanes_[id.value()].check(now, {}) == refusal::none;
  });
}

bool scheduler::grant_next(time_point now, cursor& c, std::vector<grant>& grants,
                           tick_actions& actions) {
  auto& cls = classes_[c.cls.value()];
  static const std::vector<lane_id> all_fit;
  while (c.next_ready < c.ready.size()) {
    const auto where = position::from_value(c.ready[c.next_ready++]);
    auto& active = stripes_[stripe_of(where)].active.at(where.value());
    auto& down_since = active.unfit.empty() ? cls.down_since : active.down_since;
    grant g{.where = where, .cls = c.cls, .fresh = false, .lane = {}, .cost = {}, .call = {}};
    if (choose_lane(now, cls, active.size(), active.unfit, down_since, g, actions) ==
        choice::granted) {
      grants.push_back(g);
      return true;
    }
    if (!any_lane_open(now, cls)) return false;
  }

  std::size_t bytes = 0;
  for (const auto& s : stripes_) bytes += s.bytes;
  const prompt* head = nullptr;
  for (std::size_t s = 0; s < stripe_count; ++s) {
    const auto& fresh = cls.queue.stripes[s].fresh;
    if (c.taken[s] < fresh.size() && (!head || fresh[c.taken[s]].where < head->where))
      head = &fresh[c.taken[s]];
  }
  if (!head) {
    if (!cls.queue.unloaded.empty()) progress_possible_ = true;
    return false;
  }
  if (bytes > settings_.window_bytes) return false;  // started prompts come first
  const prompt_size size{static_cast<std::int64_t>(head->body.length), head->images, head->choices,
                         head->max_output};
  grant g{.where = head->where, .cls = c.cls, .fresh = true, .lane = {}, .cost = {}, .call = {}};
  if (choose_lane(now, cls, size, all_fit, cls.down_since, g, actions) != choice::granted)
    return false;
  ++c.taken[stripe_of(g.where)];
  cls.queue.loaded_bytes -= head->text.size();
  grants.push_back(g);
  return true;
}

scheduler::choice scheduler::choose_lane(time_point now, const class_state& cls,
                                         const prompt_size& size, const std::vector<lane_id>& unfit,
                                         std::optional<time_point>& down_since, grant& g,
                                         tick_actions& actions) {
  bool affordable = false, usable = false;
  for (const lane_id id : cls.ranked) {
    if (std::find(unfit.begin(), unfit.end(), id) != unfit.end()) continue;
    auto& l = lanes_[id.value()];
    const auto cost = l.cost_for(size);
    if (!money_.fits(cost.reserve)) {
      money_short_ = true;
      continue;
    }
    if (l.never_fits(cost)) {
      day_short_ = true;
      continue;
    }
    affordable = true;
    usable = usable || l.usable();
    if (l.check(now, cost) != refusal::none) {
      actions.wake = std::min(actions.wake, l.ready_at(now, cost));
      continue;
    }
    l.take(now, cost);
    money_.reserve(cost.reserve);
    if (id != cls.ranked.front()) {
      ++l.totals().spilled_in;
      ++lanes_[cls.ranked.front().value()].totals().spilled_out;
    }
    g.lane = id;
    g.cost = cost;
    g.call = call_id(next_call_++);
    ++in_flight_;
    progress_possible_ = true;
    if (l.usable()) down_since.reset();
    return choice::granted;
  }
  if (!affordable) return choice::too_dear;
  note_blocked(now, down_since, usable, cls, actions);
  return choice::blocked;
}

bool scheduler::stalled(time_point now, const class_state& cls) const {
  return cls.down_since && now >= *cls.down_since + settings_.job.stall_timeout &&
         std::none_of(cls.ranked.begin(), cls.ranked.end(),
                      [&](lane_id id) { return lanes_[id.value()].usable(); });
}

void scheduler::note_blocked(time_point now, std::optional<time_point>& down_since, bool usable,
                             const class_state& cls, tick_actions& actions) {
  if (usable) {
    down_since.reset();
    progress_possible_ = true;
    return;
  }
  if (!down_since) down_since = now;
  const auto end = *down_since + settings_.job.stall_timeout;
  if (now >= end) {
    stalled_model_ = cls.queue.model;
    return;
  }
  progress_possible_ = true;
  actions.wake = std::min(actions.wake, end);
}

void scheduler::start_calls(std::vector<grant>& grants, stripe_runner& stripes,
                            tick_actions& actions) {
  if (grants.empty()) return;
  actions.sends.resize(grants.size());
  for (std::size_t i = 0; i < grants.size(); ++i) {
    stripes_[stripe_of(grants[i].where)].todo.push_back(i);
    if (!grants[i].fresh) --waiting_;
  }
  stripes.for_each_stripe(grants.size(), [&](std::size_t s) {
    for (const std::size_t i : stripes_[s].todo)
      actions.sends[i] = {start_call(grants[i]), grants[i].call};
    stripes_[s].todo.clear();
  });
  for (const auto& send : actions.sends)
    if (send.prompt->sends > 1) ++lanes_[send.prompt->lane.value()].totals().retries;
}

const active_prompt* scheduler::start_call(const grant& g) {
  auto& s = stripes_[stripe_of(g.where)];
  auto& part = classes_[g.cls.value()].queue.stripes[stripe_of(g.where)];
  active_prompt* active = nullptr;
  if (g.fresh) {
    ensure(!part.fresh.empty() && part.fresh.front().where == g.where, "grants out of order");
    active = &s.active[g.where.value()];
    active->what = std::move(part.fresh.front());
    part.fresh.pop_front();
    s.bytes += active->what.text.size();
    if (const auto it = history_.find(g.where.value()); it != history_.end()) {
      active->sends = it->second.sends;
      active->attempts = it->second.attempts;
      active->maybe_billed = it->second.maybe_billed;
      active->charged = it->second.charged;
    }
  } else {
    active = &s.active.at(g.where.value());
    ensure(part.waiting.erase({active->ready_at, g.where.value()}) == 1,
           "a grant for a prompt that does not wait");
  }
  active->lane = g.lane;
  active->cost = g.cost;
  active->call = g.call;
  active->open = true;
  ++active->sends;
  return active;
}

}  // namespace spillway
