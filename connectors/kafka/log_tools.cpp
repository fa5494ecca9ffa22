#include "connectors/kafka/log_tools.hpp"

#include "connectors/kafka/admin.hpp"
#include "connectors/kafka/plain_producer.hpp"
#include "connectors/kafka/reading.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace spillway::kafka {

namespace {

using clock = std::chrono::steady_clock;

constexpr std::chrono::seconds reach_max{10};
constexpr std::chrono::milliseconds ask_every{100};
constexpr std::int64_t backlog_bytes_max = 32 << 20;

struct arrival {
  std::size_t span = 0;
  link_records batch;
  std::optional<failure> failed;
};

/// From the reader's thread to the caller's.
class arrivals {
 public:
  void push(arrival a) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(a));
    came_.notify_one();
  }
  std::optional<arrival> pop(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    if (!came_.wait_for(lock, timeout, [this] { return !waiting_.empty(); })) return std::nullopt;
    auto out = std::move(waiting_.front());
    waiting_.pop_front();
    return out;
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<arrival> waiting_;
};

/// Reads that end with the scope.
class open_reads {
 public:
  open_reads(log_reader& reader, topic from, const std::vector<read_span>& spans, bool committed)
      : reader_(reader), backlog_(std::make_shared<read_backlog>()) {
    backlog_->bytes_max = backlog_bytes_max;
    for (std::size_t i = 0; i < spans.size(); ++i) {
      const auto& span = spans[i];
      ids_.push_back(reader_.start({from, span.partition, std::max<std::int64_t>(span.from, 0),
                                    span.until, committed, backlog_},
                                   {[this, i](link_records&& batch) {
                                      came_.push({i, std::move(batch), {}});
                                    },
                                    [this, i](link_fault, failure why) {
                                      came_.push({i, {}, std::move(why)});
                                    }}));
    }
  }
  ~open_reads() {
    for (const auto id : ids_) reader_.stop(id);
  }
  open_reads(const open_reads&) = delete;
  open_reads& operator=(const open_reads&) = delete;

  std::optional<arrival> next() {
    auto out = came_.pop(ask_every);
    if (out) backlog_->bytes -= bytes_in(out->batch);
    return out;
  }

 private:
  log_reader& reader_;
  std::shared_ptr<read_backlog> backlog_;
  arrivals came_;
  std::vector<std::uint64_t> ids_;
};

class rdkafka_log_tools final : public log_tools {
 public:
  rdkafka_log_tools(const kafka_settings& s, std::unique_ptr<admin> brokers)
      : settings_(s), brokers_(std::move(brokers)), reader_(s) {}

  result<std::int32_t> partitions_of(topic t) override {
    const auto found = brokers_->partitions_of(t);
    if (!found) return found.error();
    if (*found) return **found;
    return failure{failure_kind::usage, "Kafka: topic " + topic_name(settings_, t) +
                                            " does not exist. Run `spillway topics create`, or "
                                            "check `fleet`."};
  }

  result<std::vector<partition_offsets>> offsets(topic t) override {
    const auto count = partitions_of(t);
    if (!count) return count.error();
    std::vector<partition_offsets> out;
    for (std::int32_t p = 0; p < *count; ++p) {
      const auto found = brokers_->offsets(t, p);
      if (!found) return found.error();
      out.push_back(*found);
    }
    return out;
  }

  result<std::vector<read_span>> whole(topic t) override {
    const auto found = offsets(t);
    if (!found) return found.error();
    std::vector<read_span> out;
    for (std::size_t p = 0; p < found->size(); ++p)
      out.push_back({static_cast<std::int32_t>(p), (*found)[p].first, (*found)[p].last_stable});
    return out;
  }

  result<compacted_table> read_compacted(topic t, std::string_view key_prefix) override {
    const auto spans = whole(t);
    if (!spans) return spans.error();
    compacted_table out;
    const auto done = read(t, {spans->begin(), spans->begin() + 1},
                           [&](std::int32_t, stored_record&& r) {
                             if (!r.what.key.starts_with(key_prefix)) return true;
                             if (r.what.tombstone)
                               out.erase(r.what.key);
                             else
                               out.insert_or_assign(r.what.key, std::move(r));
                             return true;
                           },
                           {});
    if (!done) return done.error();
    return out;
  }

  result<void> read(topic, const std::vector<read_span>&, const record_sink&,
                    const read_options&) override;

  result<std::optional<stored_record>> read_one(topic t, std::int32_t partition,
                                                std::int64_t offset) override {
    std::optional<stored_record> out;
    const auto ends = brokers_->offsets(t, partition);
    if (!ends) return ends.error();
    if (offset < ends->first || offset >= ends->last_stable) return out;
    // A record that was split ends behind its first chunk.
    const auto done = read(t, {{partition, offset, ends->last_stable}},
                           [&](std::int32_t, stored_record&& r) {
                             if (r.offset == offset) out = std::move(r);
                             return false;
                           },
                           {});
    if (!done) return done.error();
    return out;
  }

  result<std::vector<std::int64_t>> store(std::vector<placed_record>) override;

 private:
  kafka_settings settings_;
  std::unique_ptr<admin> brokers_;
  log_reader reader_;
  std::unique_ptr<plain_producer> producer_;  ///< made when it is needed
};

result<void> rdkafka_log_tools::read(topic from, const std::vector<read_span>& spans,
                                     const record_sink& sink, const read_options& options) {
  open_reads reads(reader_, from, spans, options.committed);
  std::size_t left = spans.size();
  auto bounded = static_cast<std::size_t>(
      std::count_if(spans.begin(), spans.end(), [](const auto& s) { return s.until.has_value(); }));
  const auto go_on = [&] { return !options.keep_going || options.keep_going(); };
  auto last_news = clock::now();
  while (left > 0) {
    if (!go_on()) return {};
    auto came = reads.next();
    if (!came) {
      if (bounded > 0 && clock::now() - last_news > options.patience)
        return failure{
            failure_kind::storage,
            "Kafka: nothing came of topic " + topic_name(settings_, from) + " for " +
                std::to_string(options.patience.count() / 1000) +
                " s, and its end is not reached. Check that its partitions have leaders."};
      continue;
    }
    last_news = clock::now();
    if (came->failed) return *came->failed;
    const auto partition = spans[came->span].partition;
    for (auto& r : came->batch.records) {
      if (!sink(partition, std::move(r))) return {};
      if (!go_on()) return {};
    }
    if (!came->batch.end) continue;
    --left;
    --bounded;
  }
  return {};
}

result<std::vector<std::int64_t>> rdkafka_log_tools::store(std::vector<placed_record> records) {
  if (!producer_) {
    auto made = plain_producer::make(settings_, record_bytes_max(*brokers_, settings_));
    if (!made) return made.error();
    producer_ = std::move(*made);
  }
  struct outcome {
    std::mutex mutex;
    std::condition_variable all;
    std::size_t left = 0;
    std::vector<std::int64_t> offsets;
    std::optional<failure> failed;
  };
  const auto shared = std::make_shared<outcome>();
  shared->left = records.size();
  shared->offsets.assign(records.size(), -1);
  for (std::size_t i = 0; i < records.size(); ++i) {
    auto& r = records[i];
    producer_->store(r.to, r.partition, std::move(r.what),
                     [shared, i](result<std::int64_t> stored) {
                       const std::lock_guard lock(shared->mutex);
                       if (stored)
                         shared->offsets[i] = *stored;
                       else if (!shared->failed)
                         shared->failed = stored.error();
                       --shared->left;
                       shared->all.notify_one();
                     });
  }
  // The producer reports every record, at the latest when its own time-out is over.
  std::unique_lock lock(shared->mutex);
  shared->all.wait(lock, [&] { return shared->left == 0; });
  if (shared->failed) return *shared->failed;
  return shared->offsets;
}

}  // namespace

result<bool> topic_follower::read_on(const std::function<void(stored_record&&)>& each) {
  const auto offsets = tools_.offsets(topic_);
  if (!offsets) return offsets.error();
  const auto& end = offsets->front();
  if (end.last_stable > next_) {
    const auto read =
        tools_.read(topic_, {{0, next_, end.last_stable}}, [&](std::int32_t, stored_record&& r) {
          each(std::move(r));
          return true;
        });
    if (!read) return read.error();
    next_ = end.last_stable;
  }
  return end.last_stable >= end.high_watermark;
}

result<std::unique_ptr<log_tools>> log_tools::connect(const kafka_settings& settings) {
  if (auto ok = check_settings(settings); !ok) return ok.error();
  auto brokers = admin::make(settings);
  if (!brokers) return brokers.error();
  if (auto ok = (*brokers)->reach(reach_max); !ok) return ok.error();
  return std::unique_ptr<log_tools>(
      std::make_unique<rdkafka_log_tools>(settings, std::move(*brokers)));
}

}  // namespace spillway::kafka
