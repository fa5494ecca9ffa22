// Which row of a prompt counts when `results` holds several: the one of the highest generation.
// Pure.
#pragma once

#include "connectors/kafka/place.hpp"

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace spillway::kafka {

/// Two bytes a prompt, and some for each record of `shards`.
class row_tracker {
 public:
  enum class verdict {
    first,       ///< the prompt's first row
    supersedes,  ///< rows of it seen before no longer count
    stale,       ///< a row of this generation, or of a higher one, was seen before
  };
  [[nodiscard]] verdict note(std::uint32_t partition, const place&);
  /// False when a row of a higher generation was noted.
  [[nodiscard]] bool is_current(std::uint32_t partition, const place&) const;
  /// Prompts with a row.
  [[nodiscard]] std::uint64_t prompts() const { return prompts_; }

 private:
  /// By block: 1 + the highest generation of each bit; 0: no row yet.
  std::unordered_map<std::uint64_t, std::vector<std::uint16_t>> blocks_;
  std::uint64_t prompts_ = 0;
};

}  // namespace spillway::kafka
