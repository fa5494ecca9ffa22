#include "connectors/kafka/group_offsets.hpp"

#include <spdlog/spdlog.h>

#include <cstring>

namespace spillway::kafka {
namespace {

constexpr std::chrono::seconds period{3};
constexpr int settle_ms = 1000;
constexpr const char* metadata = "spillway";

}  // namespace

void group_offsets::start(client& kafka, std::string topic) {
  kafka_ = &kafka;
  topic_ = std::move(topic);
  answers_.reset(rd_kafka_queue_new(kafka.get()));
  committed_.clear();
  under_way_ = false;
}

void group_offsets::stop() {
  answers_.reset();
  kafka_ = nullptr;
}

void group_offsets::show(std::map<std::int32_t, std::int64_t> done) {
  const std::lock_guard lock(mutex_);
  done_ = std::move(done);
}

void group_offsets::commit_if_due(const std::set<std::int32_t>& assigned) {
  const auto now = std::chrono::steady_clock::now();
  if (now < due_) return;
  due_ = now + period;
  commit(assigned);
}

void group_offsets::commit(const std::set<std::int32_t>& assigned) {
  if (kafka_ == nullptr) return;
  take_answer(0);
  if (under_way_) return;
  std::map<std::int32_t, std::int64_t> moved;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [partition, offset] : done_) {
      const auto before = committed_.find(partition);
      if (assigned.contains(partition) && (before == committed_.end() || before->second != offset))
        moved.emplace(partition, offset);
    }
  }
  if (moved.empty()) return;
  const rdk_partitions list(rd_kafka_topic_partition_list_new(static_cast<int>(moved.size())));
  for (const auto& [partition, offset] : moved) {
    auto* out = rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), partition);
    out->offset = offset;
    // The library frees it with malloc's counterpart; before 2.6.1 it must be text.
    out->metadata = ::strdup(metadata);
    out->metadata_size = std::char_traits<char>::length(metadata);
    committed_[partition] = offset;
  }
  const auto code =
      rd_kafka_commit_queue(kafka_->get(), list.get(), answers_.get(), nullptr, nullptr);
  under_way_ = code == RD_KAFKA_RESP_ERR_NO_ERROR;
  if (under_way_) return;
  committed_.clear();
  spdlog::debug("group offsets: {}", rd_kafka_err2str(code));
}

void group_offsets::settle() {
  if (under_way_) take_answer(settle_ms);
}

void group_offsets::take_answer(int wait_ms) {
  if (!under_way_) return;
  const rdk_event answer(rd_kafka_queue_poll(answers_.get(), wait_ms));
  if (!answer) return;
  under_way_ = false;
  if (const auto code = rd_kafka_event_error(answer.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    committed_.clear();  // the next one says it again
    spdlog::debug("group offsets: {}", rd_kafka_err2str(code));
  }
}

}  // namespace spillway::kafka
