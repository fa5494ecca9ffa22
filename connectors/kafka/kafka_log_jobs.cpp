// What a partition's log has to do with jobs: how they stand, how far they are, and when they are
// forgotten.
#include "connectors/kafka/kafka_log_thread.hpp"

namespace spillway::kafka {

void kafka_log_thread::forget_job(const std::string& job) {
  {
    const std::lock_guard lock(mutex_);
    gone_.push_back(job);
    has_input_ = true;
  }
  wake_.notify_one();
}

/// A job that has the name of one that is gone begins with nothing: it is told of after that one's
/// end, and nothing of it may be counted before that is forgotten.
job_standing kafka_log_thread::standing(std::string_view job) {
  auto now = callbacks_.jobs(job);
  forget_told();
  return now;
}

void kafka_log_thread::ask_about_jobs(std::int64_t unknown_below) {
  const auto question = next_question_++;
  questions_[question] = unknown_below;
  callbacks_.confirm_jobs(question);
}

void kafka_log_thread::forget_told() {
  if (shards_incarnation_ == 0) return;  // nothing is recovered yet
  std::vector<std::string> gone;
  {
    const std::lock_guard lock(mutex_);
    gone.swap(gone_);
  }
  for (const auto& job : gone) forget(job);
}

/// Jobs that went while the partition was somebody else's, and those that had calls under way.
void kafka_log_thread::forget_gone() {
  if (!jobs_known_) return;
  std::set<std::string> gone;
  const auto look = [&](const std::string& job) {
    if (!job.empty() && callbacks_.jobs(job).now == job_standing::state::unknown) gone.insert(job);
  };
  for (const auto& [job, state] : owner_.known().jobs()) look(job);
  for (const auto& [job, prompts] : map_.prompts()) look(job);
  for (const auto& job : gone) forget(job);
}

void kafka_log_thread::forget(const std::string& job) {
  if (!owner_.forget_job(job)) return;
  map_.forget_job(job);
  std::erase_if(commands_done_, [&](const std::string& c) { return c.starts_with(job + "/"); });
  const std::lock_guard lock(mutex_);
  view_.found.erase(job);
}

std::vector<progress_record> kafka_log_thread::progress(time_point now) const {
  std::map<std::string, progress_record> jobs;
  for (const auto& [name, prompts] : map_.prompts()) jobs[name].prompts = prompts;
  const auto& known = owner_.known();
  for (const auto& [name, state] : known.jobs()) {
    auto& p = jobs[name];
    p.answered = state.answered;
    p.errors = state.errors;
    p.invalid = state.invalid;
    p.settled = state.settled();
    p.lanes = state.lanes;
    for (const auto& lane : state.lanes) p.maybe_billed += lane.totals.maybe_billed;
  }
  for (const auto& [where, a] : known.attempts()) {
    auto& p = jobs[a.last.job];
    p.in_flight += a.last.in_flight;
    p.in_doubt += a.last.maybe_billed > 0;
    p.reserved += a.last.in_flight ? a.last.reserved : nano_usd{};
  }
  std::vector<progress_record> out;
  for (auto& [name, p] : jobs) {
    if (name.empty()) continue;
    p.job = name;
    p.partition = options_.partition.value();
    p.member = options_.member;
    p.updated = now;
    p.read_to = shards_next_;
    p.jobs_to = jobs_to_;
    // Whose they are is not known yet: until then no job is told to be complete.
    p.in_flight += static_cast<std::int64_t>(map_.uncounted());
    out.push_back(std::move(p));
  }
  return out;
}

}  // namespace spillway::kafka
