#include "orchestrator/core/scheduler.hpp"

#include "schemas/result.hpp"

#include <algorithm>

namespace spillway {

tick_actions scheduler::tick(time_point now, tick_events events, stripe_runner& stripes) {
  tick_actions actions;
  ++tick_;
  draining_ = draining_ || events.drain;
  for (auto& shard : events.shards) take_shard(std::move(shard), actions);
  input_read_ = input_read_ || events.input_read;
  retire(now, std::move(events.calls), stripes, actions);
  if (!draining_) cancel_queued(actions);
  rank_lanes(now);
  auto grants = grant_permits(now, actions);
  start_calls(grants, stripes, actions);
  request_loads(actions);
  for (auto* queue : touched_) {
    queue->touched = false;
    relist(*queue);
  }
  touched_.clear();
  note_standings(now);
  decide_stop(actions);
  return actions;
}

/// How the jobs with work stand after this tick.
void scheduler::note_standings(time_point now) {
  if (draining_) return;
  for (auto* job : working_) {
    if (!job->may_send()) continue;
    job->condition = job_condition::running;
    const bool all_down = std::all_of(job->work.begin(), job->work.end(),
                                      [&](const auto* cls) { return stalled(now, *cls); });
    if (all_down) job->stalled_model = job->work.front()->model;
    if (!all_down && (job->progress || job->open > 0)) continue;
    if (!job->stalled_model.empty())
      job->condition = job_condition::stalled;
    else if (job->money_short)
      job->condition = job_condition::budget_spent;
    else if (job->day_short)
      job->condition = job_condition::over_day;
  }
}

job_standing scheduler::standing(job_number id) const {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return {};
  const auto& job = *it->second;
  job_standing out{job.condition, {}};
  if (job.tripped) out.condition = job_condition::too_many_errors;
  if (job.setup.paused) out.condition = job_condition::paused;
  if (job.setup.cancelled) out.condition = job_condition::cancelled;
  out.reason = reason_for(job, out.condition);
  return out;
}

std::string scheduler::reason_for(const job_state& job, job_condition condition) const {
  switch (condition) {
    case job_condition::too_many_errors:
      return "more than the allowed share of the last 200 prompts failed for good "
             "(max_error_rate): see the error rows for the reasons";
    case job_condition::budget_spent:
      return "the budget is spent: what is left does not cover the next prompt's "
             "worst case; repeat the command with a larger --budget to go on";
    case job_condition::stalled:
      return "every lane of model '" + job.stalled_model + "' was down for " +
             std::to_string(static_cast<long>(seconds_of(job.setup.policy.stall_timeout))) +
             " s (stall_timeout)" + why_down(job);
    case job_condition::over_day:
      return "the next prompt's worst case is more than usd_per_day of any lane it "
             "may use: raise usd_per_day or lower the prompt's output limit";
    case job_condition::running:
    case job_condition::paused:
    case job_condition::cancelled: break;
  }
  return {};
}

/// "; pool/lane: reason" of the first lanes that the stalled model has for the job.
std::string scheduler::why_down(const job_state& job) const {
  constexpr int named_max = 3;
  std::string text;
  int named = 0;
  for (const auto& entry : lanes_) {
    const auto& setup = entry.state->setup();
    if (setup.config.model != job.stalled_model || !may_use(job.setup, entry)) continue;
    const auto reason = entry.state->reason();
    if (reason.empty() || ++named > named_max) continue;
    text += "; " + setup.pool + "/" + setup.config.name() + ": " + reason;
  }
  return text;
}

/// A process that was given all its work at once ends with it, or when nothing of it can go on.
void scheduler::decide_stop(tick_actions& actions) {
  if (in_flight_ > 0) return;
  const bool suspended = std::any_of(homes_.begin(), homes_.end(), [](const auto& home) {
    return home.second->suspended || !home.second->held.empty();
  });
  const bool work_left = !input_read_ || waiting_ > 0 || !listed_.empty() || suspended;
  const auto tripped =
      std::find_if(jobs_.begin(), jobs_.end(), [](const auto& job) { return job.second->tripped; });
  const bool all_tripped =
      settings_.gives_up && tripped != jobs_.end() &&
      std::all_of(jobs_.begin(), jobs_.end(), [](const auto& job) { return job.second->tripped; });
  if (!work_left) {
    actions.stop = stop_cause::finished;
  } else if (all_tripped) {
    actions.stop = stop_cause::error_rate;
    actions.stop_reason = reason_for(*tripped->second, job_condition::too_many_errors);
  } else if (draining_) {
    actions.stop = stop_cause::drained;
  } else if (input_read_ && settings_.gives_up && !suspended) {
    const job_state* stuck = nullptr;
    for (const auto* job : working_) {
      if (job->setup.paused || job->setup.cancelled || job->progress) return;
      if (!job->tripped && (stuck == nullptr || job->id < stuck->id)) stuck = job;
    }
    if (stuck == nullptr) return;
    actions.stop =
        stuck->condition == job_condition::budget_spent ? stop_cause::budget : stop_cause::stalled;
    actions.stop_reason = reason_for(*stuck, stuck->condition);
  }
}

}  // namespace spillway
