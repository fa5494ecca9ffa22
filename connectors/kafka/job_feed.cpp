#include "connectors/kafka/job_feed.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace spillway::kafka {
namespace {

using namespace std::chrono_literals;

constexpr auto look_period = 100ms;

dead_letter letter_of(const stored_record& r, const record_fault& fault) {
  dead_letter out;
  out.from = topic::jobs;
  out.offset = r.offset;
  out.what = r.what;
  out.code = fault.code;
  out.message = fault.message;
  return out;
}

job_standing standing_of(const job_entry& job, partition_id partition) {
  job_standing s;
  s.number = job.number;
  if (job.final) {
    s.now = job_standing::state::ended;
  } else if (job.state == job_phase::damaged) {
    s.now = job_standing::state::damaged;
  } else if (!job.manifest) {
    const bool open = job.submission && job.may_want(job.submission->submission);
    s.now = open ? job_standing::state::submitting : job_standing::state::ended;
  } else {
    s.now = job_standing::state::active;
  }
  if (job.manifest)
    s.submission = job.manifest->submission;
  else if (job.submission)
    s.submission = job.submission->submission;
  s.takes_lines = job.manifest && job.manifest->open && !job.cancelled;
  if (job.end_offsets)
    s.end_offset =
        partition.value() < job.end_offsets->size() ? (*job.end_offsets)[partition.value()] : 0;
  return s;
}

}  // namespace

job_feed::job_feed(std::uint32_t partitions, job_feed_callbacks callbacks)
    : callbacks_(std::move(callbacks)), table_(partitions) {}

job_feed::~job_feed() { stop(); }

result<std::unique_ptr<job_feed>> job_feed::start(const kafka_settings& settings,
                                                  std::uint32_t partitions,
                                                  job_feed_callbacks callbacks) {
  std::unique_ptr<job_feed> feed(new job_feed(partitions, std::move(callbacks)));
  auto tools = log_tools::connect(settings);
  if (!tools) return tools.error();
  feed->tools_ = *std::move(tools);
  feed->follower_.emplace(*feed->tools_, topic::jobs);
  if (auto read = feed->catch_up(); !read) return read.error();
  feed->report();
  feed->thread_ = std::thread([raw = feed.get()] { raw->run(); });
  return feed;
}

/// Reads what is committed, and tells those whose question that answers.
result<void> job_feed::catch_up() {
  std::vector<std::function<void()>> asked;
  {
    const std::lock_guard lock(mutex_);
    asked = std::exchange(asked_, {});
  }
  const auto whole = follower_->read_on([&](stored_record&& r) {
    std::optional<record_fault> fault;
    {
      const std::lock_guard lock(mutex_);
      fault = table_.apply(r);
    }
    if (fault) callbacks_.dead(letter_of(r, *fault));
  });
  // An open transaction may still bring what is asked for.
  if (!whole || !*whole) {
    const std::lock_guard lock(mutex_);
    asked_.insert(asked_.end(), asked.begin(), asked.end());
  } else {
    answered_ = std::move(asked);
  }
  if (!whole) return whole.error();
  return {};
}

void job_feed::answer_questions() {
  for (auto& done : std::exchange(answered_, {})) done();
}

void job_feed::report() {
  std::vector<job_entry> changed;
  std::vector<job_number> gone;
  {
    const std::lock_guard lock(mutex_);
    for (const auto number : table_.take_changed()) {
      if (const auto* job = table_.find(number))
        changed.push_back(*job);
      else
        gone.push_back(number);
    }
  }
  const bool any = !changed.empty() || !gone.empty();
  if (any) callbacks_.changed(changed, gone);
  bool more = any;
  {
    const std::lock_guard lock(mutex_);
    for (auto& job : changed) shown_.insert_or_assign(job.name, std::move(job));
    std::erase_if(shown_, [&](const auto& shown) {
      return std::find(gone.begin(), gone.end(), shown.second.number) != gone.end();
    });
    more = more || read_to_ != follower_->next_offset();
    read_to_ = follower_->next_offset();
  }
  if (more) callbacks_.read_on();
  answer_questions();
}

void job_feed::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, look_period, [&] { return stopping_; });
      if (stopping_) return;
    }
    const auto read = catch_up();
    const auto now = read ? std::string() : read.error().message;
    {
      const std::lock_guard lock(mutex_);
      if (now != trouble_ && !now.empty()) spdlog::warn("the topic jobs can't be read: {}", now);
      if (now.empty() && !trouble_.empty()) spdlog::info("the topic jobs can be read again");
      trouble_ = now;
    }
    report();
  }
}

job_standing job_feed::standing(std::string_view job, partition_id partition) const {
  const std::lock_guard lock(mutex_);
  const auto it = shown_.find(job);
  return it == shown_.end() ? job_standing{} : standing_of(it->second, partition);
}

std::optional<job_entry> job_feed::find(std::string_view job) const {
  const std::lock_guard lock(mutex_);
  const auto it = shown_.find(job);
  return it == shown_.end() ? std::nullopt : std::optional<job_entry>(it->second);
}

std::vector<job_entry> job_feed::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<job_entry> out;
  for (const auto& [name, job] : shown_) out.push_back(job);
  return out;
}

std::int64_t job_feed::read_to() const {
  const std::lock_guard lock(mutex_);
  return read_to_;
}

void job_feed::confirm(std::function<void()> done) {
  const std::lock_guard lock(mutex_);
  asked_.push_back(std::move(done));
}

std::string job_feed::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

void job_feed::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

}  // namespace spillway::kafka
