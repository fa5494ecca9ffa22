#include "connectors/kafka/rdkafka_link.hpp"

#include "connectors/kafka/transactional_producer.hpp"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace spillway::kafka {

namespace {

/// How long a blocking call keeps the thread from seeing that it has to stop.
constexpr std::chrono::milliseconds slice{200};
/// While the broker ends a predecessor's transaction it refuses a producer's id. librdkafka asks
/// again after half a second, or with the next call.
constexpr std::chrono::milliseconds open_slice{20};
/// A producer that can't be opened, or a commit whose outcome stays unknown for so long, is given
/// up as ambiguous; the next one begins anew.
constexpr std::chrono::seconds open_max{60}, commit_max{60};

using clock = std::chrono::steady_clock;
using step = transactional_producer::step;

struct open_order {};
struct produce_order {
  std::uint64_t ticket = 0;
  std::vector<delivery_book::addressed> records;
};
struct commit_order {};
using order = std::variant<open_order, produce_order, commit_order>;

}  // namespace

class rdkafka_link::core {
 public:
  core(std::shared_ptr<const shared_clients> s, std::int32_t partition, link_sink sink)
      : shared_(std::move(s)), partition_(partition), sink_(std::move(sink)) {}

  void give(order o) {
    const std::lock_guard lock(mutex_);
    orders_.push_back(std::move(o));
    awake_ = true;
    wake_.notify_one();
  }

  bool stopping() {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }
  [[nodiscard]] bool ended() const { return ended_; }

  /// No event is delivered any more once it has returned.
  void stop() {
    {
      const std::lock_guard lock(sink_mutex_);
      sink_ = nullptr;
    }
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }

  void tell(link_event&& event) {
    const std::lock_guard lock(sink_mutex_);
    if (sink_) sink_(std::move(event));
  }

  /// Tells once; everything but reads and `late` has ended then.
  void fail(link_fault fault, std::string message) {
    if (failed_.exchange(true)) return;
    spdlog::debug("kafka link {}: {}", partition_, message);
    tell(link_failed{fault, std::move(message)});
  }

  void run();

 private:
  bool wait(std::deque<order>& orders);
  void poll();
  void fail_with_producer();
  void carry_out(open_order&);
  void carry_out(produce_order&);
  void carry_out(commit_order&);
  const std::shared_ptr<const shared_clients> shared_;
  const std::int32_t partition_;

  std::mutex sink_mutex_;
  link_sink sink_;
  std::atomic<bool> failed_ = false, ended_ = false;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool awake_ = false, stopping_ = false;
  std::deque<order> orders_;

  std::unique_ptr<transactional_producer> producer_;  // the thread's alone
};

bool rdkafka_link::core::wait(std::deque<order>& orders) {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return awake_ || stopping_; });
  awake_ = false;
  orders.swap(orders_);
  return !stopping_;
}

void rdkafka_link::core::run() {
  std::deque<order> orders;
  while (wait(orders)) {
    poll();
    for (auto& o : orders) {
      if (failed_) break;
      std::visit([this](auto& what) { carry_out(what); }, o);
    }
    orders.clear();
    poll();
  }
  producer_.reset();
  ended_ = true;
}

void rdkafka_link::core::poll() {
  if (!producer_ || failed_) return;
  std::vector<delivered_ticket> stored;
  const auto came = producer_->poll(stored);
  for (auto& done : stored) tell(link_acked{done.ticket, std::move(done.offsets)});
  if (came == step::failed) fail_with_producer();
}

void rdkafka_link::core::fail_with_producer() {
  const auto& fault = *producer_->fault();
  fail(fault.fault, fault.why.message);
}

void rdkafka_link::core::carry_out(open_order&) {
  auto made =
      transactional_producer::make(shared_->settings, owner_id(shared_->settings, partition_),
                                   shared_->record_bytes_max, [this] {
                                     const std::lock_guard lock(mutex_);
                                     awake_ = true;
                                     wake_.notify_one();
                                   });
  if (!made) return fail(link_fault::refused, made.error().message);
  producer_ = std::move(*made);
  const auto deadline = clock::now() + open_max;
  while (!stopping()) {
    switch (producer_->open(open_slice)) {
      case step::done: return tell(link_opened{});
      case step::failed: return fail_with_producer();
      case step::pending: break;
    }
    if (clock::now() >= deadline)
      return fail(link_fault::ambiguous, "Kafka: the producer of partition " +
                                             std::to_string(partition_) +
                                             " could not be opened in time.");
  }
}

void rdkafka_link::core::carry_out(produce_order& o) {
  ensure(producer_ != nullptr, "a link is opened before records are produced");
  if (producer_->send(o.ticket, std::move(o.records)) == step::failed) fail_with_producer();
}

void rdkafka_link::core::carry_out(commit_order&) {
  ensure(producer_ != nullptr, "a link is opened before it commits");
  const auto deadline = clock::now() + commit_max;
  while (!stopping()) {
    const auto came = producer_->commit(slice);
    poll();  // acks come before the commit they belong to
    if (failed_) return;
    switch (came) {
      case step::done: return tell(link_committed{});
      case step::failed: return fail_with_producer();
      case step::pending: break;
    }
    if (clock::now() >= deadline)
      return fail(link_fault::ambiguous,
                  "Kafka: the outcome of a commit was not to be learned in time.");
  }
}

rdkafka_link::rdkafka_link(std::shared_ptr<const shared_clients> shared, link_options options)
    : shared_(std::move(shared)),
      backlog_(std::move(options.backlog)),
      partition_(options.partition),
      core_(std::make_shared<core>(shared_, partition_, std::move(options.sink))),
      thread_([core = core_] { core->run(); }) {}

rdkafka_link::~rdkafka_link() {
  core_->stop();
  for (const auto& [mine, readers] : reads_) shared_->reader->stop(readers);
  shared_->adopt(std::move(thread_), [core = core_] { return core->ended(); });
}

void rdkafka_link::open() { core_->give(open_order{}); }

void rdkafka_link::produce(std::uint64_t ticket, std::vector<outgoing_record> records) {
  produce_order o{ticket, {}};
  o.records.reserve(records.size());
  for (auto& r : records) o.records.push_back({r.to, partition_, std::move(r.what)});
  core_->give(std::move(o));
}

void rdkafka_link::commit() { core_->give(commit_order{}); }

void rdkafka_link::produce_late(std::uint64_t ticket, record what) {
  const bool is_answer = !what.value.empty();  // notes have none
  shared_->plain->store(
      topic::late, partition_, std::move(what),
      [core = core_, shared = shared_, ticket, is_answer](result<std::int64_t> stored) {
        if (stored && is_answer) ++shared->late_answers;
        core->tell(link_late_acked{ticket, stored ? std::string() : stored.error().message});
      });
}

void rdkafka_link::read(const read_request& request) {
  ensure(!reads_.contains(request.id), "a read's id is used once");
  read_callbacks callbacks;
  callbacks.records = [core = core_, id = request.id](link_records&& batch) {
    batch.read = id;
    core->tell(std::move(batch));
  };
  callbacks.failed = [core = core_](link_fault fault, failure why) {
    core->fail(fault, std::move(why.message));
  };
  check_access(request.from);
  reads_[request.id] = shared_->reader->start(
      {request.from, partition_, request.offset, request.until, request.committed, backlog_},
      std::move(callbacks));
}

/// A read of a topic that may not be read waits for ever: the library does not tell.
void rdkafka_link::check_access(topic t) {
  if (!checked_.insert(t).second) return;
  shared_->run_aside([core = core_, shared = shared_, t] {
    if (core->stopping()) return;
    const auto found = shared->brokers->partitions_of(t);
    if (!found && found.error().kind == failure_kind::usage)
      core->fail(link_fault::refused, found.error().message);
  });
}

void rdkafka_link::stop_reading(std::uint64_t id) {
  const auto at = reads_.find(id);
  if (at == reads_.end()) return;
  shared_->reader->stop(at->second);
  reads_.erase(at);
}

void rdkafka_link::ask_offsets(topic of) {
  shared_->run_aside([core = core_, shared = shared_, partition = partition_, of] {
    if (core->stopping()) return;
    const auto found = shared->brokers->offsets(of, partition);
    if (found)
      core->tell(link_offsets{of, found->first, found->last_stable, found->high_watermark});
    else
      core->fail(
          found.error().kind == failure_kind::usage ? link_fault::refused : link_fault::ambiguous,
          found.error().message);
  });
}

void rdkafka_link::trim(topic of, std::int64_t offset) {
  shared_->run_aside([shared = shared_, partition = partition_, of, offset] {
    const auto done = shared->brokers->trim(of, partition, offset);
    if (!done)
      spdlog::warn("Trimming {}-{} below {} has to wait: {}", topic_name(shared->settings, of),
                   partition, offset, done.error().message);
  });
}

}  // namespace spillway::kafka
