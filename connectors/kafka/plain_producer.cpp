#include "connectors/kafka/plain_producer.hpp"

#include "connectors/kafka/client.hpp"
#include "connectors/kafka/delivery_book.hpp"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <optional>
#include <thread>

namespace spillway::kafka {

namespace {

constexpr int full_queue_wait_ms = 10;

struct waiting_record {
  delivery_book::addressed what;
  plain_producer::stored_sink done;
};

}  // namespace

class plain_producer::worker {
 public:
  worker(const kafka_settings& s, std::size_t record_bytes)
      : settings_(s), record_bytes_max_(record_bytes) {}
  ~worker();

  result<void> start();
  void store(waiting_record w) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(w));
    awake_ = true;
    wake_.notify_one();
  }

 private:
  result<void> make_client();
  void run();
  void send(waiting_record);
  void report(delivery_book::message&, int code, std::int64_t offset);
  void renew();
  void retire();
  void close();
  void give_up(const failure&);
  void wake() {
    const std::lock_guard lock(mutex_);
    awake_ = true;
    wake_.notify_one();
  }

  kafka_settings settings_;
  std::size_t record_bytes_max_;
  // The thread's alone. The book outlives the client, which points into it.
  delivery_book book_{unique_set_prefix()};
  std::map<std::uint64_t, stored_sink> sinks_;
  std::uint64_t last_ticket_ = 0;
  std::optional<failure> fatal_;  ///< the client is of no use any more
  std::unique_ptr<client> kafka_;
  rdk_queue events_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool closing_ = false, awake_ = false;
  std::vector<waiting_record> waiting_;
  std::thread thread_;
};

result<void> plain_producer::worker::start() {
  if (auto made = make_client(); !made) return made;
  thread_ = std::thread([this] { run(); });
  return {};
}

plain_producer::worker::~worker() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

result<void> plain_producer::worker::make_client() {
  client_callbacks callbacks;
  callbacks.delivered = [this](const rd_kafka_message_t& m) {
    report(*static_cast<delivery_book::message*>(m._private), m.err, m.offset);
  };
  callbacks.fatal = [this](rd_kafka_resp_err_t code, const std::string& reason) {
    fatal_ = kafka_->explained(code, reason);
  };
  auto made = client::make(settings_, RD_KAFKA_PRODUCER, "producer",
                           {{"enable.idempotence", "true"},
                            {"acks", "all"},
                            {"message.max.bytes", std::to_string(record_bytes_max_)}},
                           std::move(callbacks));
  if (!made) return made.error();
  kafka_ = std::move(*made);
  events_.reset(rd_kafka_queue_get_main(kafka_->get()));
  rd_kafka_queue_cb_event_enable(
      events_.get(), [](rd_kafka_t*, void* self) { static_cast<worker*>(self)->wake(); }, this);
  return {};
}

void plain_producer::worker::run() {
  for (;;) {
    std::vector<waiting_record> waiting;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return awake_ || closing_; });
      awake_ = false;
      waiting.swap(waiting_);
      if (closing_ && waiting.empty()) break;
    }
    if (!kafka_ && !waiting.empty()) renew();
    for (auto& w : waiting) send(std::move(w));
    while (kafka_ && rd_kafka_poll(kafka_->get(), 0) > 0) {
    }
    if (fatal_) retire();
  }
  close();
  give_up({failure_kind::stopped, "Kafka: the producer was closed before the record was stored."});
}

void plain_producer::worker::send(waiting_record w) {
  const auto ticket = ++last_ticket_;
  sinks_[ticket] = std::move(w.done);
  std::vector<delivery_book::addressed> one;
  one.push_back(std::move(w.what));
  for (auto* m : book_.add(ticket, std::move(one), record_bytes_max_)) {
    for (;;) {
      const auto code =
          enqueue(kafka_->get(), kafka_->topic_handle(m->to), m->partition, m->what, m);
      if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && !fatal_) {
        rd_kafka_poll(kafka_->get(), full_queue_wait_ms);
        continue;
      }
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR) report(*m, code, -1);
      break;
    }
  }
}

void plain_producer::worker::report(delivery_book::message& m, int code, std::int64_t offset) {
  const auto done = book_.report(m, code, offset);
  if (!done) return;
  const auto at = sinks_.find(done->ticket);
  const auto sink = std::move(at->second);
  sinks_.erase(at);
  if (done->code == 0) {
    sink(done->offsets.front());
  } else {
    sink(kafka_->explained(done->code, {}, topic_name(settings_, done->of)));
  }
}

/// After a fatal error (a sequence the broker does not accept, a missing permission) what the
/// client still held may be stored or not. Another one is made when there is something to store
/// again.
void plain_producer::worker::retire() {
  close();
  auto why = std::move(*fatal_);
  fatal_.reset();
  spdlog::debug("kafka producer retired: {}", why.message);
  if (why.kind != failure_kind::usage) why.kind = failure_kind::stopped;
  give_up(why);
}

void plain_producer::worker::close() {
  if (!kafka_) return;
  rd_kafka_queue_cb_event_enable(events_.get(), nullptr, nullptr);
  events_.reset();
  kafka_.reset();
}

void plain_producer::worker::renew() {
  const auto made = make_client();
  ensure(made.has_value(), "settings that worked once work again");
}

void plain_producer::worker::give_up(const failure& why) {
  for (const auto ticket : book_.abandon()) {
    const auto at = sinks_.find(ticket);
    const auto sink = std::move(at->second);
    sinks_.erase(at);
    sink(why);
  }
}

plain_producer::plain_producer(std::unique_ptr<worker> w) : worker_(std::move(w)) {}
plain_producer::~plain_producer() = default;

result<std::unique_ptr<plain_producer>> plain_producer::make(const kafka_settings& settings,
                                                             std::size_t record_bytes) {
  auto made = std::make_unique<worker>(settings, record_bytes);
  if (auto started = made->start(); !started) return started.error();
  return std::unique_ptr<plain_producer>(new plain_producer(std::move(made)));
}

void plain_producer::store(topic to, std::int32_t partition, record what, stored_sink done) {
  worker_->store({{to, partition, std::move(what)}, std::move(done)});
}

}  // namespace spillway::kafka
