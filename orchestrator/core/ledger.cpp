#include "orchestrator/core/ledger.hpp"

#include "schemas/result.hpp"

#include <algorithm>
#include <unordered_set>

namespace spillway {

void ledger::add(const shard_descriptor& where, const shard_bits& done) {
  ensure(where.id.value() == first_ + shards_.size(), "shards are added in order");
  shards_.push_back({where, done});
  prompts_ += where.count;
  finished_ += done.count();
}

void ledger::finish(position p) {
  ensure(knows(p.shard()) && !forgotten(p.shard()), "a position in no shard");
  auto& shard = shards_[p.shard().value() - first_];
  ensure(p.index() < shard.where.count, "a position outside its shard");
  ensure(!shard.done.test(p.index()), "a prompt finished twice");
  shard.done.set(p.index());
  ++finished_;
}

void ledger::reopen(position p) {
  ensure(knows(p.shard()) && !forgotten(p.shard()), "a position in no shard");
  auto& shard = shards_[p.shard().value() - first_];
  if (!shard.done.test(p.index())) return;
  shard.done.clear(p.index());
  --finished_;
}

bool ledger::complete(shard_id id) const {
  if (forgotten(id)) return true;
  const auto& shard = entry_of(id);
  return shard.done.count() == shard.where.count;
}

std::vector<shard_id> ledger::unfinished() const {
  std::vector<shard_id> left;
  for (const auto& shard : shards_)
    if (!complete(shard.where.id)) left.push_back(shard.where.id);
  return left;
}

void ledger::forget_before(shard_id id) {
  while (!shards_.empty() && first_ < id.value() && complete(shard_id(first_))) {
    shards_.pop_front();
    ++first_;
  }
}

std::vector<attempt_record> end_open_sends(std::vector<attempt_record>& records,
                                           std::vector<job_totals>& totals,
                                           std::span<const position> held) {
  const std::unordered_set<position> spared(held.begin(), held.end());
  std::vector<attempt_record> changed;
  for (auto& record : records) {
    if (!record.in_flight || spared.contains(record.where)) continue;
    record.in_flight = false;
    ++record.maybe_billed;
    record.charged += record.reserved;
    const auto it = std::find_if(totals.begin(), totals.end(), [&](const job_totals& t) {
      return t.job == record.job && t.lane.pool == record.pool && t.lane.lane == record.lane;
    });
    ensure(it != totals.end(), "a send through a lane without totals");
    ++it->lane.totals.maybe_billed;
    it->lane.totals.settled += record.reserved;
    it->lane.totals.day_spend += record.reserved;
    it->lane.totals.by_day.add({utc_day(record.at), 0, record.reserved});
    record.reserved = {};
    changed.push_back(record);
  }
  return changed;
}

}  // namespace spillway
