// Hand-over, on both sides: what leaves goes through `late`, what a former owner still answers
// comes from there.
#include "connectors/kafka/codec.hpp"
#include "connectors/kafka/owner.hpp"

#include <algorithm>

namespace spillway::kafka {

void owner::suspend() {
  if (phase_ != phase::over && hand_over_ == hand_over_phase::none)
    hand_over_ = hand_over_phase::wanted;
}

void owner::resume() {
  if (hand_over_ >= hand_over_phase::leaving || phase_ == phase::over) return;
  if (succeeded_) return drop(std::string(taken_over));
  if (hand_over_ == hand_over_phase::written || hand_over_ == hand_over_phase::stored) {
    item i;
    i.resumed = true;
    queue_.push_front(std::move(i));
    owes_late_end_ = false;
  }
  hand_over_ = hand_over_phase::none;
  if (phase_ == phase::parked) back_off(duration(0));
}

void owner::hand_over_if_wanted() {
  if (hand_over_ != hand_over_phase::wanted || !queue_.empty() || !unpublished_.empty()) return;
  item i;
  i.hand_over = hand_over_note{};
  for (const auto& [where, a] : book_.attempts())
    if (a.mine && a.last.in_flight && !answers_.contains(where))
      i.hand_over->open.push_back(a.last);
  owes_late_end_ = !i.hand_over->open.empty();
  if (!owes_late_end_ && !open_) {
    hand_over_ = hand_over_phase::stored;
    return;
  }
  hand_over_ = hand_over_phase::written;
  if (!owes_late_end_) return;
  queue_.push_back(std::move(i));
  produce_next();
}

void owner::leave() {
  if (phase_ == phase::over || hand_over_ >= hand_over_phase::leaving) return;
  if (!recovered_) {
    link_.reset();
    phase_ = phase::over;
    hand_over_ = hand_over_phase::ended;
    return;
  }
  hand_over_ = hand_over_phase::leaving;
  phase_ = phase::active;
  unread_since_.reset();
  late_answers();
  for (auto& b : batches_)
    for (const auto& i : b.items) late_group(i);
  for (const auto& i : queue_) late_group(i);
  batches_.clear();
  queue_.clear();
  commands_.clear();
}

/// What is stored on `results` is salvaged there if it is not committed.
void owner::late_answers() {
  for (const auto& [number, a] : answers_.all())
    if (!a.stored) send_late(std::nullopt, late_result(setup_.session, a.row));
  answers_.clear();
  unpublished_.clear();
}

/// Sends that ended; intents were not sent.
void owner::late_group(const item& i) {
  for (const auto& a : i.attempts)
    if (!a.in_flight && book_.wants(a.where))
      send_late(std::nullopt, late_note({setup_.session, a}));
  if (!i.seq) return;
  if (late_out_.empty())
    set_durable(*i.seq);
  else
    late_out_.back().seq = i.seq;
}

void owner::send_late(std::optional<std::uint64_t> seq, record r) {
  late_out_.push_back({std::move(r), seq, 0, false, {}});
}

void owner::pump_late() {
  if (hand_over_ != hand_over_phase::leaving || phase_ == phase::over) return;
  if (!link_) {  // it waited to be opened again: no need, but a way to `late` is needed
    link_ = make_link_(++incarnation_);
    for (auto& l : late_out_) l.ticket = 0;
  }
  for (auto& l : late_out_) {
    if (l.ticket != 0 || l.stored) continue;
    if (now_ < l.not_before) {
      wake_at(l.not_before);
      continue;
    }
    l.ticket = next_ticket_++;
    link_->produce_late(l.ticket, l.what);
  }
}

void owner::on(const link_late_acked& acked) {
  const auto at = std::find_if(late_out_.begin(), late_out_.end(),
                               [&](const late_out& l) { return l.ticket == acked.ticket; });
  if (at == late_out_.end()) return;
  at->ticket = 0;
  at->stored = acked.error.empty();
  if (!at->stored) at->not_before = now_ + setup_.limits.backoff_max;
  while (!late_out_.empty() && late_out_.front().stored) {
    if (late_out_.front().seq) set_durable(*late_out_.front().seq);
    late_out_.pop_front();
  }
}

void owner::close() {
  if (hand_over_ == hand_over_phase::written || hand_over_ == hand_over_phase::stored ||
      phase_ == phase::parked)
    leave();
  closing_ = true;
}

void owner::finish_if_closing() {
  if (!closing_ || phase_ == phase::over) return;
  if (hand_over_ == hand_over_phase::leaving) {
    if (!late_out_.empty()) return;
    if (owes_late_end_ && !late_end_sent_) {
      late_end_sent_ = true;
      send_late(std::nullopt, late_note({setup_.session, late_end{}}));
      return pump_late();
    }
  } else if (recovered_ && (!queue_.empty() || !unpublished_.empty() || !batches_.empty() ||
                            open_ || phase_ != phase::active)) {
    return;
  }
  link_.reset();
  phase_ = phase::over;
}

bool owner::is_held(const place& p, std::uint32_t sends) const {
  for (const auto& [session, open] : book_.hand_overs()) {
    const auto at = open.find(p.prompt());
    if (at != open.end() && at->second.sends == sends) return true;
  }
  return false;
}

void owner::follow_late() {
  if (late_read_ == 0 && !book_.hand_overs().empty())
    late_read_ = read(topic::late, late_next_, std::nullopt, true);
}

void owner::late_arrived(const link_records& r) {
  if (hand_over_ == hand_over_phase::leaving) return;
  for (const auto& stored : r.records) {
    take_late(stored);
    if (phase_ != phase::active) return;
  }
  late_next_ = std::max(late_next_, r.next_offset);
  index_dirty_ = true;
  if (!book_.hand_overs().empty()) return;
  link_->stop_reading(late_read_);
  late_read_ = 0;
}

void owner::take_late(const stored_record& stored) {
  const auto header = stored.what.header(facts_header);
  if (!header) return;
  auto rec = decode_late(*header);
  if (!rec) return refuse(rec.error().message);
  dirty_ = true;
  if (auto* facts = std::get_if<result_facts>(&rec->what)) {
    // Of a prompt that is not held any more the call was given up, and charged as such.
    if (!is_held(facts->where, facts->sends) || !book_.wants(facts->where) ||
        answers_.contains(facts->where)) {
      ++counters_.ignored;
      return;
    }
    const auto where = facts->where;
    adopt({stored.what.key, stored.what.value, std::move(*facts)}, std::nullopt, stored.offset);
    ++counters_.late;
    out_.settled.push_back({answers_.of(where)->row.facts});
    publish_later(answers_.next_number() - 1);
  } else if (const auto* ended = std::get_if<fleet_attempt>(&rec->what)) {
    if (!is_held(ended->where, ended->sends)) return;
    book_.set_attempt(*ended, false);
    out_.reopened.push_back({*ended, false, false});
  } else {
    const auto held = book_.hand_overs().find(rec->session);
    if (held == book_.hand_overs().end()) return;
    std::vector<place> left;
    for (const auto& [where, a] : held->second) left.push_back(where);
    for (const auto& where : left) release(where);
    book_.end_hand_over(rec->session);
  }
}

/// Nobody can answer it any more.
void owner::release(const place& p) {
  const auto* a = book_.find(p);
  if (!a || !a->last.in_flight || !is_held(p, a->last.sends)) return book_.end_hold(p);
  const auto ended = book::in_doubt(a->last);
  book_.set_attempt(ended, false);
  dirty_ = index_dirty_ = true;
  out_.reopened.push_back({ended, true, false});
}

void owner::release_expired() {
  if (book_.hand_overs().empty() || hand_over_ == hand_over_phase::leaving) return;
  if (now_ < next_release_) return wake_at(next_release_);
  // We may have been away: what stands on `late` by now comes first.
  if (!late_asked_) {
    late_asked_ = now_;
    late_end_.reset();
    link_->ask_offsets(topic::late);
  }
  if (!late_end_ || late_next_ < *late_end_) return;
  next_release_ = time_never;
  std::vector<place> expired;
  for (const auto& [session, open] : book_.hand_overs())
    for (const auto& [where, a] : open) {
      const auto until = a.deadline + setup_.limits.late_grace;
      if (until <= *late_asked_)
        expired.push_back(where);
      else
        next_release_ = std::min(next_release_, until);
    }
  late_asked_.reset();
  for (const auto& where : expired) release(where);
  if (!book_.hand_overs().empty()) wake_at(next_release_);
}

}  // namespace spillway::kafka
