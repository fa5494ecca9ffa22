#include "connectors/kafka/row_tracker.hpp"

#include "schemas/ids.hpp"

#include <algorithm>

namespace spillway::kafka {

namespace {

constexpr std::uint32_t generation_max = UINT16_MAX - 1;

std::uint16_t mark_of(std::uint32_t generation) {
  return static_cast<std::uint16_t>(1 + std::min(generation, generation_max));
}

}  // namespace

row_tracker::slot row_tracker::slot_of(const row_place& place) {
  constexpr std::uint64_t block = shard_prompts_max;
  const auto offset = static_cast<std::uint64_t>(place.offset);
  slot out{offset, place.index};
  if (place.line_record) out = {offset - offset % block, static_cast<std::uint32_t>(offset % block)};
  // 47 bits for the offset, 16 for the partition.
  out.base |= std::uint64_t{place.line_record} << 63 | std::uint64_t{place.partition} << 47;
  return out;
}

row_tracker::verdict row_tracker::note(const row_place& place) {
  const auto [base, index] = slot_of(place);
  auto& marks = blocks_[base];
  if (marks.size() <= index) marks.resize(index + 1);
  const auto before = marks[index];
  const auto mark = mark_of(place.generation);
  if (mark <= before) return verdict::stale;
  marks[index] = mark;
  if (before != 0) return verdict::supersedes;
  ++prompts_;
  return verdict::first;
}

bool row_tracker::is_current(const row_place& place) const {
  const auto [base, index] = slot_of(place);
  const auto at = blocks_.find(base);
  return at == blocks_.end() || at->second.size() <= index ||
         at->second[index] <= mark_of(place.generation);
}

}  // namespace spillway::kafka
