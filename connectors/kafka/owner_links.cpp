// Opening a link, replacing it, and finding out what became of what the one before wrote.
#include "connectors/kafka/codec.hpp"
#include "connectors/kafka/owner.hpp"
#include "connectors/kafka/wire.hpp"

#include <algorithm>

namespace spillway::kafka {

void owner::start_link() {
  link_.reset();
  offsets_.clear();
  retry_at_ = {};
  main_read_ = follow_read_ = late_read_ = 0;
  phase_ = phase::opening;
  link_ = make_link_(++incarnation_);
  link_->open();
}

void owner::fail(link_fault fault, const std::string& message) {
  if (fault == link_fault::fenced) ++counters_.fences;
  if (hand_over_ == hand_over_phase::leaving) return;  // `late` needs no transactions
  if (hand_over_ == hand_over_phase::stored) return park();
  if (!assigned_ && fault != link_fault::refused) {
    // Asked to hand over it is told soon whether to go on, or to send its answers by `late`.
    if (hand_over_ != hand_over_phase::none) return park();
    return drop("the group gives the partition to another member");
  }
  if (fault == link_fault::refused) return refuse(message);
  ++counters_.reopenings;
  back_off(backoff_);
}

void owner::back_off(duration wait) {
  requeue();
  link_.reset();
  phase_ = phase::waiting;
  backoff_ = std::clamp(backoff_ * 2, setup_.limits.backoff_min, setup_.limits.backoff_max);
  retry_at_ = now_ + wait;
  wake_at(retry_at_);
}

/// The partition may be somebody else's by now. `resume` or `leave` will tell.
void owner::park() {
  requeue();
  link_.reset();
  phase_ = phase::parked;
}

void owner::refuse(const std::string& why) {
  stuck_ = true;
  message_ = why;
  if (hand_over_ == hand_over_phase::stored) return park();
  back_off(setup_.limits.refused_wait);
}

void owner::drop(const std::string& why) {
  link_.reset();
  phase_ = phase::over;
  open_ = committing_ = false;
  message_ = why;
  queue_.clear();
  batches_.clear();
  unpublished_.clear();
  commands_.clear();
  answers_.clear();
}

/// The link is gone: what it did not acknowledge is produced again, in the order it had.
void owner::requeue() {
  std::deque<item> again;
  for (auto& b : batches_)
    for (auto& i : b.items)
      if (!i.opened && !i.state && !i.hand_over) again.push_back(std::move(i));
  if (hand_over_ == hand_over_phase::written) hand_over_ = hand_over_phase::wanted;
  batches_.clear();
  queue_.insert(queue_.begin(), std::make_move_iterator(again.begin()),
                std::make_move_iterator(again.end()));
  open_ = committing_ = false;
  open_results_ = open_bytes_ = 0;
  dirty_ = dirty_ || snapshot_pending_;
  snapshot_pending_ = false;
  snapshot_check_.reset();
  unread_since_.reset();
  late_asked_.reset();
}

void owner::ask_again() {
  retry_at_ = {};
  offsets_.clear();
  for (const auto t : {topic::journal, topic::results, topic::late, topic::shards})
    link_->ask_offsets(t);
}

void owner::check_offsets() {
  if (offsets_.size() < 4) return;
  for (const auto t : {topic::journal, topic::results}) {
    const auto& o = offsets_[t];
    if (o.last_stable >= o.high_watermark) continue;
    if (now_ - hanging_since_ >= setup_.limits.hanging_after) {
      stuck_ = true;
      message_ = "a transaction of producer " + setup_.producer + " hangs on topic " +
                 std::string(name_of(t)) + ", partition " + std::to_string(setup_.partition) +
                 ", at offset " + std::to_string(o.last_stable) +
                 ": nothing behind it can be trusted yet; if this lasts, end it with "
                 "kafka-transactions.sh abort";
    }
    retry_at_ = now_ + std::clamp((now_ - hanging_since_) / 4, setup_.limits.backoff_min,
                                  setup_.limits.backoff_max);
    wake_at(retry_at_);
    return;
  }
  stuck_ = false;
  claim();
}

/// With a record of ours in the journal the broker refuses what predecessors still have under way.
void owner::claim() {
  phase_ = phase::claiming;
  item i;
  i.opened = true;
  queue_.push_front(std::move(i));
  produce_next(1);
}

void owner::claimed(std::int64_t offset) {
  journal_end_ = offset;
  if (recovered_)
    reread_journal();
  else
    begin_recovery();
}

std::uint64_t owner::read(topic from, std::int64_t offset, std::optional<std::int64_t> until,
                          bool committed) {
  const auto id = next_read_++;
  link_->read({id, from, offset, until, committed});
  return id;
}

void owner::follow_results() {
  follow_read_ = read(topic::results, committed_offset_, std::nullopt, true);
}

/// Another owner in between would know more than we do.
void owner::reread_journal() {
  phase_ = phase::again_journal;
  if (journal_next_ >= journal_end_) return reread_answers();
  main_read_ = read(topic::journal, journal_next_, journal_end_, false);
}

void owner::reread_journal(const link_records& r) {
  for (const auto& stored : r.records) {
    const auto rec = decode_journal_record(stored.what.value);
    if (!rec) return refuse(rec.error().message);
    // Who only fenced us sent nothing and knows nothing that we don't.
    if (rec->session != setup_.session && !std::holds_alternative<opened_note>(rec->what))
      return drop(std::string(taken_over));
  }
  if (r.end) reread_answers();
}

bool owner::is_ours(const result_facts& f) const {
  const auto* a = answers_.of(f.where);
  if (!a) return false;
  const auto& ours = a->row.facts;
  return ours.where == f.where && ours.kind == f.kind && ours.code == f.code &&
         ours.charged == f.charged && ours.sends == f.sends &&
         wire::to_ms(ours.done_at) == wire::to_ms(f.done_at);
}

/// An answer that is not ours was published, or salvaged, by somebody else, committed or not.
void owner::reread_answers() {
  phase_ = phase::again_answers;
  journal_next_ = journal_end_ + 1;
  const auto end = offsets_[topic::results].high_watermark;
  if (results_next_ >= end) return reread_results();
  main_read_ = read(topic::results, results_next_, end, false);
}

void owner::reread_answers(const link_records& r) {
  for (const auto& stored : r.records) {
    const auto header = stored.what.header(facts_header);
    if (!header) continue;
    const auto facts = decode_facts(*header);
    if (!facts) return refuse(facts.error().message);
    // Ours, stored without our knowing: a snapshot must lead to it until it is stored again.
    if (is_ours(*facts))
      answers_.stored_at(facts->where, stored.offset);
    else if (book_.wants(facts->where))
      return drop(std::string(taken_over));
  }
  if (r.end) reread_results();
}

void owner::reread_results() {
  phase_ = phase::again_results;
  const auto end = offsets_[topic::results].high_watermark;
  results_next_ = std::max(results_next_, end);
  if (committed_offset_ >= end) return reread_results({0, {}, committed_offset_, true});
  main_read_ = read(topic::results, committed_offset_, end, true);
}

void owner::reread_results(const link_records& r) {
  for (const auto& stored : r.records) {
    const auto header = stored.what.header(facts_header);
    if (!header) continue;
    const auto facts = decode_facts(*header);
    if (!facts) return refuse(facts.error().message);
    book_.locate(*facts, stored.offset);
    (void)book_.finish(*facts);
    answers_.erase(facts->where);
    dirty_ = index_dirty_ = true;
  }
  committed_offset_ = std::max(committed_offset_, r.next_offset);
  if (!r.end) return;
  // What was not committed until the fence never will be.
  for (auto& [number, a] : answers_.all()) a.transaction = 0;
  publish_all_later();
  committed_transaction_ = transaction_++;
  phase_ = phase::active;
  stuck_ = false;
  follow_results();
  follow_late();
}

}  // namespace spillway::kafka
