#include "connectors/kafka/fleet_clients.hpp"

#include "connectors/kafka/client.hpp"
#include "connectors/kafka/rdkafka_link.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace spillway::kafka {

namespace {

constexpr std::chrono::seconds reach_max{10};

/// Runs blocking calls one after the other.
class side_thread {
 public:
  side_thread() : thread_([this] { run(); }) {}
  ~side_thread() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  void post(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(std::move(call));
    wake_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return closing_ || !calls_.empty(); });
      if (closing_) return;
      const auto call = std::move(calls_.front());
      calls_.pop_front();
      lock.unlock();
      call();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  bool closing_ = false;
  std::deque<std::function<void()>> calls_;
  std::thread thread_;
};

/// Threads of links that were closed. Those that have ended are joined when the next one comes.
class leaving_threads {
 public:
  ~leaving_threads() {
    for (auto& t : threads_) t.thread.join();
  }
  void adopt(std::thread thread, std::function<bool()> ended) {
    const std::lock_guard lock(mutex_);
    std::erase_if(threads_, [](leaving& t) {
      if (!t.ended()) return false;
      t.thread.join();
      return true;
    });
    threads_.push_back({std::move(thread), std::move(ended)});
  }

 private:
  struct leaving {
    std::thread thread;
    std::function<bool()> ended;
  };
  std::mutex mutex_;
  std::vector<leaving> threads_;
};

class rdkafka_fleet_clients final : public fleet_clients {
 public:
  rdkafka_fleet_clients(const kafka_settings& settings, std::unique_ptr<admin> brokers,
                        std::unique_ptr<plain_producer> plain, std::size_t record_bytes)
      : brokers_(std::move(brokers)), plain_(std::move(plain)), reader_(settings) {
    auto shared = std::make_shared<shared_clients>();
    shared->settings = settings;
    shared->record_bytes_max = record_bytes;
    shared->reader = &reader_;
    shared->plain = plain_.get();
    shared->brokers = brokers_.get();
    shared->run_aside = [this](std::function<void()> call) { aside_.post(std::move(call)); };
    shared->adopt = [this](std::thread thread, std::function<bool()> ended) {
      leaving_.adopt(std::move(thread), std::move(ended));
    };
    shared_ = std::move(shared);
  }

  std::unique_ptr<partition_link> make_link(link_options options) override {
    return std::make_unique<rdkafka_link>(shared_, std::move(options));
  }
  void store(topic to, std::int32_t partition, record what, stored_sink done) override {
    plain_->store(to, partition, std::move(what), std::move(done));
  }
  client_counts counts() const override {
    const auto read = reader_.counts();
    return {read.handles,      read.gaps_checked,     read.gaps_healed,
            read.sets_dropped, shared_->late_answers, broker_errors()};
  }

 private:
  // Destroyed in reverse: threads that use the clients end first.
  std::unique_ptr<admin> brokers_;
  std::unique_ptr<plain_producer> plain_;
  log_reader reader_;
  leaving_threads leaving_;
  side_thread aside_;
  std::shared_ptr<const shared_clients> shared_;
};

}  // namespace

result<std::unique_ptr<fleet_clients>> fleet_clients::connect(const kafka_settings& settings) {
  if (auto ok = check_settings(settings); !ok) return ok.error();
  auto brokers = admin::make(settings);
  if (!brokers) return brokers.error();
  if (auto ok = (*brokers)->reach(reach_max); !ok) return ok.error();
  const auto record_bytes = record_bytes_max(**brokers, settings);
  auto plain = plain_producer::make(settings, record_bytes);
  if (!plain) return plain.error();
  return std::unique_ptr<fleet_clients>(std::make_unique<rdkafka_fleet_clients>(
      settings, std::move(*brokers), std::move(*plain), record_bytes));
}

}  // namespace spillway::kafka
