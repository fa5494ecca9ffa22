// Where a prompt stands in its partition, for good.
#pragma once

#include "schemas/ids.hpp"

#include <compare>
#include <cstdint>
#include <functional>

namespace spillway::kafka {

/// Identity of a prompt: the record on `shards`, the line in it, and how often it was retried.
struct place {
  std::int64_t offset = 0;
  std::uint32_t index = 0;   ///< of the line in its record
  bool line_record = false;  ///< the record is one plain line
  std::uint32_t generation = 0;

  auto operator<=>(const place&) const = default;
  /// The prompt whatever its generation.
  [[nodiscard]] place prompt() const { return {offset, index, line_record, 0}; }
  /// The same prompt in another generation.
  [[nodiscard]] place in(std::uint32_t g) const { return {offset, index, line_record, g}; }
  /// Where its done bit stands: the record, or the block of 512 offsets, and the bit there.
  [[nodiscard]] std::int64_t base() const {
    return line_record ? offset - offset % shard_prompts_max : offset;
  }
  [[nodiscard]] std::uint32_t bit() const {
    return line_record ? static_cast<std::uint32_t>(offset % shard_prompts_max) : index;
  }
};

struct place_hash {
  std::size_t operator()(const place& p) const noexcept {
    const auto n = static_cast<std::uint64_t>(p.offset) * 1024 + p.index * 2 + p.line_record;
    return static_cast<std::size_t>((n ^ p.generation << 7) * 0x9E3779B97F4A7C15ull);
  }
};

}  // namespace spillway::kafka
