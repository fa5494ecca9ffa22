// Records on their way to the broker: kept alive until they are reported, and counted by ticket.
#pragma once

#include "connectors/kafka/record.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace spillway::kafka {

/// What became of all records of a ticket.
struct delivered_ticket {
  std::uint64_t ticket = 0;
  std::vector<std::int64_t> offsets;  ///< in the order given; of a split record the first chunk's
  int code = 0;                       ///< librdkafka's, of the first that failed; 0: all are stored
  topic of = topic::journal;          ///< of that one
};

/// Not thread-safe.
class delivery_book {
 public:
  /// One message: a record or a chunk. Its address stays until it is reported.
  struct message {
    record what;
    topic to = topic::journal;
    std::int32_t partition = 0;
    std::uint64_t ticket = 0;
    std::uint32_t slot = 0;  ///< of the record in its ticket
    bool first = true;       ///< of its record's chunks
    bool reported = false;
  };

  /// A ticket's messages, split at `bytes_max`. They are in the book from now on.
  struct addressed {
    topic to = topic::journal;
    std::int32_t partition = 0;
    record what;
  };
  [[nodiscard]] std::vector<message*> add(std::uint64_t ticket, std::vector<addressed>,
                                          std::size_t bytes_max);
  /// `code` 0: stored at `offset`. The ticket once this was its last message.
  [[nodiscard]] std::optional<delivered_ticket> report(message&, int code, std::int64_t offset);

  /// Messages not reported yet, and their bytes.
  [[nodiscard]] std::size_t open() const { return open_; }
  [[nodiscard]] std::size_t open_bytes() const { return bytes_; }
  /// Tickets not complete yet: they will not be.
  [[nodiscard]] std::vector<std::uint64_t> abandon();

  explicit delivery_book(std::string set_prefix) : set_prefix_(std::move(set_prefix)) {}

 private:
  struct pending {
    std::size_t left = 0;
    delivered_ticket result;
  };

  std::string set_prefix_;  ///< makes ids of chunk sets unique among all writers
  std::uint64_t sets_ = 0;
  std::deque<message> messages_;
  std::map<std::uint64_t, pending> tickets_;
  std::size_t open_ = 0, bytes_ = 0;
};

/// A prefix no other process uses.
[[nodiscard]] std::string unique_set_prefix();

}  // namespace spillway::kafka
