// One read of one partition: what to make of the messages and end marks that come from the broker.
#pragma once

#include "connectors/kafka/chunks.hpp"
#include "connectors/kafka/link.hpp"

#include <cstdint>
#include <optional>
#include <utility>

namespace spillway::kafka {

/// Pure. Checks that offsets follow each other, puts chunks together, knows the end.
class partition_read {
 public:
  enum class advice {
    taken,
    again,  ///< read again from `position()`: offsets are missing that should be there
    ended,  ///< `until` was reached: take the last batch
  };

  partition_read(topic from, std::int64_t offset, std::optional<std::int64_t> until);

  /// A record as the broker delivered it; it counts only when the advice is not `again`.
  advice add(stored_record&&);
  /// The broker has nothing (more) below `offset`.
  advice reached(std::int64_t offset);
  /// Records below `first` are deleted; reading goes on there.
  void skip_deleted(std::int64_t first);

  [[nodiscard]] std::int64_t position() const { return position_; }
  [[nodiscard]] bool ended() const { return until_ && position_ >= *until_; }
  /// Something to deliver: records, or a position that moved over markers.
  [[nodiscard]] bool fresh() const;
  [[nodiscard]] std::size_t batch_bytes() const { return batch_bytes_; }
  [[nodiscard]] std::size_t batch_records() const { return batch_.size(); }
  /// What came since the last call.
  [[nodiscard]] link_records take();

  [[nodiscard]] std::uint64_t gaps_checked() const { return gaps_checked_; }
  [[nodiscard]] std::uint64_t gaps_healed() const { return gaps_healed_; }
  [[nodiscard]] std::uint64_t sets_dropped() const { return assembler_.dropped(); }

 private:
  bool suspicious(std::int64_t offset);
  [[nodiscard]] std::int64_t safe_position() const;

  topic from_;
  std::int64_t position_;
  std::optional<std::int64_t> until_;
  std::optional<std::int64_t> checked_;  ///< position from which it was read again
  std::int64_t doubted_ = 0;             ///< the offset that came instead of `checked_`
  chunk_assembler assembler_;
  std::vector<stored_record> batch_;
  std::size_t batch_bytes_ = 0;
  std::int64_t told_;
  std::uint64_t gaps_checked_ = 0, gaps_healed_ = 0;
};

}  // namespace spillway::kafka
