#include "orchestrator/engine/reader_thread.hpp"

namespace spillway {

namespace {

result<std::optional<parsed_shard>> read_from(intake& lines,
                                              const std::optional<shard_descriptor>& again) {
  if (!again) return lines.next();
  auto shard = lines.again(*again);
  if (!shard) return shard.error();
  return std::optional<parsed_shard>(*std::move(shard));
}

}  // namespace

reader_thread::reader_thread(inbox& inbox) : inbox_(inbox) {
  thread_ = std::thread([this] { run(); });
}

reader_thread::~reader_thread() { stop(); }

void reader_thread::add(partition_id id, std::unique_ptr<intake> lines) {
  const std::lock_guard lock(mutex_);
  auto& made = sources_[id];
  ensure(made == nullptr, "a partition read twice");
  made = std::make_unique<source>();
  made->lines = std::move(lines);
}

void reader_thread::remove(partition_id id) {
  std::unique_lock lock(mutex_);
  const auto it = sources_.find(id);
  if (it == sources_.end()) return;
  auto gone = std::move(it->second);
  sources_.erase(it);
  idle_.wait(lock, [&] { return serving_ != gone.get(); });
}

void reader_thread::forget_job(job_number job) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, from] : sources_) from->forget.push_back(job);
  }
  wake_.notify_one();
}

void reader_thread::read_next(partition_id id) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = sources_.find(id); it != sources_.end()) ++it->second->next;
  }
  wake_.notify_one();
}

void reader_thread::read_again(const shard_descriptor& where) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = sources_.find(where.partition); it != sources_.end())
      it->second->again.push_back(where);
  }
  wake_.notify_one();
}

void reader_thread::wake(partition_id id) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = sources_.find(id); it != sources_.end()) it->second->dry = false;
  }
  wake_.notify_one();
}

void reader_thread::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

reader_thread::source* reader_thread::next_source() {
  auto it = sources_.upper_bound(turn_);
  for (auto left = sources_.size(); left > 0; --left) {
    if (it == sources_.end()) it = sources_.begin();
    if (it->second->due()) {
      turn_ = it->first;
      return it->second.get();
    }
    ++it;
  }
  return nullptr;
}

void reader_thread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    source* due = nullptr;
    wake_.wait(lock, [&] { return stopping_ || (due = next_source()) != nullptr; });
    if (stopping_) return;
    serving_ = due;
    serve(lock, *due);
    serving_ = nullptr;
    idle_.notify_all();
  }
}

/// Under the lock but for the reading itself.
void reader_thread::serve(std::unique_lock<std::mutex>& lock, source& from) {
  const auto id = turn_;
  for (const auto job : std::exchange(from.forget, {})) from.lines->forget_job(job);
  std::optional<shard_descriptor> again;
  if (!from.again.empty()) {
    again = from.again.front();
    from.again.pop_front();
  } else if (from.next > 0 && !from.dry) {
    --from.next;
    from.dry = from.lines->endless();  // unless it has one, or is woken meanwhile
  } else {
    return;
  }
  lock.unlock();
  auto shard = read_from(*from.lines, again);
  lock.lock();
  const bool known = sources_.contains(id) && sources_[id].get() == &from;
  if (!known) return;
  from.failed = !shard;
  if (!again && shard && from.lines->endless()) {
    if (!*shard) {
      ++from.next;  // asked again when it is woken
      return;
    }
    from.dry = false;
  }
  put(id, from, std::move(shard));
}

void reader_thread::put(partition_id id, source& from,
                        result<std::optional<parsed_shard>>&& shard) {
  inbox_.put([&](engine_events& e) {
    auto& events = e.of(id);
    if (from.failed)
      events.input_failed = shard.error();
    else if (*shard)
      events.shards.push_back(**std::move(shard));
    else
      events.input_end = true;
  });
}

}  // namespace spillway
