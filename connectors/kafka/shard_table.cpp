#include "connectors/kafka/shard_table.hpp"

#include "schemas/result.hpp"

namespace spillway::kafka {

shard_id shard_table::add(shard_descriptor& where, std::string job) {
  const shard_id id(first_ + static_cast<std::uint32_t>(shards_.size()));
  ensure(id.value() < shard_count_max, "more shards than positions can name");
  where.id = id;
  shards_.push_back({where, std::move(job), 0, false});
  by_offset_.emplace(static_cast<std::int64_t>(where.offset), id);
  return id;
}

const shard_table::entry& shard_table::entry_of(shard_id id) const {
  ensure(knows(id), "a shard that is not in the table");
  return shards_[id.value() - first_];
}

bool shard_table::knows(shard_id id) const {
  return id.value() >= first_ && id.value() - first_ < shards_.size();
}

place shard_table::place_in(const shard_descriptor& where, std::uint32_t index) {
  const auto offset = static_cast<std::int64_t>(where.offset);
  if (where.line_records) return {offset + index, 0, true, 0};
  return {offset, index, false, 0};
}

place shard_table::place_of(position p) const {
  return place_in(entry_of(p.shard()).where, p.index());
}

std::optional<position> shard_table::position_of(const place& p) const {
  auto it = by_offset_.upper_bound(p.offset);
  if (it == by_offset_.begin()) return std::nullopt;
  --it;
  const auto& where = entry_of(it->second).where;
  if (where.line_records != p.line_record) return std::nullopt;
  const auto index = p.line_record ? static_cast<std::uint32_t>(p.offset - it->first) : p.index;
  if (index >= where.count || (!p.line_record && p.offset != it->first)) return std::nullopt;
  return position(partition_, it->second, index);
}

const std::string& shard_table::job_of(shard_id id) const { return entry_of(id).job; }
const shard_descriptor& shard_table::at(shard_id id) const { return entry_of(id).where; }

void shard_table::take(shard_id id) {
  ensure(knows(id), "a shard that is not in the table");
  shards_[id.value() - first_].taken = true;
}

void shard_table::add_open(shard_id id, std::int64_t change) {
  if (knows(id)) shards_[id.value() - first_].open += change;
}

shard_id shard_table::forget_below(std::int64_t offset,
                                   const std::function<void(const shard_descriptor&)>& forgotten) {
  while (!shards_.empty()) {
    const auto& where = shards_.front().where;
    const auto last = static_cast<std::int64_t>(where.offset) +
                      (where.line_records ? static_cast<std::int64_t>(where.count) : 1);
    if (last > offset || shards_.front().open > 0 || !shards_.front().taken) break;
    forgotten(where);
    by_offset_.erase(static_cast<std::int64_t>(where.offset));
    shards_.pop_front();
    ++first_;
  }
  return shard_id(first_);
}

}  // namespace spillway::kafka
