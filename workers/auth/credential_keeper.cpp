#include "workers/auth/credential_keeper.hpp"

#include <algorithm>
#include <functional>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr duration files_pause = 1s;
/// A sleep is never longer, should the clocks of waiting and of time differ.
constexpr duration sleep_max = 30s;

}  // namespace

credential_keeper::credential_keeper(std::unique_ptr<credential_source> source, refresh_rules rules,
                                     sigv4_scope scope, auth_world& world,
                                     std::optional<credential> first)
    : source_(std::move(source)),
      rules_(rules),
      scope_(std::move(scope)),
      world_(world),
      schedule_(rules, std::hash<const void*>{}(this), world.now()) {
  if (first) {
    const auto now = world_.now();
    schedule_.started(now);
    take(now, *std::move(first));
  }
  const bool idle = schedule_.due() == time_never && files_.empty() && !rules_.renewable;
  if (world_.has_threads() && !idle)
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

credential_keeper::~credential_keeper() = default;

void credential_keeper::take(time_point now, credential value) {
  files_ = value.files;
  files_due_ = now + files_pause;
  const bool replaced = !held_ || !held_->value.same_secret(value);
  schedule_.succeeded(now, value.expires, replaced);
  if (schedule_.generation() == (held_ ? held_->generation : 0) && replaced) return;  // expired
  auto made = std::make_shared<held_credential>();
  made->generation = schedule_.generation();
  if (value.keys) made->signer.emplace(*value.keys, scope_);
  made->value = std::move(value);
  held_ = std::move(made);
}

void credential_keeper::look_at_files(std::unique_lock<std::mutex>& lock) {
  const auto now = world_.now();
  if (files_.empty() || now < files_due_) return;
  files_due_ = now + files_pause;
  auto seen = files_;
  lock.unlock();  // a file system may hang; those who send must not
  for (auto& file : seen) file = file_stamp::of(std::move(file.path));
  lock.lock();
  if (seen == files_) return;
  files_ = std::move(seen);
  schedule_.hurry(now);
}

void credential_keeper::fetch_if_due(std::unique_lock<std::mutex>& lock,
                                     const std::stop_token& stop) {
  const auto start = world_.now();
  if (schedule_.due() > start) return;
  schedule_.started(start);
  lock.unlock();
  auto got = source_->get(world_, stop);
  const auto now = world_.now();
  lock.lock();
  if (got) {
    take(now, *std::move(got));
  } else {
    schedule_.failed(now, got.error().message);
  }
  lock.unlock();
  world_.changed();
  lock.lock();
}

void credential_keeper::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    look_at_files(lock);
    fetch_if_due(lock, stop);
    if (stop.stop_requested()) return;
    const auto now = world_.now();
    auto until = schedule_.due();
    if (!files_.empty()) until = std::min(until, files_due_);
    if (until <= now) continue;
    // Wakes when it is time, or when a refusal made something due.
    wake_.wait_for(lock, stop, std::min<duration>(until - now, sleep_max),
                   [&] { return schedule_.due() <= now; });
  }
}

void credential_keeper::step_without_threads(std::unique_lock<std::mutex>& lock) {
  if (world_.has_threads()) return;
  look_at_files(lock);
  fetch_if_due(lock, {});
}

result<std::shared_ptr<const held_credential>> credential_keeper::current() {
  std::unique_lock lock(mutex_);
  step_without_threads(lock);
  if (auto why = schedule_.missing(world_.now()))
    return failure{failure_kind::stopped, *std::move(why)};
  return held_;
}

std::optional<std::string> credential_keeper::missing() {
  std::unique_lock lock(mutex_);
  step_without_threads(lock);
  return schedule_.missing(world_.now());
}

bool credential_keeper::starting() {
  std::unique_lock lock(mutex_);
  step_without_threads(lock);
  return schedule_.starting();
}

refused_advice credential_keeper::refused(std::uint64_t generation) {
  std::unique_lock lock(mutex_);
  const auto now = world_.now();
  const auto advice = schedule_.refused(generation, now);
  if (schedule_.due() <= now) wake_.notify_all();
  step_without_threads(lock);
  return advice;
}

std::uint64_t credential_keeper::generation() {
  std::unique_lock lock(mutex_);
  step_without_threads(lock);
  return schedule_.generation();
}

}  // namespace spillway
