// The clients a member shares between its partitions, and the maker of their links.
#pragma once

#include "connectors/kafka/link.hpp"
#include "connectors/kafka/settings.hpp"
#include "schemas/result.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace spillway::kafka {

/// Takes a link's events, on several threads, one call at a time for each link. Never called again
/// once the link's destructor has returned. It must not block and must not call the link.
using link_sink = std::function<void(link_event&&)>;

/// Bytes of records handed to a sink and not worked on yet. The link adds what it delivers, whoever
/// works on the events takes it off (`bytes_in`); while it is above `bytes_max` nothing more is
/// read.
struct read_backlog {
  std::atomic<std::int64_t> bytes{0};
  std::int64_t bytes_max = 2 << 20;
};
/// What a delivery counts for.
[[nodiscard]] std::int64_t bytes_in(const link_records&);

struct link_options {
  std::int32_t partition = 0;
  link_sink sink;
  std::shared_ptr<read_backlog> backlog;  ///< absent: no limit
};

struct client_counts {
  std::uint64_t handles = 0;       ///< librdkafka clients alive
  std::uint64_t gaps_checked = 0;  ///< reads repeated because offsets were missing
  std::uint64_t gaps_healed = 0;   ///< of those: the missing records came
  std::uint64_t sets_dropped = 0;  ///< incomplete chunk sets
  std::uint64_t late_answers = 0;  ///< stored on `late`
  /// Errors that the brokers' clients were told of, by kind; of the whole process.
  std::map<std::string, std::int64_t> errors;
};

/// Thread-safe. Lives longer than its links.
class fleet_clients {
 public:
  /// Fails when no broker answers within ten seconds, or settings can't be used.
  [[nodiscard]] static result<std::unique_ptr<fleet_clients>> connect(const kafka_settings&);
  virtual ~fleet_clients() = default;

  /// A link of `partition`; the transactional id is `owner_id`. Its destructor ends quickly, also
  /// while the broker is away; the old producer is taken down in the background.
  [[nodiscard]] virtual std::unique_ptr<partition_link> make_link(link_options) = 0;

  /// Stores a record on any topic outside transactions (dead letters, progress, final records).
  /// `done` is called on another thread with the offset, or a failure.
  using stored_sink = std::function<void(result<std::int64_t>)>;
  virtual void store(topic, std::int32_t partition, record, stored_sink done) = 0;

  [[nodiscard]] virtual client_counts counts() const = 0;
};

}  // namespace spillway::kafka
