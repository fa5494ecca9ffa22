// Stores records outside transactions.
#pragma once

#include "connectors/kafka/record.hpp"
#include "connectors/kafka/settings.hpp"
#include "schemas/result.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace spillway::kafka {

/// An idempotent producer with a thread of its own. Thread-safe. Records of one partition are
/// stored in the order of the calls; when one fails, those behind it may be stored all the same.
class plain_producer {
 public:
  /// Called on the producer's thread, once for each record, also for those given up at the end.
  using stored_sink = std::function<void(result<std::int64_t> offset)>;

  [[nodiscard]] static result<std::unique_ptr<plain_producer>> make(const kafka_settings&,
                                                                    std::size_t record_bytes_max);
  ~plain_producer();
  plain_producer(const plain_producer&) = delete;
  plain_producer& operator=(const plain_producer&) = delete;

  void store(topic, std::int32_t partition, record, stored_sink);

 private:
  class worker;
  explicit plain_producer(std::unique_ptr<worker>);
  std::unique_ptr<worker> worker_;
};

}  // namespace spillway::kafka
