#include "orchestrator/engine/reader_thread.hpp"

namespace spillway {

reader_thread::reader_thread(intake& intake, inbox& inbox) : intake_(intake), inbox_(inbox) {
  thread_ = std::thread([this] { run(); });
}

reader_thread::~reader_thread() { stop(); }

void reader_thread::read_next() {
  {
    const std::lock_guard lock(mutex_);
    ++next_;
  }
  wake_.notify_one();
}

void reader_thread::read_again(const shard_descriptor& where) {
  {
    const std::lock_guard lock(mutex_);
    again_.push_back(where);
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

void reader_thread::run() {
  for (;;) {
    std::optional<shard_descriptor> again;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !again_.empty() || next_ > 0; });
      if (stopping_) return;
      if (again_.empty()) {
        --next_;
      } else {
        again = again_.front();
        again_.pop_front();
      }
    }
    auto shard = again ? [&]() -> result<std::optional<parsed_shard>> {
      auto read = intake_.again(*again);
      if (!read) return read.error();
      return std::optional<parsed_shard>(*std::move(read));
    }()
        : intake_.next();
    const bool failed = !shard;
    inbox_.put([&](engine_events& e) {
      if (failed)
        e.input_failed = shard.error();
      else if (*shard)
        e.shards.push_back(**std::move(shard));
      else
        e.input_end = true;
    });
    if (failed) return;
  }
}

}  // namespace spillway
