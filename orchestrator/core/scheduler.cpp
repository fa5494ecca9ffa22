#include "orchestrator/core/scheduler.hpp"

#include "orchestrator/core/retry.hpp"
#include "schemas/result.hpp"

#include <algorithm>

namespace spillway {
namespace {

/// Fail closed: a lane is allowed only if everything it may touch is allowed.
bool residency_allows(const std::optional<std::vector<std::string>>& allowed,
                      const std::vector<std::string>& lane) {
  if (!allowed) return true;
  return !lane.empty() && std::all_of(lane.begin(), lane.end(), [&](const std::string& place) {
    return std::find(allowed->begin(), allowed->end(), place) != allowed->end();
  });
}

}  // namespace

scheduler::scheduler(scheduler_settings settings, std::vector<lane_setup> lanes,
                     std::span<const named_totals> totals, std::span<const attempt_record> history,
                     time_point now)
    : settings_(std::move(settings)), money_(settings_.job.budget) {
  for (auto& setup : lanes) lanes_.emplace_back(std::move(setup), now);
  for (const auto& record : totals) {
    money_.settle({}, record.totals.settled);
    for (auto& l : lanes_)
      if (l.setup().pool == record.pool && l.setup().config.name() == record.lane)
        l.totals() = record.totals;
  }
  for (const auto& record : history) history_.emplace(record.where.value(), record);

  for (std::uint32_t i = 0; i < lanes_.size(); ++i) {
    const auto& config = lanes_[i].setup().config;
    auto& index = class_index_[config.model];
    if (!residency_allows(settings_.job.residency, config.residency)) continue;
    for (std::size_t e = 0; e < endpoint_kinds; ++e) {
      if (!index[e]) {
        index[e] = class_id(static_cast<std::uint32_t>(classes_.size()));
        classes_.emplace_back();
        classes_.back().queue.model = config.model;
        classes_.back().queue.endpoint = static_cast<endpoint_kind>(e);
      }
      classes_[index[e]->value()].ranked.push_back(lane_id(i));
    }
  }
}

std::optional<class_id> scheduler::class_for(std::string_view model, endpoint_kind kind) const {
  const auto it = class_index_.find(std::string(model));
  if (it == class_index_.end()) return std::nullopt;
  return it->second[static_cast<std::size_t>(kind)];
}

bool scheduler::offers(std::string_view model) const {
  return class_index_.contains(std::string(model));
}

tick_actions scheduler::tick(time_point now, tick_events events, stripe_runner& stripes) {
  tick_actions actions;
  draining_ = draining_ || events.drain;
  for (auto& shard : events.shards) take_shard(std::move(shard), actions);
  input_read_ = input_read_ || events.input_read;
  retire(now, std::move(events.calls), stripes, actions);
  rank_lanes(now);
  auto grants = grant_permits(now, actions);
  start_calls(grants, stripes, actions);
  request_loads(actions);
  decide_stop(actions);
  return actions;
}

void scheduler::retire(time_point now, std::vector<call_ended>&& calls, stripe_runner& stripes,
                       tick_actions& actions) {
  if (calls.empty()) return;
  std::sort(calls.begin(), calls.end(), [](const call_ended& a, const call_ended& b) {
    return std::pair(a.where, a.call) < std::pair(b.where, b.call);
  });
  // Lanes and money are shared by all stripes: they see the answers one by one, in this order.
  std::vector<nano_usd> charges(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto& ended = calls[i];
    auto& part = stripes_[stripe_of(ended.where)];
    const auto it = part.active.find(ended.where.value());
    ensure(it != part.active.end() && it->second.open && it->second.call == ended.call,
           "an answer for a call that is not open");
    const auto& active = it->second;
    auto& l = lanes_[active.lane.value()];
    charges[i] =
        l.end_call(now, active.cost, active.size(), ended.outcome, ended.done_at - ended.sent_at);
    money_.settle(active.cost.reserve, charges[i]);
    if (ended.outcome.down == down_cause::auth || ended.outcome.down == down_cause::billing)
      for (auto& other : lanes_)
        if (&other != &l && other.setup().pool_index == l.setup().pool_index)
          other.stop(now, ended.outcome.down, ended.outcome.error_code);
    if (ended.outcome.kind == outcome_kind::answered && ended.outcome.usage.known) {
      auto& cls = classes_[active.what.cls.value()];
      const auto& usage = ended.outcome.usage;
      cls.input_mean += (static_cast<double>(usage.input.count()) - cls.input_mean) / 64;
      cls.output_mean += (static_cast<double>(usage.output.count()) - cls.output_mean) / 64;
    }
    if (ended.outcome.kind == outcome_kind::answered)
      classes_[active.what.cls.value()].down_since.reset();
    part.todo.push_back(i);
  }
  in_flight_ -= static_cast<std::int64_t>(calls.size());

  stripes.for_each_stripe(calls.size(), [&](std::size_t s) {
    for (const std::size_t i : stripes_[s].todo)
      retire_one(now, stripes_[s], std::move(calls[i]), charges[i]);
    stripes_[s].todo.clear();
  });

  for (auto& part : stripes_) {
    for (auto& finish : part.finishes) {
      const bool failed = finish.outcome.kind != outcome_kind::answered;
      if (failed)
        ++lanes_[finish.prompt.lane.value()].totals().rejected;
      else
        ++lanes_[finish.prompt.lane.value()].totals().answered;
      note_final(failed);
      actions.finishes.push_back(std::move(finish));
    }
    for (auto& record : part.ended) actions.ended.push_back(std::move(record));
    waiting_ += part.to_waiting;
    part.to_waiting = 0;
    part.finishes.clear();
    part.ended.clear();
  }
}

void scheduler::retire_one(time_point now, stripe& s, call_ended&& ended, nano_usd charge) {
  const auto it = s.active.find(ended.where.value());
  auto& active = it->second;
  auto& out = ended.outcome;
  active.open = false;
  active.error_code = out.error_code;
  active.error_message = out.error_message;
  const nano_usd total = active.charged + charge;

  const auto finish = [&](outcome_kind kind) {
    out.kind = kind;
    s.bytes -= active.what.text.size();
    s.finishes.push_back({std::move(active), std::move(out), total, ended.sent_at, ended.done_at});
    s.active.erase(it);
  };
  if (out.in_doubt) ++active.maybe_billed;
  if (out.counts_attempt) ++active.attempts;
  if (out.kind == outcome_kind::answered) return finish(outcome_kind::answered);
  if (out.kind == outcome_kind::rejected) return finish(outcome_kind::rejected);
  if (out.in_doubt && settings_.job.in_doubt == in_doubt_policy::hold) {
    out.error_message = "the call ended without an answer (" + out.error_code +
                        ") and may have been billed; the in-doubt policy is to hold it";
    out.error_code = "in_doubt";
    return finish(outcome_kind::rejected);
  }
  if (out.kind == outcome_kind::spill) active.unfit.push_back(active.lane);
  if (!out.never_sent() &&
      (!has_lane_left(active) || active.attempts >= settings_.job.max_attempts))
    return finish(outcome_kind::rejected);

  active.charged = total;
  if (out.never_sent()) --active.sends;
  time_point ready = now;
  if (out.kind == outcome_kind::retry && !out.quota_signal && !out.never_sent())
    ready += retry_delay(settings_.seed, ended.where, std::max(1u, active.sends),
                         out.retry_after.value_or(duration{}));
  active.ready_at = ready;
  classes_[active.what.cls.value()].queue.stripes[stripe_of(ended.where)].waiting.emplace(
      ready, ended.where.value());
  ++s.to_waiting;
  s.ended.push_back(record_of(active, now));
}

bool scheduler::has_lane_left(const active_prompt& active) const {
  const auto& ranked = classes_[active.what.cls.value()].ranked;
  return std::any_of(ranked.begin(), ranked.end(), [&](lane_id id) {
    return std::find(active.unfit.begin(), active.unfit.end(), id) == active.unfit.end();
  });
}

attempt_record scheduler::record_of(const active_prompt& a, time_point now) const {
  const auto& setup = lanes_[a.lane.value()].setup();
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
          .at = now};
}

void scheduler::note_final(bool failed) {
  last_failed_ <<= 1;
  last_failed_[0] = failed;
  ++finals_;
  if (!settings_.job.max_error_rate || finals_ < last_failed_.size() || too_many_errors_) return;
  const double share =
      static_cast<double>(last_failed_.count()) / static_cast<double>(last_failed_.size());
  if (share <= *settings_.job.max_error_rate) return;
  too_many_errors_ = true;
  draining_ = true;
}

const attempt_record* scheduler::history_of(position where) const {
  const auto it = history_.find(where.value());
  return it == history_.end() ? nullptr : &it->second;
}

scheduler_counts scheduler::counts() const { return {in_flight_, waiting_}; }

bool scheduler::pending(const class_state& cls) const {
  if (!cls.queue.unloaded.empty()) return true;
  return std::any_of(cls.queue.stripes.begin(), cls.queue.stripes.end(),
                     [](const auto& part) { return !part.fresh.empty() || !part.waiting.empty(); });
}

void scheduler::decide_stop(tick_actions& actions) {
  if (in_flight_ > 0) return;
  const bool work_left = !input_read_ || waiting_ > 0 ||
                         std::any_of(classes_.begin(), classes_.end(),
                                     [&](const class_state& c) { return pending(c); });
  if (!work_left) {
    actions.stop = stop_cause::finished;
  } else if (too_many_errors_) {
    actions.stop = stop_cause::error_rate;
    actions.stop_reason =
        "more than the allowed share of the last 200 prompts failed for good "
        "(max_error_rate): see the error rows for the reasons";
  } else if (draining_) {
    actions.stop = stop_cause::drained;
  } else if (input_read_ && !progress_possible_) {
    const bool by_budget = money_short_ && stalled_model_.empty();
    actions.stop = by_budget ? stop_cause::budget : stop_cause::stalled;
    if (by_budget)
      actions.stop_reason =
          "the budget is spent: what is left does not cover the next prompt's "
          "worst case; repeat the command with a larger --budget to go on";
    else if (!stalled_model_.empty())
      actions.stop_reason =
          "every lane of model '" + stalled_model_ + "' was down for " +
          std::to_string(static_cast<long>(seconds_of(settings_.job.stall_timeout))) +
          " s (stall_timeout)";
    else if (day_short_)
      actions.stop_reason =
          "the next prompt's worst case is more than usd_per_day of any lane it "
          "may use: raise usd_per_day or lower the prompt's output limit";
  }
}

}  // namespace spillway
