#include "connectors/kafka/owner.hpp"

#include <algorithm>
#include <tuple>

namespace spillway::kafka {

owner::owner(owner_setup setup, link_factory make)
    : setup_(std::move(setup)), make_link_(std::move(make)) {}

owner_output owner::step(time_point now, std::vector<link_message> messages, bool assigned) {
  now_ = now;
  assigned_ = assigned;
  wake_ = time_never;
  if (phase_ == phase::idle) start_link();
  for (const auto& m : messages)
    if (m.incarnation == incarnation_ && link_) handle(m.event);
  run_timers();
  pump();
  pump_late();
  finish_if_closing();
  report();
  return std::exchange(out_, {});
}

void owner::handle(const link_event& event) {
  if (phase_ == phase::over) return;
  std::visit([this](const auto& e) { on(e); }, event);
}

void owner::on(const link_opened&) {
  if (phase_ != phase::opening) return;
  phase_ = phase::checking;
  hanging_since_ = now_;
  ask_again();
}

void owner::on(const link_failed& failed) { fail(failed.fault, failed.message); }

void owner::on(const link_offsets& offsets) {
  if (phase_ == phase::active && offsets.of == topic::late) late_end_ = offsets.high_watermark;
  if (phase_ != phase::checking) return;
  offsets_[offsets.of] = offsets;
  check_offsets();
}

void owner::on(const link_records& r) {
  if (r.read == follow_read_) return read_back(r);
  if (r.read == late_read_) return late_arrived(r);
  if (snapshot_check_ && r.read == snapshot_check_->read) return check_snapshot(r);
  if (r.read != main_read_) return;
  switch (phase_) {
    case phase::journal: return read_journal(r);
    case phase::results: return read_results(r);
    case phase::salvage: return read_salvage(r);
    case phase::late: return read_late(r);
    case phase::again_journal: return reread_journal(r);
    case phase::again_answers: return reread_answers(r);
    case phase::again_results: return reread_results(r);
    default: return;
  }
}

void owner::run_timers() {
  if (phase_ == phase::waiting) {
    if (now_ >= retry_at_)
      start_link();
    else
      wake_at(retry_at_);
  }
  if (phase_ == phase::checking && retry_at_ > time_point{}) {
    if (now_ >= retry_at_)
      ask_again();
    else
      wake_at(retry_at_);
  }
  if (phase_ != phase::active) return;
  release_expired();
  if (!unread_since_) return;
  const auto late = *unread_since_ + setup_.limits.read_back_max;
  if (now_ >= late)
    fail(link_fault::ambiguous, "committed results can't be read back");
  else
    wake_at(late);
}

owner_state owner::state() const {
  if (phase_ == phase::over)
    return closing_ || hand_over_ == hand_over_phase::ended ? owner_state::closed
                                                            : owner_state::dropped;
  if (hand_over_ == hand_over_phase::leaving) return owner_state::leaving;
  if (phase_ == phase::parked) return owner_state::suspended;
  if (phase_ != phase::active) return stuck_ ? owner_state::stuck : owner_state::opening;
  return hand_over_ == hand_over_phase::none ? owner_state::active : owner_state::suspended;
}

void owner::report() {
  out_.state = state();
  if (out_.state == owner_state::stuck || out_.state == owner_state::dropped)
    out_.message = message_;
  out_.handed_over = hand_over_ == hand_over_phase::stored ||
                     (!recovered_ && hand_over_ == hand_over_phase::wanted);
  out_.held_bytes = answers_.bytes();
  out_.unstored = unpublished_.size();
  for (const auto& b : batches_) out_.unstored += b.acked ? 0 : b.answers.size();
  if (recovered_ && phase_ != phase::over) {
    const auto mark = book_.done().first_unfinished();
    if (mark != shown_watermark_) out_.watermark = shown_watermark_ = mark;
  }
  out_.wake = phase_ == phase::over ? time_never : wake_;
}

void owner::note(const noted_record& r) { book_.done().note(r); }

void owner::command(owner_command c) {
  if (phase_ != phase::over) commands_.emplace_back(answers_.next_number(), std::move(c));
}

/// What no snapshot that was read back counts would be lost with its rows, and a row is counted
/// only if its prompt stands at or above the start of `shards`.
void owner::trim(const retention& wanted) {
  if (!link_ || phase_ != phase::active) return;
  const auto kept = book_.kept(wanted);
  const auto shards = std::min(kept.shards, book_.done().first_unfinished());
  const auto results = std::min(kept.results, committed_offset_);
  book_.forget_below(std::min(shards, safe_shards_));
  for (const auto& [of, offset, safe] : {std::tuple{topic::results, results, safe_results_},
                                         std::tuple{topic::shards, shards, safe_shards_}}) {
    const auto first = offsets_[of].first;
    if (offset > std::max(first, safe)) dirty_ = true;  // another snapshot lets more go
    if (std::min(offset, safe) <= first) continue;
    link_->trim(of, std::min(offset, safe));
    ++counters_.trims;
  }
}

}  // namespace spillway::kafka
