#include "orchestrator/core/ledger.hpp"

#include "schemas/result.hpp"

#include <algorithm>

namespace spillway {

void ledger::add(const shard_descriptor& where, const shard_bits& done) {
  ensure(where.id.value() == shards_.size(), "shards are added in order");
  shards_.push_back({where, done});
  prompts_ += where.count;
  finished_ += done.count();
}

void ledger::finish(position p) {
  auto& shard = shards_.at(p.shard().value());
  ensure(p.index() < shard.where.count, "a position outside its shard");
  ensure(!shard.done.test(p.index()), "a prompt finished twice");
  shard.done.set(p.index());
  ++finished_;
}

bool ledger::complete(shard_id id) const {
  const auto& shard = shards_[id.value()];
  return shard.done.count() == shard.where.count;
}

std::vector<shard_id> ledger::unfinished() const {
  std::vector<shard_id> left;
  for (const auto& shard : shards_)
    if (!complete(shard.where.id)) left.push_back(shard.where.id);
  return left;
}

std::vector<attempt_record> end_open_sends(std::vector<attempt_record>& records,
                                           std::vector<named_totals>& totals) {
  std::vector<attempt_record> changed;
  for (auto& record : records) {
    if (!record.in_flight) continue;
    record.in_flight = false;
    ++record.maybe_billed;
    record.charged += record.reserved;
    const auto it = std::find_if(totals.begin(), totals.end(), [&](const named_totals& t) {
      return t.pool == record.pool && t.lane == record.lane;
    });
    ensure(it != totals.end(), "a send through a lane without totals");
    ++it->totals.maybe_billed;
    it->totals.settled += record.reserved;
    it->totals.day_spend += record.reserved;
    record.reserved = {};
    changed.push_back(record);
  }
  return changed;
}

}  // namespace spillway
