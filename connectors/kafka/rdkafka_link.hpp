// The seam over librdkafka: one transactional producer with a thread of its own; reads, the
// producer for `late` and the rest are the member's, shared by its partitions.
#pragma once

#include "connectors/kafka/admin.hpp"
#include "connectors/kafka/fleet_clients.hpp"
#include "connectors/kafka/link.hpp"
#include "connectors/kafka/plain_producer.hpp"
#include "connectors/kafka/reading.hpp"
#include "connectors/kafka/settings.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <thread>

namespace spillway::kafka {

/// What a link uses of its member. All of it is thread-safe and lives longer than every link.
struct shared_clients {
  kafka_settings settings;
  std::size_t record_bytes_max = 0;
  log_reader* reader = nullptr;
  plain_producer* plain = nullptr;
  admin* brokers = nullptr;
  mutable std::atomic<std::uint64_t> late_answers{0};  ///< stored
  /// Runs a blocking call on a thread of the member, in order.
  std::function<void(std::function<void()>)> run_aside;
  /// Takes a thread that ends soon and joins it once `ended` says so, with the member at the
  /// latest.
  std::function<void(std::thread, std::function<bool()> ended)> adopt;
};

class rdkafka_link final : public partition_link {
 public:
  rdkafka_link(std::shared_ptr<const shared_clients>, link_options);
  ~rdkafka_link() override;

  void open() override;
  void produce(std::uint64_t ticket, std::vector<outgoing_record>) override;
  void commit() override;
  void produce_late(std::uint64_t ticket, record) override;
  void read(const read_request&) override;
  void stop_reading(std::uint64_t id) override;
  void ask_offsets(topic) override;
  void trim(topic, std::int64_t offset) override;

 private:
  class core;  ///< what goes on behind the destructor: the producer, its thread

  void check_access(topic);

  std::shared_ptr<const shared_clients> shared_;
  std::shared_ptr<read_backlog> backlog_;
  std::int32_t partition_;
  std::shared_ptr<core> core_;
  std::thread thread_;
  std::set<topic> checked_;
  std::map<std::uint64_t, std::uint64_t> reads_;  ///< ids of the owner's reads -> the reader's
};

}  // namespace spillway::kafka
