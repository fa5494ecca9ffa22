// Records over the broker's limit: split into chunks of one partition, and put together again.
// Header `chunk` on each: `<set id>/<number from 0>/<count>`. The key and the header `job` stand on
// every chunk, the other headers on the first.
#pragma once

#include "connectors/kafka/record.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::kafka {

inline constexpr std::string_view chunk_header = "chunk";

/// Bytes a record takes on the wire at most, framing included.
[[nodiscard]] std::size_t wire_bytes(const record&);

/// The record itself when it takes at most `bytes_max` on the wire, else its chunks in order.
/// `set` is unique among the topic's sets and holds no '/'. A record whose key and headers alone
/// leave no room comes back whole: the broker will refuse it.
[[nodiscard]] std::vector<record> split(record, std::size_t bytes_max, std::string_view set);

/// Who writes to the partition.
enum class chunk_writers {
  one,   ///< a transactional producer: chunks of a set stand side by side, or the set is incomplete
  many,  ///< sets may interleave with each other and with whole records
};

/// Puts the records of one partition together, in the order of their offsets. Incomplete sets are
/// dropped: at once when one writer went on with something else, else when their place is needed.
class chunk_assembler {
 public:
  struct limits {
    std::size_t bytes_max = 64u << 20;      ///< in open sets; a set larger than this is dropped
    std::size_t sets_max = 64;              ///< open at once
    std::int64_t distance_max = 1'000'000;  ///< offsets a set may stay open for
  };

  explicit chunk_assembler(chunk_writers writers) : chunk_assembler(writers, limits{}) {}
  chunk_assembler(chunk_writers writers, limits l) : writers_(writers), limits_(l) {}

  /// A whole record, or nullopt while its set is open. A set has the offset, timestamp and headers
  /// of its first chunk, without `chunk`.
  [[nodiscard]] std::optional<stored_record> add(stored_record);

  /// First offset of the oldest open set: a later read must begin there, not behind it.
  [[nodiscard]] std::optional<std::int64_t> open_from() const;
  /// Bytes held in open sets.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Sets dropped because they were incomplete, damaged or too large.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }
  /// Forgets open sets: the read begins anew, or its end was reached.
  void clear();

 private:
  struct open_set {
    stored_record head;  ///< the value grows
    std::uint32_t next = 0, count = 0;
    std::int64_t last_offset = 0;
  };
  using sets = std::map<std::string, open_set, std::less<>>;

  std::optional<stored_record> extend(std::string_view id, std::uint32_t number,
                                      std::uint32_t count, stored_record&&);
  void drop(sets::iterator);
  void drop_oldest();
  void make_room(std::int64_t offset);

  chunk_writers writers_;
  limits limits_;
  sets open_;
  std::size_t bytes_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace spillway::kafka
