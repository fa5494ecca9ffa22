// Which row of a prompt counts when `results` holds several: the one of the highest generation. Pure.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace spillway::kafka {

/// Where a row's prompt stands on `shards`, and which of its generations the row is of.
struct row_place {
  std::uint32_t partition = 0;
  std::int64_t offset = 0;
  std::uint32_t index = 0;
  bool line_record = false;
  std::uint32_t generation = 0;
};

/// Two bytes a prompt, and some for each record of `shards`.
class row_tracker {
 public:
  enum class verdict {
    first,       ///< the prompt's first row
    supersedes,  ///< rows of it seen before no longer count
    stale,       ///< a row of this generation, or of a higher one, was seen before
  };
  [[nodiscard]] verdict note(const row_place&);
  /// False when a row of a higher generation was noted.
  [[nodiscard]] bool is_current(const row_place&) const;
  /// Prompts with a row.
  [[nodiscard]] std::uint64_t prompts() const { return prompts_; }

 private:
  struct slot {
    std::uint64_t base = 0;  ///< of the block: partition, offset, and whether of line records
    std::uint32_t index = 0;
  };
  static slot slot_of(const row_place&);

  /// By block: 1 + the highest generation of each index; 0: no row yet.
  std::unordered_map<std::uint64_t, std::vector<std::uint16_t>> blocks_;
  std::uint64_t prompts_ = 0;
};

}  // namespace spillway::kafka
