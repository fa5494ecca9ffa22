#include "connectors/kafka/shard_fetcher.hpp"

#include "connectors/kafka/shard_intake.hpp"

namespace spillway::kafka {
namespace {

constexpr auto patience = std::chrono::seconds(30);

}  // namespace

shard_fetcher::shard_fetcher(partition_id partition, fleet_clients& clients)
    : partition_(partition), clients_(clients) {}

shard_fetcher::~shard_fetcher() = default;

void shard_fetcher::take(link_event&& event) {
  {
    const std::lock_guard lock(mutex_);
    if (auto* got = std::get_if<link_records>(&event)) {
      if (got->read != read_) return;
      for (auto& r : got->records) records_.push_back(std::move(r));
    } else if (const auto* bad = std::get_if<link_failed>(&event)) {
      trouble_ = bad->message;
    }
  }
  arrived_.notify_one();
}

result<std::vector<stored_record>> shard_fetcher::records(const shard_descriptor& where) {
  if (!link_) {
    link_options options;
    options.partition = static_cast<std::int32_t>(partition_.value());
    options.sink = [this](link_event&& e) { take(std::move(e)); };
    link_ = clients_.make_link(std::move(options));
  }
  const std::size_t wanted = where.line_records ? where.count : 1;
  read_request request;
  {
    const std::lock_guard lock(mutex_);
    request.id = ++read_;
    records_.clear();
    trouble_.reset();
  }
  request.from = topic::shards;
  request.offset = static_cast<std::int64_t>(where.offset);
  link_->read(request);
  std::unique_lock lock(mutex_);
  const bool came = arrived_.wait_for(
      lock, patience, [&] { return records_.size() >= wanted || trouble_.has_value(); });
  auto got = std::exchange(records_, {});
  ++read_;
  auto trouble = std::exchange(trouble_, std::nullopt);
  lock.unlock();
  link_->stop_reading(request.id);
  if (trouble || !came) {
    link_.reset();
    return failure{failure_kind::storage, "offset " + std::to_string(where.offset) +
                                              " of the shards topic can't be read again: " +
                                              trouble.value_or("no answer from the broker")};
  }
  got.resize(wanted);
  return got;
}

result<shard_data> shard_fetcher::fetch(const shard_descriptor& where) {
  auto got = records(where);
  if (!got) return got.error();
  return shard_intake::cut_again(where, *got);
}

}  // namespace spillway::kafka
