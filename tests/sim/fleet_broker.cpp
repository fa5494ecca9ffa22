#include "tests/sim/fleet_broker.hpp"

#include "schemas/result.hpp"

#include <algorithm>

namespace spillway::sim {

using namespace std::chrono_literals;
using kafka::topic;

bool timeline::step() {
  if (events_.empty()) return false;
  auto next = std::move(const_cast<event&>(events_.top()));
  events_.pop();
  now_ = next.when;
  next.what();
  return true;
}

std::int64_t fake_broker::put(topic t, entry e) {
  auto& log = logs_[t];
  e.offset = log.next++;
  log.entries.push_back(std::move(e));
  return log.next - 1;
}

std::int64_t fake_broker::append(topic t, kafka::record r) {
  const auto offset = put(t, {0, 0, false, std::move(r)});
  changed();
  return offset;
}

void fake_broker::gap(topic t) { put(t, {0, 0, true, {}}); }

void fake_broker::hang(topic t, kafka::record r) {
  const auto number = next_transaction_++;
  fates_[number] = fate::open;
  touched_[number].insert(t);
  logs_[t].open.try_emplace(number, logs_[t].next);
  put(t, {0, number, false, std::move(r)});
  changed();
}

void fake_broker::abort_hanging() {
  std::vector<std::uint64_t> open;
  for (const auto& [number, how] : fates_)
    if (how == fate::open && number != current_) open.push_back(number);
  for (const auto number : open) write_markers(number, fate::aborted, -1);
  changed();
}

void fake_broker::truncate(topic t, std::int64_t offset) {
  auto& log = logs_[t];
  std::erase_if(log.entries, [&](const entry& e) { return e.offset >= offset; });
  log.next = std::min(log.next, offset);
  std::erase_if(log.open, [&](const auto& o) { return o.second >= offset; });
  log.first = std::min(log.first, log.next);
}

fake_broker::entry* fake_broker::entry_at(topic t, std::int64_t offset) {
  for (auto& e : logs_[t].entries)
    if (e.offset == offset) return &e;
  return nullptr;
}

kafka::link_offsets fake_broker::offsets(topic t) const {
  const auto at = logs_.find(t);
  if (at == logs_.end()) return {t, 0, 0, 0};
  const auto& log = at->second;
  kafka::link_offsets out{t, log.first, log.next, log.next};
  for (const auto& [transaction, first] : log.open)
    out.last_stable = std::min(out.last_stable, first);
  return out;
}

std::vector<kafka::stored_record> fake_broker::records(topic t, std::int64_t from, std::int64_t to,
                                                       bool committed_only) const {
  std::vector<kafka::stored_record> out;
  const auto at = logs_.find(t);
  if (at == logs_.end()) return out;
  const auto& all = at->second.entries;
  auto e = std::lower_bound(all.begin(), all.end(), from,
                            [](const entry& x, std::int64_t o) { return x.offset < o; });
  for (; e != all.end() && e->offset < to; ++e) {
    if (e->marker) continue;
    if (committed_only && e->transaction != 0 && fates_.at(e->transaction) != fate::committed)
      continue;
    out.push_back({e->offset, 0, e->what});
  }
  return out;
}

int fake_broker::init() {
  if (current_ != 0 && preparing_) finish_commit(current_);
  ++epoch_;
  if (current_ != 0) {
    const auto old = std::exchange(current_, 0);
    write_markers(old, fate::aborted, epoch_);
  }
  changed();
  return epoch_;
}

std::uint64_t fake_broker::begin(int epoch) {
  if (epoch != epoch_) return 0;
  const auto number = next_transaction_++;
  current_ = number;
  preparing_ = false;
  fates_[number] = fate::open;
  ++transactions;
  time_.after(faults.transaction_timeout, [this, number] {
    if (current_ != number || preparing_) return;
    ++epoch_;  // the broker fences whoever let it grow old
    current_ = 0;
    write_markers(number, fate::aborted, epoch_);
    changed();
  });
  return number;
}

void fake_broker::write_markers(std::uint64_t transaction, fate how, int epoch) {
  fates_[transaction] = how;
  for (const auto t : touched_[transaction]) {
    auto& log = logs_[t];
    const auto first = log.open[transaction];
    log.open.erase(transaction);
    log.epoch = std::max(log.epoch, epoch);
    put(t, {0, 0, true, {}});
    if (how != fate::committed || t != topic::results || !committed) continue;
    for (auto e = log.entries.rbegin(); e != log.entries.rend() && e->offset >= first; ++e)
      if (e->transaction == transaction) committed({e->offset, 0, e->what});
  }
  touched_.erase(transaction);
}

void fake_broker::finish_commit(std::uint64_t transaction) {
  if (current_ != transaction || !preparing_) return;
  current_ = 0;
  preparing_ = false;
  write_markers(transaction, fate::committed, epoch_);
  changed();
}

fake_broker::reply fake_broker::produce(int epoch, std::uint64_t transaction, topic t,
                                        const std::vector<kafka::record>& records) {
  auto& log = logs_[t];
  const bool known = current_ == transaction && transaction != 0 && epoch == epoch_;
  if (epoch < log.epoch) return {true, {}};
  if (!known) {
    if (!faults.hole) return {true, {}};
    // The partition has not seen the newer epoch: the record opens a transaction nobody will end.
    const auto hanging = next_transaction_++;
    fates_[hanging] = fate::open;
    touched_[hanging].insert(t);
    transaction = hanging;
    time_.after(faults.hang, [this, hanging] {
      if (fates_[hanging] == fate::open) write_markers(hanging, fate::aborted, -1);
      changed();
    });
  }
  touched_[transaction].insert(t);
  log.epoch = std::max(log.epoch, epoch);
  reply out;
  log.open.try_emplace(transaction, log.next);
  for (const auto& r : records) out.offsets.push_back(put(t, {0, transaction, false, r}));
  changed();
  return out;
}

bool fake_broker::end(int epoch, std::uint64_t transaction) {
  if (epoch != epoch_ || current_ != transaction) return false;
  preparing_ = true;
  time_.after(between(100us, 15ms), [this, transaction] { finish_commit(transaction); });
  return true;
}

}  // namespace spillway::sim
