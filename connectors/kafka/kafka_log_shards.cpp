// The input half of a partition's log.
#include "connectors/files/checksum.hpp"
#include "connectors/kafka/fleet_codec_jobs.hpp"
#include "connectors/kafka/kafka_log_thread.hpp"
#include "orchestrator/runtime/failpoint.hpp"

#include <spdlog/spdlog.h>

namespace spillway::kafka {
namespace {

using namespace std::chrono_literals;

constexpr duration shards_retry = 500ms;
constexpr duration ask_end_period = 5s;
constexpr duration trim_period = 30s;
// Shards that the engine has not asked for yet; beyond this nothing more is read.
constexpr std::size_t outbox_bytes_max = 2u << 20;
constexpr std::size_t outbox_shards_max = 4096;

}  // namespace

void kafka_log_thread::open_shards() {
  shards_retry_at_ = time_never;
  const auto incarnation = ++shards_incarnation_;
  link_options link;
  link.partition = static_cast<std::int32_t>(options_.partition.value());
  link.backlog = backlog_;
  link.sink = [this, incarnation](link_event&& e) {
    put([&](input& in) { in.shards.emplace_back(incarnation, std::move(e)); });
  };
  shards_link_.reset();
  refetches_.clear();
  shards_link_ = clients_.make_link(std::move(link));
  read_request request;
  request.id = follow_read_ = next_read_++;
  request.from = topic::shards;
  request.offset = shards_next_;
  shards_link_->read(request);
}

void kafka_log_thread::on_shards(const link_event& event) {
  if (const auto* records = std::get_if<link_records>(&event)) {
    on_shard_records(*records);
    const std::lock_guard lock(mutex_);
    owed_ += bytes_in(*records);
  } else if (const auto* offsets = std::get_if<link_offsets>(&event)) {
    shards_end_ = offsets->last_stable;
  } else if (const auto* bad = std::get_if<link_failed>(&event)) {
    spdlog::warn("partition {}: the topic shards can't be read: {}", options_.partition.value(),
                 bad->message);
    shards_retry_at_ = time_.now() + shards_retry;
  }
}

void kafka_log_thread::on_shard_records(const link_records& got) {
  if (got.read == follow_read_) {
    if (!got.records.empty()) failpoint("received");
    for (const auto& r : got.records) intake_.feed(r);
    shards_next_ = std::max(shards_next_, got.next_offset);
    intake_.flush();
    return;
  }
  const auto it = refetches_.find(got.read);
  if (it == refetches_.end()) return;
  for (const auto& r : got.records) {
    if (r.offset != it->second) continue;
    intake_.flush();
    intake_.feed(r);
    intake_.flush();
    shards_link_->stop_reading(got.read);
    refetches_.erase(it);
    return;
  }
}

/// How far the reading is behind, for those who watch.
void kafka_log_thread::ask_end() {
  if (!shards_link_ || shards_retry_at_ != time_never || time_.now() < ask_end_at_) return;
  ask_end_at_ = time_.now() + ask_end_period;
  shards_link_->ask_offsets(topic::shards);
}

void kafka_log_thread::refetch() {
  if (!shards_link_) return;
  for (const auto offset : map_.take_refetch()) {
    read_request request;
    request.id = next_read_++;
    request.from = topic::shards;
    request.offset = offset;
    refetches_[request.id] = offset;
    shards_link_->read(request);
  }
}

void kafka_log_thread::drain_intake() {
  for (const auto& seen : intake_.take_seen()) {
    map_.count(seen);
    // A record that is buried stays unfinished until its letter is stored.
    if (seen.count > 0 || !seen.job.empty())
      owner_.note({seen.offset, std::max(seen.count, 1u), seen.line_record, seen.count == 0});
    else
      owner_.note({seen.offset, 1, false, false});
  }
  for (auto& dead : intake_.take_dead()) bury(std::move(dead));
  ask_about_unknown();
  bool any = false;
  while (auto shard = intake_.next()) {
    map_.admit(shard->data, shard->job);
    const std::lock_guard lock(mutex_);
    outbox_bytes_ += shard->data.bytes.size();
    outbox_.push_back(std::move(shard->data));
    any = true;
  }
  release_backlog();
  ask_end();
  if (any) callbacks_.shards_ready();
}

void kafka_log_thread::ask_about_unknown() {
  if (!intake_.undecided() || shards_next_ <= asked_below_) return;
  asked_below_ = shards_next_;
  const auto question = next_question_++;
  questions_[question] = shards_next_;
  callbacks_.confirm_jobs(question);
}

/// A former owner may have finished jobs that this member has not read of yet: they are kept, too.
void kafka_log_thread::ask_what_is_kept(time_point now) {
  if (now < trim_at_ || last_state_ != owner_state::active) return;
  trim_at_ = now + trim_period;
  trim_question_ = next_question_++;
  callbacks_.confirm_jobs(trim_question_);
}

void kafka_log_thread::bury(dead_record dead) {
  dead_letter letter;
  letter.from = topic::shards;
  letter.partition = static_cast<std::int32_t>(options_.partition.value());
  letter.offset = dead.offset;
  letter.what = dead.what;
  letter.code = dead.code;
  letter.message = dead.message;
  letter.at = time_.now();
  letter.member = options_.member;
  record out;
  // The same record may be buried again by a later owner: readers go by the key.
  out.key = "shards-" + std::to_string(letter.partition) + "-" + std::to_string(letter.offset);
  out.value = encode(letter);
  spdlog::warn("partition {}, offset {}: dead letter ({}): {}", letter.partition, letter.offset,
               letter.code, letter.message);
  auto kept = std::make_shared<dead_record>(std::move(dead));
  clients_.store(topic::dead, 0, std::move(out), [self = self_, kept](result<std::int64_t> stored) {
    const std::lock_guard lock(self->mutex);
    if (self->log == nullptr) return;
    self->log->put(
        [&](input& in) { in.buried.emplace_back(std::move(*kept), stored.has_value()); });
  });
}

/// Lets the link read on while the engine keeps up.
void kafka_log_thread::release_backlog() {
  std::int64_t back = 0;
  {
    const std::lock_guard lock(mutex_);
    if (outbox_bytes_ > outbox_bytes_max || outbox_.size() > outbox_shards_max) return;
    back = std::exchange(owed_, 0);
  }
  backlog_->bytes -= back;
}

result<std::optional<shard_data>> kafka_log_thread::read_next() {
  shard_data data;
  {
    const std::lock_guard lock(mutex_);
    if (outbox_.empty()) return std::optional<shard_data>{};
    data = std::move(outbox_.front());
    outbox_.pop_front();
    outbox_bytes_ -= data.bytes.size();
  }
  release_backlog();
  if (!data.bytes.empty()) return std::optional<shard_data>(std::move(data));
  auto again = read(data.where);
  if (!again) return again.error();
  again->past = std::move(data.past);
  return std::optional<shard_data>(*std::move(again));
}

result<shard_data> kafka_log_thread::read(const shard_descriptor& where) {
  if (auto lines = index_.body(options_.partition, static_cast<std::int64_t>(where.offset))) {
    shard_data data;
    data.where = where;
    data.size = lines->size();
    data.bytes = *std::move(lines);
    if (data.size == where.length && crc_of(data.bytes) == where.crc) {
      data.bytes.append(read_padding, '\0');
      return data;
    }
  }
  return fetcher_.fetch(where);
}

}  // namespace spillway::kafka
