#include "connectors/kafka/job_closer.hpp"

#include "connectors/kafka/fleet_codec_jobs.hpp"

#include <spdlog/spdlog.h>

namespace spillway::kafka {
namespace {

using namespace std::chrono_literals;

constexpr auto look_period = 300ms;

placed_record grave(topic to, std::string key) {
  placed_record out;
  out.to = to;
  out.what.key = std::move(key);
  out.what.tombstone = true;
  return out;
}

}  // namespace

std::vector<placed_record> closing_records(const std::vector<job_entry>& jobs,
                                           const progress_table& progress, std::uint32_t partitions,
                                           time_point now) {
  std::vector<placed_record> out;
  for (const auto& job : jobs) {
    if (const auto final = final_of(job, progress.of(job.name), partitions, now)) {
      out.push_back({topic::jobs, 0, record_of(*final)});
      continue;
    }
    if (!job.final || now < job.final->finished + job.policy.keep) continue;
    // The final record goes last: until then another look finds what is left.
    for (const auto& [partition, part] : progress.of(job.name))
      out.push_back(grave(topic::progress, key_of(part)));
    for (const auto& command : job.commands)
      out.push_back(grave(topic::jobs, key_of(command.what)));
    if (job.submission) out.push_back(grave(topic::jobs, key_of(*job.submission)));
    if (job.manifest) out.push_back(grave(topic::jobs, key_of(*job.manifest)));
    out.push_back(grave(topic::jobs, key_of(*job.final)));
  }
  return out;
}

job_closer::job_closer(const job_feed& jobs, std::uint32_t partitions,
                       std::function<time_point()> now)
    : jobs_(jobs), partitions_(partitions), now_(std::move(now)) {}

job_closer::~job_closer() { stop(); }

result<std::unique_ptr<job_closer>> job_closer::start(const kafka_settings& settings,
                                                      const job_feed& jobs,
                                                      std::uint32_t partitions,
                                                      std::function<time_point()> now) {
  std::unique_ptr<job_closer> closer(new job_closer(jobs, partitions, std::move(now)));
  auto tools = log_tools::connect(settings);
  if (!tools) return tools.error();
  closer->tools_ = *std::move(tools);
  closer->follower_.emplace(*closer->tools_, topic::progress);
  closer->thread_ = std::thread([raw = closer.get()] { raw->run(); });
  return closer;
}

result<void> job_closer::look() {
  const auto read = follower_->read_on([&](stored_record&& r) {
    if (const auto fault = progress_.apply(r))
      spdlog::warn("a record of the topic progress, offset {}: {}", r.offset, fault->message);
  });
  if (!read) return read.error();
  auto records = closing_records(jobs_.all(), progress_, partitions_, now_());
  if (records.empty()) return {};
  const auto stored = tools_->store(std::move(records));
  if (!stored) return stored.error();
  return {};
}

void job_closer::run() {
  std::string trouble;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, look_period, [&] { return stopping_; });
      if (stopping_) return;
    }
    if (!in_charge_.load()) continue;
    const auto looked = look();
    const auto now = looked ? std::string() : looked.error().message;
    if (now != trouble && !now.empty()) spdlog::warn("jobs can't be closed: {}", now);
    trouble = now;
  }
}

void job_closer::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

}  // namespace spillway::kafka
