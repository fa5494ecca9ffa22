// Jobs of a member: what the topic says of them reaches the engine, what became of them the topic
// `progress`.
#include "connectors/kafka/fleet_codec_jobs.hpp"
#include "orchestrator/engine/fleet_member.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr duration publish_period = 1s;
constexpr duration progress_period = 500ms;
constexpr const char* part_is_spent =
    "the partition's part of the budget is spent: what is left of it does not cover the next "
    "prompt's worst case; raise it with `spillway policy JOB --budget USD`";

job_setup setup_of(const kafka::job_entry& job, const fleet_config& config) {
  job_setup s;
  s.name = job.name;
  s.tenant = job.policy.tenant;
  s.policy = job.policy.over(config.job.over({}));
  s.weight = std::max<std::int64_t>(1, job.policy.weight);
  s.priority = job.policy.priority;
  s.paused = job.paused || !job.manifest;
  s.cancelled = job.cancelled;
  return s;
}

/// A manifest that says other than what stands in the partition: nobody can tell what is missing.
std::string damage_of(const kafka::job_entry& job, const kafka::progress_record& p) {
  if (job.state == kafka::job_phase::damaged) return job.reason;
  if (!job.manifest || job.manifest->open || job.cancelled) return {};
  for (const auto& count : job.manifest->partitions) {
    if (count.partition != p.partition || p.read_to < count.end_offset) continue;
    if (p.prompts == static_cast<std::int64_t>(count.prompts) || p.in_flight > 0) return {};
    return "the manifest counts " + std::to_string(count.prompts) + " prompts in partition " +
           std::to_string(p.partition) + ", the topic holds " + std::to_string(p.prompts) +
           "; cancel the job and submit it again under another name";
  }
  return {};
}

}  // namespace

void fleet_member::put_job(const kafka::job_entry& job) {
  engine_->put_job(job.number, setup_of(job, request_.config), time_.now());
}

void fleet_member::put_jobs(const std::vector<kafka::job_entry>& changed,
                            const std::vector<job_number>& gone) {
  for (const auto number : gone) forget_job(number);
  for (const auto& job : changed) {
    const auto known = jobs_.find(job.name);
    const bool ended = job.final.has_value();
    if (!ended || known == jobs_.end()) put_job(job);
    if (ended && known != jobs_.end() && !known->second.final) {
      engine_->audit_end(job.number, job.cancelled ? "cancelled" : "finished", time_.now());
      spdlog::info("job {} is finished: {} answered, {} errors", job.name, job.final->answered,
                   job.final->errors);
    }
    jobs_.insert_or_assign(job.name, job);
  }
  drop_gone();
}

void fleet_member::forget_job(job_number number) {
  const auto it = std::find_if(jobs_.begin(), jobs_.end(),
                               [&](const auto& job) { return job.second.number == number; });
  if (it == jobs_.end()) return;
  const auto name = it->first;
  jobs_.erase(it);
  gone_.insert(number);
  reader_->forget_job(number);
  for (const auto& [id, h] : homes_) h->log->forget_job(name);
  std::erase_if(published_, [&](const auto& p) { return p.first.starts_with(name + "/"); });
}

void fleet_member::drop_gone() {
  std::erase_if(gone_, [&](job_number number) {
    if (!engine_->idle(number)) return false;
    engine_->drop_job(number);
    return true;
  });
}

std::vector<kafka::owner_command> fleet_member::retry_commands() const {
  std::vector<kafka::owner_command> out;
  for (const auto& [name, job] : jobs_)
    for (const auto& command : job.commands) {
      if (command.what.kind != kafka::command_kind::retry) continue;
      kafka::owner_command c;
      c.id = name + "/" + command.what.id;
      c.job = name;
      c.retry = true;
      c.codes = command.what.codes;
      if (command.what.in_doubt_only) c.codes = {"in_doubt"};
      out.push_back(std::move(c));
    }
  return out;
}

void fleet_member::tell_logs_of_jobs() {
  if (!feed_) return;
  const auto commands = retry_commands();
  for (const auto& [id, h] : homes_) h->log->jobs_changed(feed_->read_to(), commands);
}

/// The end of an open or a cancelled job has to be seen by every partition, whether it has lines
/// there or not.
void fleet_member::add_closed_jobs(const home& h, const kafka::kafka_log_view& log, time_point now,
                                   std::vector<kafka::progress_record>& records) const {
  for (const auto& [name, job] : jobs_) {
    const bool ends = job.cancelled || job.end_offsets;
    if (job.final || !job.manifest || !ends) continue;
    const bool there =
        std::any_of(records.begin(), records.end(), [&](const auto& r) { return r.job == name; });
    if (there) continue;
    kafka::progress_record r;
    r.job = name;
    r.partition = h.id.value();
    r.member = request_.id;
    r.updated = now;
    r.read_to = log.read_to;
    r.jobs_to = feed_->read_to();
    records.push_back(std::move(r));
  }
}

std::vector<member_job_view> fleet_member::job_views(time_point now) const {
  std::map<std::pair<partition_id, job_number>, job_progress> engines;
  for (auto& j : engine_->jobs(now)) engines[{j.partition, j.job}] = std::move(j);
  std::vector<member_job_view> out;
  for (const auto& [id, h] : homes_) {
    if (h->phase == partition_phase::taking_over) continue;
    auto log = h->log->view();
    add_closed_jobs(*h, log, now, log.jobs);
    for (auto& record : log.jobs) {
      const auto job = jobs_.find(record.job);
      if (job == jobs_.end()) continue;
      member_job_view v;
      v.number = job->second.number;
      v.tenant = job->second.policy.tenant;
      v.finished = job->second.final.has_value();
      if (const auto budget = job->second.policy.over(request_.config.job.over({})).budget)
        v.budget = nano_usd(share_of(budget->count(), id, partitions_));
      record.condition = "running";
      if (const auto e = engines.find({id, v.number}); e != engines.end()) {
        record.condition = name_of(e->second.condition);
        record.reason =
            e->second.condition == job_condition::budget_spent ? part_is_spent : e->second.reason;
      }
      if (auto damage = damage_of(job->second, record); !damage.empty()) {
        record.condition = "damaged";
        record.reason = std::move(damage);
      }
      if (const auto found = log.found.find(record.job); found != log.found.end())
        v.found = found->second;
      v.progress = std::move(record);
      out.push_back(std::move(v));
    }
  }
  return out;
}

std::int64_t fleet_member::unread_prompts(partition_id p, const kafka::kafka_log_view& log) const {
  std::map<std::string_view, std::int64_t> read;
  for (const auto& part : log.jobs) read[part.job] = part.prompts;
  std::int64_t unread = 0;
  for (const auto& [name, job] : jobs_) {
    if (job.final || !job.manifest || job.manifest->open) continue;
    for (const auto& count : job.manifest->partitions) {
      if (count.partition != p.value() || log.read_to >= count.end_offset) continue;
      unread += std::max<std::int64_t>(0, static_cast<std::int64_t>(count.prompts) - read[name]);
    }
  }
  return unread;
}

member_view fleet_member::view(time_point now) const {
  member_view v;
  v.draining = draining_;
  v.in_group = in_group_;
  {
    const std::lock_guard lock(mutex_);
    v.trouble = group_trouble_;
  }
  if (v.trouble.empty() && feed_) v.trouble = feed_->trouble();
  v.rebalances = rebalances_;
  v.takeovers = takeovers_;
  v.reloads_ok = reloads_ok_;
  v.reloads_failed = reloads_failed_;
  v.configured_at = configured_at_;
  v.fleet_partitions = partitions_;
  v.owned = static_cast<std::uint32_t>(assigned_.size());
  const auto add = [&](const home& h) {
    partition_view p{h.id, h.phase, {}, h.log->view()};
    p.reason = p.log.message;
    p.unread_prompts = unread_prompts(h.id, p.log);
    v.partitions.push_back(std::move(p));
  };
  for (const auto& [id, h] : homes_) add(*h);
  for (const auto& h : leaving_) add(*h);
  v.jobs = job_views(now);
  v.lanes = engine_->lanes(now);
  v.past = past_;
  v.clients = clients_->counts();
  const auto p = engine_->progress(now);
  v.in_flight = p.in_flight;
  for (const auto& job : v.jobs)
    if (!job.finished)
      v.queued += std::max<std::int64_t>(0, job.progress.prompts - job.progress.answered -
                                                job.progress.errors - job.progress.in_flight);
  v.index_full = index_->full();
  v.index_rebuilds = index_->rebuilds();
  v.index_bytes = index_->disk_bytes();
  v.index = index_->usage();
  v.index_folder = index_->folder();
  return v;
}

void fleet_member::publish_progress(time_point now, const member_view& v) {
  for (const auto& job : v.jobs) {
    if (job.finished) continue;
    auto record = job.progress;
    const auto key = key_of(record);
    record.updated = {};
    auto same = encode(record);
    auto& last = published_[key];
    if (last == same) continue;
    last = std::move(same);
    record.updated = now;
    clients_->store(kafka::topic::progress, 0, record_of(record),
                    [key](const result<std::int64_t>& stored) {
                      if (!stored) spdlog::debug("progress {}: {}", key, stored.error().message);
                    });
  }
}

void fleet_member::show_done() {
  if (!membership_) return;
  std::map<std::int32_t, std::int64_t> done;
  for (const auto& [id, h] : homes_)
    if (h->phase == partition_phase::active)
      done[static_cast<std::int32_t>(id.value())] = h->log->view().done_to;
  membership_->show_done(std::move(done));
}

void fleet_member::publish(time_point now) {
  if (now - progress_at_ < progress_period) return;
  progress_at_ = now;
  drop_gone();
  const auto v = view(now);
  publish_progress(now, v);
  if (now - published_at_ < publish_period) return;
  published_at_ = now;
  show_done();
  callbacks_.publish(v);
}

}  // namespace spillway
