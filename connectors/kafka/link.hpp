// The seam between the owner of a partition and the broker: one transactional producer and what is
// read beside it. Calls return at once; what came of them arrives as events.
#pragma once

#include "connectors/kafka/record.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace spillway::kafka {

enum class link_fault {
  ambiguous,  ///< the outcome is unknown (timed out, connection lost, coordinator moved): open
              ///< again
  fenced,     ///< a newer producer has this id, or the broker timed our transaction out
  refused,    ///< unauthorised, missing topic, record too large, ...: opening again does not help
};

struct link_opened {};  ///< the predecessor is fenced, its transaction settled
/// All records of a `produce` are stored in the open transaction. `offsets` in the order given; of
/// a record that was split into chunks, the first chunk's.
struct link_acked {
  std::uint64_t ticket = 0;
  std::vector<std::int64_t> offsets;
};
struct link_committed {};
/// Nothing more comes from this link but reads; it has to be replaced.
struct link_failed {
  link_fault fault = link_fault::ambiguous;
  std::string message;  ///< what, and the remedy where there is one
};
/// Records of a `read` in order of their offsets, whole: chunks put together (offset of the first).
struct link_records {
  std::uint64_t read = 0;
  std::vector<stored_record> records;
  std::int64_t next_offset = 0;  ///< everything below it was delivered, is a marker, or is aborted
  bool end = false;              ///< the read's `until` was reached: the last event of this read
};
struct link_offsets {
  topic of = topic::journal;
  std::int64_t first = 0;           ///< log start
  std::int64_t last_stable = 0;     ///< no open transaction below it
  std::int64_t high_watermark = 0;  ///< next offset to be written
};
/// A record for `late` is stored (or was not: `error`).
struct link_late_acked {
  std::uint64_t ticket = 0;
  std::string error;  ///< empty when stored
};
using link_event = std::variant<link_opened, link_acked, link_committed, link_failed, link_records,
                                link_offsets, link_late_acked>;

struct read_request {
  std::uint64_t id = 0;  ///< unique for this link
  topic from = topic::journal;
  std::int64_t offset = 0;
  std::optional<std::int64_t> until;  ///< end before this offset; absent: follow the log
  bool committed = true;              ///< read committed; else everything, aborted records too
};

struct outgoing_record {
  topic to = topic::journal;
  record what;
};

/// One incarnation of a partition's transactional producer, with its readers. Not thread-safe.
class partition_link {
 public:
  virtual ~partition_link() = default;
  /// Fences whoever had the id. Called once, first: link_opened or link_failed.
  virtual void open() = 0;
  /// Stores records in the open transaction, beginning one if there is none: link_acked once all
  /// are acknowledged. Not between `commit` and its event. To journal and results only.
  virtual void produce(std::uint64_t ticket, std::vector<outgoing_record>) = 0;
  /// Ends the transaction: link_committed or link_failed. There is no abort.
  virtual void commit() = 0;
  /// Stores one record on `late`, outside transactions; works on a fenced link, too.
  virtual void produce_late(std::uint64_t ticket, record) = 0;
  virtual void read(const read_request&) = 0;
  virtual void stop_reading(std::uint64_t id) = 0;
  /// Asks the broker: link_offsets.
  virtual void ask_offsets(topic) = 0;
  /// Lets the broker delete what stands below `offset`. Nothing comes back: done or tried again
  /// with a later call.
  virtual void trim(topic, std::int64_t offset) = 0;
};

}  // namespace spillway::kafka
