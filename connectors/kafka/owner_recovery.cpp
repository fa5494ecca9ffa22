// Take-over: what the journal, the results and `late` say, until the partition can be worked on.
#include "connectors/files/checksum.hpp"
#include "connectors/kafka/codec.hpp"
#include "connectors/kafka/owner.hpp"

#include <algorithm>

namespace spillway::kafka {

void owner::begin_recovery() {
  phase_ = phase::journal;
  book_.restore({});
  answers_.clear();
  index_.reset();
  const auto& journal = offsets_[topic::journal];
  committed_offset_ = results_offset_ = offsets_[topic::results].first;
  late_next_ = offsets_[topic::late].first;
  auto from = journal.first;
  use_index();
  if (index_) from = index_->journal_offset;
  if (from >= journal_end_) return read_results();
  main_read_ = read(topic::journal, from, journal_end_, false);
}

/// An index that is not of this log, older than its beginning or newer than its end is none.
void owner::use_index() {
  if (setup_.index.empty()) return;
  auto decoded = decode_index(setup_.index);
  const auto& journal = offsets_[topic::journal];
  if (decoded && decoded->fleet == setup_.fleet && decoded->partition == setup_.partition &&
      decoded->journal_offset >= journal.first && decoded->journal_offset < journal_end_ &&
      decoded->state.committed_offset <= offsets_[topic::results].high_watermark &&
      decoded->state.late_offset <= offsets_[topic::late].high_watermark)
    index_ = std::move(*decoded);
  else
    distrust_index();
}

void owner::distrust_index() {
  setup_.index.clear();
  index_.reset();
  ++counters_.rebuilt;
}

bool owner::check_index(const stored_record& first) {
  if (first.offset != index_->journal_offset || crc_of(first.what.value) != index_->journal_crc)
    return false;
  take_snapshot_in(index_->state);
  index_.reset();
  return true;
}

void owner::read_journal(const link_records& r) {
  for (const auto& stored : r.records) {
    if (index_ && !check_index(stored)) {
      distrust_index();
      link_->stop_reading(main_read_);
      return begin_recovery();
    }
    const auto rec = decode_journal_record(stored.what.value);
    if (!rec)
      return refuse(rec.error().message + " (offset " + std::to_string(stored.offset) + ")");
    apply(*rec);
  }
  if (!r.end) return;
  if (index_) {  // the record it names is gone
    distrust_index();
    return begin_recovery();
  }
  read_results();
}

void owner::apply(const journal_record& rec) {
  if (const auto* note = std::get_if<attempts_note>(&rec.what)) {
    for (const auto& a : note->attempts) book_.set_attempt(a, false);
  } else if (const auto* state = std::get_if<snapshot>(&rec.what)) {
    take_snapshot_in(*state);
  } else if (const auto* hand_over = std::get_if<hand_over_note>(&rec.what)) {
    book_.hand_over(rec.session, hand_over->open);
  } else if (const auto* applied = std::get_if<applied_note>(&rec.what)) {
    book_.apply(*applied);
  } else if (std::holds_alternative<resumed_note>(rec.what)) {
    book_.end_hand_over(rec.session);
  }
}

void owner::take_snapshot_in(const snapshot& s) {
  const auto& results = offsets_[topic::results];
  book_.restore(s);
  results_offset_ = std::max(s.results_offset, results.first);
  committed_offset_ = std::max(s.committed_offset, results.first);
  if (s.committed_offset > results.high_watermark) {  // the results were cut: count them anew
    ++counters_.rebuilt;
    book_.forget_results();
    results_offset_ = committed_offset_ = results.first;
  }
  const auto& late = offsets_[topic::late];
  late_next_ = s.late_offset > late.high_watermark ? late.first : s.late_offset;
}

void owner::read_results() {
  book_.cut(offsets_[topic::shards].high_watermark);
  book_.forget_below(offsets_[topic::shards].first);
  phase_ = phase::results;
  const auto end = offsets_[topic::results].high_watermark;
  if (committed_offset_ >= end) return read_salvage();
  main_read_ = read(topic::results, committed_offset_, end, true);
}

void owner::read_results(const link_records& r) {
  for (const auto& stored : r.records) {
    const auto header = stored.what.header(facts_header);
    if (!header) continue;
    const auto facts = decode_facts(*header);
    if (!facts) return refuse(facts.error().message);
    book_.locate(*facts, stored.offset);
    if (book_.finish(*facts) == book::counted::already) ++counters_.duplicates;
  }
  if (r.end) read_salvage();
}

void owner::read_salvage() {
  phase_ = phase::salvage;
  const auto end = offsets_[topic::results].high_watermark;
  committed_offset_ = end;
  if (results_offset_ >= end) return read_late();
  main_read_ = read(topic::results, results_offset_, end, false);
}

void owner::read_salvage(const link_records& r) {
  for (const auto& stored : r.records) {
    const auto header = stored.what.header(facts_header);
    if (!header) continue;
    auto facts = decode_facts(*header);
    if (!facts) return refuse(facts.error().message);
    if (!book_.wants(facts->where)) continue;
    answers_.erase(facts->where);  // the newest one counts
    adopt({stored.what.key, stored.what.value, std::move(*facts)}, stored.offset, std::nullopt);
  }
  if (!r.end) return;
  read_late();
}

void owner::adopt(finished_row row, std::optional<std::int64_t> stored,
                  std::optional<std::int64_t> late) {
  row.facts.charged = book_.charge_of(row.facts);
  book_.end_hold(row.facts.where);
  answers_.add(std::move(row), stored, late);
}

void owner::read_late() {
  phase_ = phase::late;
  const auto end = offsets_[topic::late].high_watermark;
  if (late_next_ >= end) return recovered();
  main_read_ = read(topic::late, late_next_, end, true);
}

void owner::read_late(const link_records& r) {
  for (const auto& stored : r.records) {
    const auto header = stored.what.header(facts_header);
    if (!header) continue;
    auto rec = decode_late(*header);
    if (!rec) return refuse(rec.error().message);
    if (auto* facts = std::get_if<result_facts>(&rec->what)) {
      if (!book_.wants(facts->where) || answers_.contains(facts->where)) continue;
      adopt({stored.what.key, stored.what.value, std::move(*facts)}, std::nullopt, stored.offset);
    } else if (const auto* ended = std::get_if<fleet_attempt>(&rec->what)) {
      const auto* a = book_.find(ended->where);
      if (a && a->last.in_flight && a->last.sends == ended->sends) book_.set_attempt(*ended, false);
    } else {
      book_.end_hand_over(rec->session);
    }
  }
  late_next_ = std::max(late_next_, r.next_offset);
  if (r.end) recovered();
}

void owner::recovered() {
  journal_next_ = journal_end_ + 1;
  results_next_ = offsets_[topic::results].high_watermark;
  counters_.salvaged = counters_.late = 0;
  for (const auto& [number, a] : answers_.all()) ++(a.late ? counters_.late : counters_.salvaged);
  late_proven_ = late_next_;
  recovered_ = true;
  phase_ = phase::active;
  last_snapshot_ = last_index_ = now_;
  dirty_ = !answers_.all().empty();
  index_dirty_ = true;
  out_.recovered = describe();
  publish_all_later();
  next_release_ = time_point{};
  follow_results();
  follow_late();
}

recovered_partition owner::describe() const {
  auto counted = book_;
  for (const auto& [number, a] : answers_.all()) counted.finish(a.row.facts);
  recovered_partition out;
  auto state = counted.take();
  out.watermark = state.watermark;
  out.done = std::move(state.done);
  out.reopened.assign(counted.done().reopened().begin(), counted.done().reopened().end());
  for (auto& p : out.reopened) p.generation = counted.generation(p);
  out.generations = std::move(state.generations);
  out.jobs = std::move(state.jobs);
  out.applied = std::move(state.applied);
  for (auto& a : state.attempts) {
    if (a.in_flight && is_held(a.where, a.sends))
      out.held.push_back({a.where, a.deadline + setup_.limits.late_grace});
    else if (a.in_flight)
      ++a.deaths;
    out.attempts.push_back(std::move(a));
  }
  out.salvaged = static_cast<std::int64_t>(counters_.salvaged);
  out.late = static_cast<std::int64_t>(counters_.late);
  return out;
}

}  // namespace spillway::kafka
