// Jobs, lanes and partitions as they come and go, and how each job stands.
#include "orchestrator/core/scheduler.hpp"
#include "orchestrator/core/tally.hpp"
#include "schemas/result.hpp"

#include <algorithm>

namespace spillway {
const char* name_of(job_condition condition) {
  switch (condition) {
    case job_condition::running: return "running";
    case job_condition::paused: return "paused";
    case job_condition::budget_spent: return "budget-spent";
    case job_condition::stalled: return "stalled";
    case job_condition::over_day: return "over-day";
    case job_condition::too_many_errors: return "too-many-errors";
    case job_condition::cancelled: return "cancelled";
  }
  return "unknown";
}

scheduler::scheduler(scheduler_settings settings, std::vector<lane_setup> lanes, time_point now)
    : settings_(settings) {
  set_lanes(std::move(lanes), now);
}

scheduler::~scheduler() = default;

void scheduler::put_job(job_number id, job_setup setup) {
  auto& job = jobs_[id];
  if (!job) {
    job = std::make_unique<job_state>();
    job->id = id;
  }
  const bool was_cancelled = job->setup.cancelled;
  if (setup.priority != job->setup.priority) job->served = virtual_time_[setup.priority];
  job->setup = std::move(setup);
  job->setup.weight = std::max<std::int64_t>(1, job->setup.weight);
  job->setup.cancelled = job->setup.cancelled || was_cancelled;
  job->tripped = false;
  job->finals = 0;
  job->last_failed.reset();
  for (const auto& [key, cls] : job->classes) rank(*cls);
  for (const auto& [owner, home] : owners_)
    if (const auto it = home->books.find(id); it != home->books.end())
      set_cap(*home, *job, it->second);
}

bool scheduler::idle(job_number id) const {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return true;
  const auto& job = *it->second;
  if (job.open > 0 || job.active_bytes > 0) return false;
  return std::none_of(job.classes.begin(), job.classes.end(), [](const auto& entry) {
    const auto& queues = entry.second->queues;
    return std::any_of(queues.begin(), queues.end(),
                       [](const auto& queue) { return queue.second->has_work(); });
  });
}

void scheduler::drop_job(job_number id) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return;
  ensure(idle(id), "dropped a job that has work");
  for (const auto& [owner, home] : owners_) {
    for (auto*& queue : home->loads)
      if (queue != nullptr && queue->cls->job->id == id) queue = nullptr;
    for (const auto* queue : home->queues)
      if (queue->cls->job->id == id) resident_bytes_ -= queue->resident();
    std::erase_if(home->queues, [&](const work_queue* q) { return q->cls->job->id == id; });
    home->books.erase(id);
  }
  std::erase_if(touched_, [&](const work_queue* q) { return q->cls->job->id == id; });
  jobs_.erase(it);
}

void scheduler::set_lanes(std::vector<lane_setup> lanes, time_point now) {
  for (auto& entry : lanes_) entry.gone = true;
  for (auto& setup : lanes) {
    const auto known = find_lane(setup.pool, setup.config.name());
    const auto& model = setup.config.model;
    if (model_index_.try_emplace(model, static_cast<std::uint32_t>(models_.size())).second)
      models_.push_back(model);
    if (known) {
      lanes_[known->value()].gone = false;
      lanes_[known->value()].state->change(std::move(setup), share_, now);
    } else {
      lanes_.emplace_back().state = std::make_unique<lane>(std::move(setup), now, share_);
    }
  }
  const auto before = limits_;
  note_limits();
  for (const auto& [id, job] : jobs_)
    for (const auto& [key, cls] : job->classes) rank(*cls);
  if (limits_ != before) look_again();
}

void scheduler::set_share(quota_share share, time_point now) {
  share_ = std::move(share);
  for (auto& entry : lanes_) {
    auto same = entry.state->setup();
    entry.state->change(std::move(same), share_, now);
  }
  for (const auto& [owner, home] : owners_)
    for (auto& [id, books] : home->books)
      if (const auto it = jobs_.find(id); it != jobs_.end()) set_cap(*home, *it->second, books);
}

void scheduler::hold_pool(pool_id pool, const std::optional<std::string>& why, time_point now) {
  for (auto& entry : lanes_)
    if (entry.state->setup().pool_index == pool) entry.state->hold_for_credentials(why, now);
}

void scheduler::retry_auth(pool_id pool, time_point now) {
  for (auto& entry : lanes_)
    if (entry.state->setup().pool_index == pool) entry.state->retry_auth(now);
}

void scheduler::set_cap(partition_state& home, job_state& job, account& books) {
  const auto& budget = job.setup.policy.budget;
  if (!budget || home.id.value() >= share_.partitions)
    books.money.set_cap(budget);
  else
    books.money.set_cap(nano_usd(share_of(budget->count(), home.id, share_.partitions)));
}

account& scheduler::books_of(partition_state& home, job_state& job) {
  const auto [it, fresh] = home.books.try_emplace(job.id);
  if (fresh) set_cap(home, job, it->second);
  return it->second;
}

void scheduler::attach(partition_id id, owner_id owner, std::span<const job_totals> totals,
                       std::span<const attempt_record> history, std::span<const position> held) {
  ensure(!homes_.contains(id), "a partition attached twice");
  auto& home = *(owners_[owner] = std::make_unique<partition_state>());
  home.id = id;
  home.owner = owner;
  homes_[id] = &home;
  input_read_ = false;
  for (const auto& t : totals) {
    auto& books = home.books[t.job];
    books.restore(t.lane);
    books.money.settle({}, t.lane.totals.settled);
    const auto lane = find_lane(t.lane.pool, t.lane.lane);
    if (!lane) continue;
    tally_add(lanes_[lane->value()].state->totals(), t.lane.totals);
    if (lane->value() >= home.day.size()) home.day.resize(lane->value() + 1);
    lane_totals day;
    day.day = t.lane.totals.day;
    day.day_requests = t.lane.totals.day_requests;
    day.day_spend = t.lane.totals.day_spend;
    tally_add(home.day[lane->value()], day);
  }
  for (const auto& record : history) {
    remember(home, record);
    if (record.in_flight) home.books[record.job].money.reserve(record.reserved);
  }
  for (const auto where : held) home.held.insert(where.local());
  for (auto& [job, books] : home.books)
    if (const auto it = jobs_.find(job); it != jobs_.end()) set_cap(home, *it->second, books);
}

void scheduler::remember(partition_state& home, const attempt_record& record) {
  home.history.insert_or_assign(record.where.local(), record);
  if (record.maybe_billed > 0) ++home.books[record.job].in_doubt;
}

void scheduler::remember(const attempt_record& record, bool held) {
  auto* home = home_of(record.where.partition());
  ensure(home != nullptr, "an unknown partition");
  remember(*home, record);
  if (held) home->held.insert(record.where.local());
}

void scheduler::reserve(partition_id id, job_number job, nano_usd amount) {
  auto* home = home_of(id);
  ensure(home != nullptr, "an unknown partition");
  home->books[job].money.reserve(amount);
}

void scheduler::suspend(partition_id id) {
  auto* home = home_of(id);
  ensure(home != nullptr, "an unknown partition");
  home->suspended = true;
  for (auto* queue : home->queues) relist(*queue);
}

void scheduler::resume(partition_id id) {
  auto* home = home_of(id);
  ensure(home != nullptr, "an unknown partition");
  home->suspended = false;
  for (auto* queue : home->queues) relist(*queue);
}

void scheduler::detach(partition_id id) {
  auto* home = home_of(id);
  ensure(home != nullptr, "an unknown partition");
  home->gone = true;
  homes_.erase(id);
  release(*home);
}

/// Drops what waits in a partition; its open calls go on outside the stripes, where the positions
/// may soon be another owner's.
void scheduler::release(partition_state& home) {
  for (auto& s : stripes_)
    for (auto it = s.active.begin(); it != s.active.end();) {
      if (it->second.queue->home != &home) {
        ++it;
        continue;
      }
      let_go(std::move(it->second), home);
      it = s.active.erase(it);
    }
  std::erase_if(touched_, [&](const work_queue* q) { return q->home == &home; });
  loads_out_ -= home.loads.size();
  home.loads.clear();
  for (auto* queue : home.queues) {
    unlist(*queue);
    resident_bytes_ -= queue->resident();
    queue->cls->queues.erase(home.owner);
  }
  home.queues.clear();
  home.history.clear();
  home.held.clear();
  for (std::size_t i = 0; i < home.day.size(); ++i) {
    auto& t = lanes_[i].state->totals();
    if (home.day[i].day != t.day) continue;
    t.day_requests = std::max<std::int64_t>(0, t.day_requests - home.day[i].day_requests);
    t.day_spend -= home.day[i].day_spend;
  }
}

void scheduler::let_go(active_prompt&& active, partition_state& home) {
  drop_active(active);
  if (!active.open) {
    --waiting_;
    return;
  }
  const auto call = active.call;
  active.queue = nullptr;
  late_.emplace(call, late_call{std::move(active), &home});
}

void scheduler::forget(owner_id owner) {
  const auto it = owners_.find(owner);
  if (it == owners_.end()) return;
  ensure(it->second->gone, "forgot a partition that is attached");
  for (auto& [call, late] : late_)
    if (late.home == it->second.get()) {
      late.home = nullptr;
      if (const auto job = jobs_.find(late.prompt.what.job); job != jobs_.end())
        --job->second->open;
    }
  owners_.erase(it);
}

std::int64_t scheduler::open_calls(owner_id owner) const {
  const auto it = owners_.find(owner);
  return it == owners_.end() ? 0 : it->second->open;
}

partition_state* scheduler::home_of(partition_id id) const {
  const auto it = homes_.find(id);
  return it == homes_.end() ? nullptr : it->second;
}

std::optional<lane_id> scheduler::find_lane(std::string_view pool, std::string_view lane) const {
  for (std::uint32_t i = 0; i < lanes_.size(); ++i) {
    const auto& setup = lanes_[i].state->setup();
    if (setup.pool == pool && setup.config.name() == lane) return lane_id(i);
  }
  return std::nullopt;
}

const account* scheduler::books(owner_id owner, job_number job) const {
  const auto it = owners_.find(owner);
  if (it == owners_.end()) return nullptr;
  const auto books = it->second->books.find(job);
  return books == it->second->books.end() ? nullptr : &books->second;
}

void scheduler::take_changed_totals(owner_id owner, std::vector<job_totals>& out) {
  const auto it = owners_.find(owner);
  if (it == owners_.end()) return;
  for (auto& [job, books] : it->second->books) books.take_changed(job, out);
}

const job_setup* scheduler::job(job_number id) const {
  const auto it = jobs_.find(id);
  return it == jobs_.end() ? nullptr : &it->second->setup;
}

std::vector<job_number> scheduler::jobs() const {
  std::vector<job_number> ids;
  for (const auto& [id, job] : jobs_) ids.push_back(id);
  return ids;
}

bool scheduler::held(position where) const {
  const auto* home = home_of(where.partition());
  return home != nullptr && home->held.contains(where.local());
}

void scheduler::note_changed(owner_id owner, std::span<const attempt_record> records) {
  for (const auto& r : records) (void)owners_.at(owner)->books[r.job].of(r.pool, r.lane);
}

scheduler_counts scheduler::counts() const { return {in_flight_, waiting_}; }

const attempt_record* scheduler::history_of(position where) const {
  const auto* home = home_of(where.partition());
  if (home == nullptr) return nullptr;
  const auto it = home->history.find(where.local());
  return it == home->history.end() ? nullptr : &it->second;
}

}  // namespace spillway
