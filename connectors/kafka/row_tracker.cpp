#include "connectors/kafka/row_tracker.hpp"

#include <algorithm>

namespace spillway::kafka {

namespace {

std::uint16_t mark_of(const place& p) {
  constexpr std::uint32_t generation_max = UINT16_MAX - 1;
  return static_cast<std::uint16_t>(1 + std::min(p.generation, generation_max));
}

/// 47 bits for the offset, 16 for the partition, one to keep lines and shards apart.
std::uint64_t block_of(std::uint32_t partition, const place& p) {
  return static_cast<std::uint64_t>(p.base()) | std::uint64_t{partition} << 47 |
         std::uint64_t{p.line_record} << 63;
}

}  // namespace

row_tracker::verdict row_tracker::note(std::uint32_t partition, const place& p) {
  auto& marks = blocks_[block_of(partition, p)];
  const auto bit = p.bit();
  if (marks.size() <= bit) marks.resize(bit + 1);
  const auto before = marks[bit];
  const auto mark = mark_of(p);
  if (mark <= before) return verdict::stale;
  marks[bit] = mark;
  if (before != 0) return verdict::supersedes;
  ++prompts_;
  return verdict::first;
}

bool row_tracker::is_current(std::uint32_t partition, const place& p) const {
  const auto at = blocks_.find(block_of(partition, p));
  return at == blocks_.end() || at->second.size() <= p.bit() || at->second[p.bit()] <= mark_of(p);
}

}  // namespace spillway::kafka
