#include "connectors/kafka/admin.hpp"
#include "connectors/kafka/log_tools.hpp"
#include "connectors/kafka/transactional_producer.hpp"

#include <condition_variable>
#include <mutex>

namespace spillway::kafka {

namespace {

using clock = std::chrono::steady_clock;
using step = transactional_producer::step;

constexpr std::size_t waiting_bytes_max = 64u << 20;
constexpr std::chrono::milliseconds slice{500};
constexpr std::chrono::seconds open_max{30}, commit_max{60};

/// Wakes the writer when its producer has news.
class bell {
 public:
  void ring() {
    const std::lock_guard lock(mutex_);
    rung_ = true;
    wake_.notify_one();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, slice, [this] { return rung_; });
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool rung_ = false;
};

class rdkafka_transaction_writer final : public transaction_writer {
 public:
  result<void> open(const kafka_settings& settings, const std::string& id) {
    if (auto ok = check_settings(settings); !ok) return ok.error();
    auto brokers = admin::make(settings);
    if (!brokers) return brokers.error();
    if (auto ok = (*brokers)->reach(open_max); !ok) return ok.error();
    auto made = transactional_producer::make(settings, id, record_bytes_max(**brokers, settings),
                                             [this] { bell_.ring(); });
    if (!made) return made.error();
    producer_ = std::move(*made);
    const auto deadline = clock::now() + open_max;
    for (;;) {
      switch (producer_->open(slice)) {
        case step::done: return {};
        case step::failed: return producer_->fault()->why;
        case step::pending: break;
      }
      if (clock::now() >= deadline)
        return failure{failure_kind::storage,
                       "Kafka: a transactional producer could not be opened in time. Check the "
                       "brokers' transaction coordinator."};
    }
  }

  result<void> produce(placed_record r) override {
    while (producer_->open_bytes() > waiting_bytes_max) {
      if (auto ok = poll(); !ok) return ok;
      if (producer_->open_bytes() > waiting_bytes_max) bell_.wait();
    }
    std::vector<delivery_book::addressed> one;
    one.push_back({r.to, r.partition, std::move(r.what)});
    if (producer_->send(next_ticket_, std::move(one)) == step::failed)
      return producer_->fault()->why;
    ++next_ticket_;
    return poll();
  }

  result<std::vector<std::int64_t>> wait_stored() override {
    while (next_ticket_ > first_ticket_ + stored_) {
      if (auto ok = poll(); !ok) return ok.error();
      if (next_ticket_ > first_ticket_ + stored_) bell_.wait();
    }
    first_ticket_ = next_ticket_;
    stored_ = 0;
    return std::exchange(offsets_, {});
  }

  result<void> commit() override {
    const auto deadline = clock::now() + commit_max;
    for (;;) {
      const auto came = producer_->commit(slice);
      if (auto ok = poll(); !ok) return unknown(ok.error());
      if (came == step::done) return {};
      if (came == step::failed) return unknown(producer_->fault()->why);
      if (clock::now() >= deadline)
        return unknown({failure_kind::storage, "Kafka: no answer to a commit in time."});
    }
  }

 private:
  /// What the user has to change stays so; everything else leaves the outcome open.
  static failure unknown(failure why) {
    if (why.kind != failure_kind::usage) why.kind = failure_kind::stopped;
    return why;
  }

  result<void> poll() {
    std::vector<delivered_ticket> stored;
    const auto came = producer_->poll(stored);
    for (const auto& done : stored) {
      const auto at = static_cast<std::size_t>(done.ticket - first_ticket_);
      if (offsets_.size() <= at) offsets_.resize(at + 1, -1);
      offsets_[at] = done.offsets.front();
      ++stored_;
    }
    if (came == step::failed) return producer_->fault()->why;
    return {};
  }

  bell bell_;  // before the producer, which rings it
  std::unique_ptr<transactional_producer> producer_;
  std::uint64_t next_ticket_ = 0, first_ticket_ = 0, stored_ = 0;
  std::vector<std::int64_t> offsets_;  ///< by ticket, from `first_ticket_` on
};

}  // namespace

result<std::unique_ptr<transaction_writer>> transaction_writer::open(
    const kafka_settings& settings, const std::string& transactional_id) {
  auto made = std::make_unique<rdkafka_transaction_writer>();
  if (auto ok = made->open(settings, transactional_id); !ok) return ok.error();
  return std::unique_ptr<transaction_writer>(std::move(made));
}

}  // namespace spillway::kafka
