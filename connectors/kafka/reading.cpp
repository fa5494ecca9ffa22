#include "connectors/kafka/reading.hpp"

#include "connectors/kafka/client.hpp"
#include "connectors/kafka/partition_read.hpp"

#include <spdlog/spdlog.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <thread>

namespace spillway::kafka {

namespace {

constexpr std::size_t batch_records_max = 1000, batch_bytes_max = 1u << 20;
constexpr std::chrono::milliseconds backlog_wait{5};
constexpr int seek_ms_max = 5000, offsets_ms_max = 5000;

/// A log's end is told with the answer to a fetch that found nothing: whoever reads up to an offset
/// must not wait for it as long as one that follows the log.
forced_properties consumer_properties(bool committed, bool follows) {
  forced_properties out = {{"isolation.level", committed ? "read_committed" : "read_uncommitted"},
                           {"auto.offset.reset", "error"},
                           {"enable.partition.eof", "true"},
                           {"allow.auto.create.topics", "false"},
                           {"check.crcs", "true"},
                           {"enable.auto.commit", "false"},
                           {"enable.auto.offset.store", "false"}};
  if (!follows) out.emplace_back("fetch.wait.max.ms", "10");
  return out;
}

struct active_read;

/// One consumer client; a partition is read at most once in each.
struct reader_handle {
  bool committed = true, follows = true;
  std::unique_ptr<client> kafka;
  rdk_queue events;  ///< errors and the like; gone before the client
  std::map<std::pair<topic, std::int32_t>, std::uint64_t> busy;
};

struct active_read {
  std::uint64_t id = 0;
  read_spec spec;
  read_callbacks callbacks;
  reader_handle* handle = nullptr;
  rdk_queue queue;
  std::optional<partition_read> state;
  bool finished = false;  ///< by itself: nothing more is read
  std::mutex running;     ///< held while callbacks run
  std::atomic<bool> stopped = false;
  std::atomic<bool> ready = false;  ///< the queue has something
};

}  // namespace

class log_reader::worker {
 public:
  explicit worker(const kafka_settings& s) : settings_(s), thread_([this] { run(); }) {}
  ~worker() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  std::uint64_t start(read_spec spec, read_callbacks callbacks) {
    auto read = std::make_shared<active_read>();
    read->spec = std::move(spec);
    read->callbacks = std::move(callbacks);
    const std::lock_guard lock(mutex_);
    read->id = ++last_id_;
    reads_.emplace(read->id, read);
    starting_.push_back(read);
    awake_ = true;
    wake_.notify_one();
    return read->id;
  }

  void stop(std::uint64_t id) {
    std::shared_ptr<active_read> read;
    {
      const std::lock_guard lock(mutex_);
      const auto at = reads_.find(id);
      if (at == reads_.end()) return;
      read = at->second;
      reads_.erase(at);
      read->stopped = true;
      stopping_.push_back(read);
      awake_ = true;
      wake_.notify_one();
    }
    const std::lock_guard wait(read->running);
  }

  read_counts counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  using read_ptr = std::shared_ptr<active_read>;

  void run();
  bool wait_for_work(std::vector<read_ptr>& starting, std::vector<read_ptr>& stopping);
  void begin(const read_ptr&);
  void end(active_read&);
  void forget(const active_read&);
  void serve(active_read&);
  bool serve_message(active_read&, const rd_kafka_message_t&);
  bool follow(active_read&, partition_read::advice);
  void seek(active_read&);
  bool out_of_range(active_read&);
  void deliver(active_read&);
  void fail(active_read&, int code, std::string_view reason);
  result<reader_handle*> handle_for(const read_spec&);
  void wake();
  void on_ready(active_read&);

  struct queue_opaque {
    worker* self;
    active_read* read;
  };
  kafka_settings settings_;
  // These are the thread's alone.
  rd_kafka_resp_err_t serving_error_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::deque<std::unique_ptr<reader_handle>> handles_;
  std::map<std::uint64_t, read_ptr> running_;
  std::map<std::uint64_t, std::unique_ptr<queue_opaque>> opaques_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool closing_ = false, awake_ = false, held_back_ = false;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, read_ptr> reads_;
  std::vector<read_ptr> starting_, stopping_;
  read_counts counts_;
  std::thread thread_;  // last: it uses all of these
};

void log_reader::worker::wake() {
  const std::lock_guard lock(mutex_);
  awake_ = true;
  wake_.notify_one();
}

void log_reader::worker::on_ready(active_read& read) {
  read.ready = true;
  wake();
}

bool log_reader::worker::wait_for_work(std::vector<read_ptr>& starting,
                                       std::vector<read_ptr>& stopping) {
  std::unique_lock lock(mutex_);
  const auto woken = [this] { return awake_ || closing_; };
  // Nobody tells when a backlog has been worked off.
  if (held_back_) {
    wake_.wait_for(lock, backlog_wait, woken);
  } else {
    wake_.wait(lock, woken);
  }
  awake_ = false;
  starting.swap(starting_);
  stopping.swap(stopping_);
  return !closing_;
}

void log_reader::worker::run() {
  std::vector<read_ptr> starting, stopping;
  while (wait_for_work(starting, stopping)) {
    for (const auto& read : stopping) end(*read);
    for (const auto& read : starting)
      if (!read->stopped) begin(read);
    starting.clear();
    stopping.clear();
    for (const auto& handle : handles_) rd_kafka_poll(handle->kafka->get(), 0);
    held_back_ = false;
    std::vector<read_ptr> finished;
    for (const auto& [id, read] : running_) {
      if (!read->ready) continue;
      const auto& backlog = read->spec.backlog;
      if (backlog && backlog->bytes >= backlog->bytes_max) {
        held_back_ = true;
        continue;
      }
      serve(*read);
      if (read->finished) finished.push_back(read);
    }
    for (const auto& read : finished) end(*read);
  }
  while (!running_.empty()) end(*read_ptr(running_.begin()->second));
  for (const auto& handle : handles_)
    rd_kafka_queue_cb_event_enable(handle->events.get(), nullptr, nullptr);
  handles_.clear();
}

result<reader_handle*> log_reader::worker::handle_for(const read_spec& spec) {
  const auto place = std::pair(spec.from, spec.partition);
  const bool follows = !spec.until;
  for (const auto& handle : handles_)
    if (handle->committed == spec.committed && handle->follows == follows &&
        !handle->busy.contains(place))
      return handle.get();
  client_callbacks callbacks;
  // A missing topic comes this way, from the read's own queue.
  callbacks.error = [this](rd_kafka_resp_err_t code, const std::string&) {
    if (fault_of(code) == link_fault::refused) serving_error_ = code;
  };
  auto made = client::make(settings_, RD_KAFKA_CONSUMER,
                           spec.committed ? "committed reader" : "uncommitted reader",
                           consumer_properties(spec.committed, follows), std::move(callbacks));
  if (!made) return made.error();
  auto& handle = *handles_.emplace_back(std::make_unique<reader_handle>());
  handle.committed = spec.committed;
  handle.follows = follows;
  handle.kafka = std::move(*made);
  handle.events.reset(rd_kafka_queue_get_main(handle.kafka->get()));
  rd_kafka_queue_cb_event_enable(
      handle.events.get(), [](rd_kafka_t*, void* self) { static_cast<worker*>(self)->wake(); },
      this);
  const std::lock_guard lock(mutex_);
  counts_.handles = handles_.size();
  return &handle;
}

void log_reader::worker::begin(const read_ptr& read) {
  const auto& spec = read->spec;
  read->state.emplace(spec.from, spec.offset, spec.until);
  if (read->state->ended()) {
    deliver(*read);
    forget(*read);
    return;
  }
  const auto handle = handle_for(spec);
  if (!handle) {
    {
      const std::lock_guard lock(read->running);
      if (!read->stopped) read->callbacks.failed(link_fault::refused, handle.error());
    }
    forget(*read);
    return;
  }
  read->handle = *handle;
  auto& kafka = *read->handle->kafka;
  read->queue.reset(rd_kafka_queue_new(kafka.get()));
  auto& opaque = opaques_[read->id];
  opaque = std::make_unique<queue_opaque>(queue_opaque{this, read.get()});
  rd_kafka_queue_cb_event_enable(
      read->queue.get(),
      [](rd_kafka_t*, void* what) {
        const auto* o = static_cast<queue_opaque*>(what);
        o->self->on_ready(*o->read);
      },
      opaque.get());
  read->handle->busy.emplace(std::pair(spec.from, spec.partition), read->id);
  running_.emplace(read->id, read);
  if (rd_kafka_consume_start_queue(kafka.topic_handle(spec.from), spec.partition, spec.offset,
                                   read->queue.get()) != 0) {
    fail(*read, rd_kafka_last_error(), {});
    end(*read);
  }
}

void log_reader::worker::end(active_read& read) {
  const auto at = running_.find(read.id);
  if (at == running_.end()) return;
  const auto keep = at->second;
  running_.erase(at);
  rd_kafka_consume_stop(read.handle->kafka->topic_handle(read.spec.from), read.spec.partition);
  rd_kafka_queue_cb_event_enable(read.queue.get(), nullptr, nullptr);
  read.queue.reset();
  read.handle->busy.erase({read.spec.from, read.spec.partition});
  opaques_.erase(read.id);
  forget(read);
  const std::lock_guard lock(mutex_);
  counts_.gaps_checked += read.state->gaps_checked();
  counts_.gaps_healed += read.state->gaps_healed();
  counts_.sets_dropped += read.state->sets_dropped();
}

void log_reader::worker::forget(const active_read& read) {
  const std::lock_guard lock(mutex_);
  reads_.erase(read.id);
}

/// A batch at most, so that reads take turns.
void log_reader::worker::serve(active_read& read) {
  read.ready = false;  // before looking: what comes later sets it again
  while (!read.finished && !read.stopped) {
    if (read.state->batch_records() >= batch_records_max ||
        read.state->batch_bytes() >= batch_bytes_max) {
      on_ready(read);
      break;
    }
    serving_error_ = RD_KAFKA_RESP_ERR_NO_ERROR;
    const rdk_message message(rd_kafka_consume_queue(read.queue.get(), 0));
    if (serving_error_ != RD_KAFKA_RESP_ERR_NO_ERROR) {
      fail(read, serving_error_, {});
      break;
    }
    if (!message) break;
    if (!serve_message(read, *message)) break;
  }
  if (!read.finished && read.state->fresh()) deliver(read);
}

/// False ends this turn.
bool log_reader::worker::serve_message(active_read& read, const rd_kafka_message_t& message) {
  switch (message.err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: return follow(read, read.state->add(to_record(message)));
    case RD_KAFKA_RESP_ERR__PARTITION_EOF: return follow(read, read.state->reached(message.offset));
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: return out_of_range(read);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
      fail(read, message.err, rd_kafka_message_errstr(&message));
      return false;
    default:
      // The broker is away, or the leader moves: the library tries again.
      spdlog::debug("kafka read of {}-{}: {}", name_of(read.spec.from), read.spec.partition,
                    rd_kafka_message_errstr(&message));
      return true;
  }
}

bool log_reader::worker::follow(active_read& read, partition_read::advice advice) {
  switch (advice) {
    case partition_read::advice::taken: return true;
    case partition_read::advice::again: seek(read); return true;
    case partition_read::advice::ended: deliver(read); return false;
  }
  return true;
}

void log_reader::worker::seek(active_read& read) {
  const auto code = rd_kafka_seek(read.handle->kafka->topic_handle(read.spec.from),
                                  read.spec.partition, read.state->position(), seek_ms_max);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) fail(read, code, {});
}

bool log_reader::worker::out_of_range(active_read& read) {
  std::int64_t first = 0, end = 0;
  auto& kafka = *read.handle->kafka;
  const auto code =
      rd_kafka_query_watermark_offsets(kafka.get(), topic_name(settings_, read.spec.from).c_str(),
                                       read.spec.partition, &first, &end, offsets_ms_max);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR || read.state->position() >= first) {
    fail(read, code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
         "asked for offset " + std::to_string(read.state->position()));
    return false;
  }
  read.state->skip_deleted(first);
  if (read.state->ended()) return follow(read, partition_read::advice::ended);
  // After this error the library reads no further; seeking alone would not wake it.
  auto* where = kafka.topic_handle(read.spec.from);
  rd_kafka_consume_stop(where, read.spec.partition);
  if (rd_kafka_consume_start_queue(where, read.spec.partition, first, read.queue.get()) != 0) {
    fail(read, rd_kafka_last_error(), {});
    return false;
  }
  return true;
}

void log_reader::worker::deliver(active_read& read) {
  auto batch = read.state->take();
  read.finished = batch.end;
  const std::lock_guard lock(read.running);
  if (read.stopped) return;
  if (read.spec.backlog) read.spec.backlog->bytes += bytes_in(batch);
  read.callbacks.records(std::move(batch));
}

void log_reader::worker::fail(active_read& read, int code, std::string_view reason) {
  read.finished = true;
  auto why = read.handle->kafka->explained(code, reason, topic_name(settings_, read.spec.from));
  const std::lock_guard lock(read.running);
  if (!read.stopped) read.callbacks.failed(fault_of(code), std::move(why));
}

log_reader::log_reader(const kafka_settings& s) : worker_(std::make_unique<worker>(s)) {}
log_reader::~log_reader() = default;

std::uint64_t log_reader::start(read_spec spec, read_callbacks callbacks) {
  return worker_->start(std::move(spec), std::move(callbacks));
}
void log_reader::stop(std::uint64_t id) { worker_->stop(id); }
read_counts log_reader::counts() const { return worker_->counts(); }

std::int64_t bytes_in(const link_records& batch) {
  std::size_t bytes = 0;
  for (const auto& r : batch.records) bytes += wire_bytes(r.what);
  return static_cast<std::int64_t>(bytes);
}

}  // namespace spillway::kafka
