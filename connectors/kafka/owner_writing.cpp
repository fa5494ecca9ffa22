// Groups on their way into the log, and reading back what was committed.
#include "connectors/files/checksum.hpp"
#include "connectors/kafka/codec.hpp"
#include "connectors/kafka/owner.hpp"

#include <algorithm>

namespace spillway::kafka {
namespace {

constexpr std::size_t batch_bytes_max = 1 << 20;

}  // namespace

void owner::append(std::uint64_t seq, owner_group group) {
  if (phase_ == phase::over) return;
  item i;
  i.seq = seq;
  i.attempts = std::move(group.attempts);
  i.totals = std::move(group.totals);
  for (auto& row : group.finished) {
    const auto where = row.facts.where;
    if (recovered_ && book_.wants(where) && !answers_.contains(where))
      publish_later(answers_.add(std::move(row), std::nullopt, std::nullopt));
    else
      ++counters_.ignored;
  }
  if (group.firm && !unpublished_.empty()) i.rows_before = firm_rows_ = unpublished_.back() + 1;
  if (hand_over_ == hand_over_phase::leaving) {
    late_answers();
    late_group(i);
  } else {
    queue_.push_back(std::move(i));
  }
}

void owner::set_durable(std::uint64_t seq) { out_.durable = seq; }

void owner::publish_later(std::uint64_t answer) {
  if (unpublished_.empty()) unpublished_since_ = now_;
  unpublished_.push_back(answer);
  const auto& row = answers_.find(answer)->row;
  unpublished_bytes_ += row.key.size() + row.row.size();
}

void owner::publish_all_later() {
  unpublished_.clear();
  unpublished_bytes_ = 0;
  for (const auto& [number, a] : answers_.all()) publish_later(number);
}

bool owner::publish_now() const {
  if (unpublished_.empty()) return false;
  return unpublished_.front() < firm_rows_ ||
         now_ >= unpublished_since_ + setup_.limits.publish_after ||
         unpublished_bytes_ >= setup_.limits.publish_bytes ||
         unpublished_.size() >= setup_.limits.commit_results || closing_ ||
         hand_over_ == hand_over_phase::wanted;
}

void owner::pump() {
  if (!link_ || hand_over_ >= hand_over_phase::leaving || committing_) return;
  if (phase_ != phase::active) return commit_if_due();
  index_if_due();
  const bool suspended = hand_over_ >= hand_over_phase::written;
  if (!suspended) {
    apply_commands();
    snapshot_if_due();
    produce_what_waits();
    hand_over_if_wanted();
  }
  commit_if_due();
  if (closing_) index_if_due();
}

void owner::produce_what_waits() {
  const auto& limits = setup_.limits;
  while (!queue_.empty() || publish_now()) {
    if (open_results_ >= limits.commit_results || open_bytes_ >= limits.commit_bytes) return;
    const auto on_the_way =
        std::count_if(batches_.begin(), batches_.end(), [](const batch& b) { return !b.acked; });
    if (on_the_way >= limits.batches_open) return;
    if (now_ < next_batch_) return wake_at(next_batch_);
    next_batch_ = now_ + limits.batch_spacing;
    produce_next();
  }
  if (!unpublished_.empty()) wake_at(unpublished_since_ + limits.publish_after);
}

void owner::produce_next(std::size_t items_max) {
  batch b;
  b.ticket = next_ticket_++;
  b.late_next = late_next_;
  std::vector<outgoing_record> journal, results;
  std::size_t bytes = 0;
  const auto fits = [&] {
    return b.items.empty() || (b.items.size() < items_max && bytes < batch_bytes_max);
  };
  while (!queue_.empty() && fits()) {
    if (!unpublished_.empty() && unpublished_.front() < queue_.front().rows_before) break;
    auto next = std::move(queue_.front());
    queue_.pop_front();
    write(next, journal, b, bytes);
    b.items.push_back(std::move(next));
  }
  if (phase_ == phase::active && publish_now()) publish(results, b, bytes);
  const bool empty = journal.empty() && results.empty();
  if (empty) b.acked = true;
  batches_.push_back(std::move(b));
  if (empty) return settle(batches_.back());
  if (!open_) {
    open_ = true;
    open_since_ = now_;
    ++counters_.transactions;
  }
  open_results_ += results.size();
  open_bytes_ += bytes;
  const auto ticket = batches_.back().ticket;
  journal.insert(journal.end(), std::make_move_iterator(results.begin()),
                 std::make_move_iterator(results.end()));
  link_->produce(ticket, std::move(journal));
}

void owner::put_journal(std::vector<outgoing_record>& out, batch& b, journal_record rec) {
  rec.session = setup_.session;
  record r;
  r.value = encode(rec);
  b.journal_crcs.push_back(crc_of(r.value));
  out.push_back({topic::journal, std::move(r)});
}

void owner::publish(std::vector<outgoing_record>& results, batch& b, std::size_t& bytes) {
  const auto room = setup_.limits.commit_results - open_results_;
  while (!unpublished_.empty() && results.size() < room && bytes < batch_bytes_max) {
    const auto number = unpublished_.front();
    unpublished_.pop_front();
    auto* a = answers_.find(number);
    if (!a) continue;  // read back meanwhile, another's
    a->transaction = transaction_;
    b.answers.push_back(number);
    results.push_back({topic::results, result_record(a->row)});
    const auto size = a->row.key.size() + a->row.row.size();
    bytes += size;
    unpublished_bytes_ -= size;
  }
  if (unpublished_.empty()) unpublished_bytes_ = 0;
}

/// What the book says follows the journal, record by record.
void owner::write(item& i, std::vector<outgoing_record>& journal, batch& b, std::size_t& bytes) {
  const auto before = journal.size();
  for (const auto& seen : i.totals) book_.observe(seen);
  std::erase_if(i.attempts, [this](const fleet_attempt& a) {
    return !book_.wants(a.where) || answers_.contains(a.where);
  });
  for (const auto& a : i.attempts) book_.set_attempt(a, true);
  if (!i.attempts.empty()) put_journal(journal, b, {"", attempts_note{i.attempts}});
  if (i.opened) put_journal(journal, b, {"", opened_note{}});
  if (i.applied) {
    book_.apply(*i.applied);
    put_journal(journal, b, {"", *i.applied});
  }
  if (i.hand_over) put_journal(journal, b, {"", *i.hand_over});
  if (i.resumed) put_journal(journal, b, {"", resumed_note{}});
  if (i.state) {
    put_journal(journal, b, {"", *i.state});
    b.snapshot_at = static_cast<std::int64_t>(journal.size()) - 1;
  } else if (journal.size() > before && !i.opened) {
    dirty_ = index_dirty_ = true;
  }
  for (auto n = before; n < journal.size(); ++n) bytes += journal[n].what.value.size();
}

void owner::on(const link_acked& acked) {
  const auto at = std::find_if(batches_.begin(), batches_.end(),
                               [&](const batch& b) { return b.ticket == acked.ticket; });
  if (at == batches_.end()) return;
  auto& b = *at;
  const auto notes = b.journal_crcs.size();
  ensure(acked.offsets.size() == notes + b.answers.size(), "an offset for each record");
  if (notes > 0) b.last = {acked.offsets[notes - 1], b.journal_crcs.back()};
  if (b.snapshot_at) b.snapshot_at = acked.offsets[static_cast<std::size_t>(*b.snapshot_at)];
  for (std::size_t i = 0; i < b.answers.size(); ++i) {
    const auto offset = acked.offsets[notes + i];
    if (auto* a = answers_.find(b.answers[i])) a->stored = offset;
    b.results_end = offset + 1;
  }
  counters_.published += b.answers.size();
  b.acked = true;
  while (!batches_.empty() && batches_.front().acked) settle(batches_.front());
}

/// All before it and the batch itself are stored. It is the first, or the only one without records.
void owner::settle(batch& b) {
  if (&b != &batches_.front()) return;
  const bool opened = !b.items.empty() && b.items.front().opened;
  if (b.last) last_journal_ = *b.last;
  results_next_ = std::max(results_next_, b.results_end);
  if (recovered_) late_proven_ = std::max(late_proven_, b.late_next);
  if (b.last && !opened) journal_next_ = std::max(journal_next_, b.last->offset + 1);
  for (auto& i : b.items) {
    if (i.seq) set_durable(*i.seq);
    if (i.applied) {
      out_.applied.push_back(i.applied->command);
      for (const auto& p : i.applied->reopened) {
        fleet_attempt fresh;
        fresh.where = p;
        out_.reopened.push_back({fresh, false, true});
      }
    }
    if (i.state && b.snapshot_at) {
      index_dirty_ = true;
      snapshot_check_ = {*b.snapshot_at,          b.journal_crcs.back(), i.state->late_offset,
                         i.state->results_offset, i.state->watermark,    0};
      snapshot_check_->read = read(topic::journal, *b.snapshot_at, std::nullopt, false);
    }
  }
  batches_.pop_front();
  if (opened && phase_ == phase::claiming) claimed(last_journal_->offset);
}

void owner::commit_if_due() {
  if (!open_ || committing_) return;
  const auto due = open_since_ + setup_.limits.commit_after;
  const bool now = now_ >= due || open_results_ >= setup_.limits.commit_results ||
                   open_bytes_ >= setup_.limits.commit_bytes || closing_ ||
                   hand_over_ == hand_over_phase::written;
  if (!now) return wake_at(due);
  committing_ = true;
  link_->commit();
}

void owner::on(const link_committed&) {
  if (!committing_) return;
  while (!batches_.empty() && batches_.front().acked) settle(batches_.front());
  ensure(batches_.empty(), "a transaction ends with all its records acknowledged");
  committing_ = open_ = false;
  open_results_ = open_bytes_ = 0;
  backoff_ = duration(0);
  committed_transaction_ = transaction_++;
  ++counters_.commits;
  watch_read_back();
  if (hand_over_ == hand_over_phase::written) hand_over_ = hand_over_phase::stored;
}

void owner::read_back(const link_records& r) {
  if (hand_over_ == hand_over_phase::leaving) return;
  for (const auto& stored : r.records) {
    const auto header = stored.what.header(facts_header);
    if (!header) continue;
    const auto facts = decode_facts(*header);
    if (!facts) return refuse(facts.error().message);
    if (book_.wants(facts->where) && !is_ours(*facts)) {
      if (hand_over_ != hand_over_phase::stored) return drop(std::string(taken_over));
      succeeded_ = true;
    }
    book_.locate(*facts, stored.offset);
    if (book_.finish(*facts) == book::counted::already) ++counters_.duplicates;
    if (answers_.erase(facts->where)) unread_since_.reset();
    results_bytes_ += stored.what.key.size() + stored.what.value.size();
    dirty_ = index_dirty_ = true;
  }
  committed_offset_ = std::max(committed_offset_, r.next_offset);
  watch_read_back();
}

void owner::watch_read_back() {
  if (unread_since_ || answers_.all().empty()) return;
  const auto& oldest = answers_.all().begin()->second;
  if (oldest.transaction > 0 && oldest.transaction <= committed_transaction_) unread_since_ = now_;
}

void owner::apply_commands() {
  while (!commands_.empty()) {
    auto& [barrier, c] = commands_.front();
    const auto& waiting = answers_.all();
    // A row that somebody can have seen failed by now must be known as failed.
    if (!waiting.empty() && waiting.begin()->first < barrier) return;
    if (book_.was_applied(c.id)) {
      out_.applied.push_back(c.id);
    } else {
      item i;
      i.applied = applied_note{c.id, {}};
      if (c.retry) i.applied->reopened = book_.retried(c.job, c.codes);
      queue_.push_back(std::move(i));
    }
    commands_.pop_front();
  }
}

snapshot owner::take_snapshot() const {
  auto s = book_.take();
  s.committed_offset = committed_offset_;
  s.results_offset = answers_.floor(&answer::stored, committed_offset_);
  s.late_offset = answers_.floor(&answer::late, late_next_);
  return s;
}

void owner::snapshot_if_due() {
  if (!dirty_ || snapshot_pending_) return;
  const auto due = last_snapshot_ + setup_.limits.snapshot_after;
  if (now_ < due && results_bytes_ < setup_.limits.snapshot_bytes) return wake_at(due);
  item i;
  i.state = take_snapshot();
  last_snapshot_ = now_;
  results_bytes_ = 0;
  dirty_ = false;
  snapshot_pending_ = true;
  ++counters_.snapshots;
  // In front of the queue: what waits there is not in the book yet.
  queue_.push_front(std::move(i));
}

/// The journal below a snapshot goes once the snapshot was read back whole.
void owner::check_snapshot(const link_records& r) {
  if (r.records.empty()) return;
  const auto& first = r.records.front();
  const auto check = *snapshot_check_;
  link_->stop_reading(check.read);
  snapshot_check_.reset();
  snapshot_pending_ = false;
  if (first.offset != check.offset || crc_of(first.what.value) != check.crc) {
    dirty_ = true;  // another one will do
    return;
  }
  safe_results_ = check.results_offset;
  safe_shards_ = check.watermark;
  link_->trim(topic::journal, check.offset);
  if (check.late_offset > safe_late_) link_->trim(topic::late, check.late_offset);
  safe_late_ = std::max(safe_late_, check.late_offset);
  ++counters_.trims;
}

/// Taken when the book says no more than the journal does.
void owner::index_if_due() {
  if (!index_dirty_ || !last_journal_) return;
  const auto due = last_index_ + setup_.limits.index_after;
  if (now_ < due && !closing_) return wake_at(due);
  if (!batches_.empty()) return;
  auto state = take_snapshot();
  // Unlike a snapshot in the journal this is stored even if we were succeeded without noticing.
  // What a successor left uncommitted we have read past without seeing it: answers paid for. Its
  // hand-over may already be followed by late ones that mean nothing to us.
  state.results_offset = std::min(state.results_offset, results_next_);
  state.late_offset = std::min(state.late_offset, late_proven_);
  out_.index = encode(local_index{setup_.fleet, setup_.partition, last_journal_->offset,
                                  last_journal_->crc, std::move(state)});
  last_index_ = now_;
  index_dirty_ = false;
}

}  // namespace spillway::kafka
