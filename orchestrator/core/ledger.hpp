// Which prompts of a partition are done, and what the unfinished ones have behind them.
#pragma once

#include "schemas/attempt.hpp"
#include "schemas/prompt.hpp"
#include "schemas/totals.hpp"

#include <deque>
#include <span>
#include <vector>

namespace spillway {

/// Done bits of the shards read so far. A prompt is finished once, and not again unless it was
/// reopened.
class ledger {
 public:
  /// Shards come in order of their ids.
  void add(const shard_descriptor&, const shard_bits& done = {});
  [[nodiscard]] bool knows(shard_id id) const { return id.value() < first_ + shards_.size(); }
  /// A known shard that is not forgotten.
  [[nodiscard]] const shard_descriptor& at(shard_id id) const { return entry_of(id).where; }
  [[nodiscard]] bool forgotten(shard_id id) const { return id.value() < first_; }
  /// True for prompts of forgotten shards too.
  [[nodiscard]] bool done(position p) const {
    return forgotten(p.shard()) || entry_of(p.shard()).done.test(p.index());
  }
  /// A bug if the prompt is done already.
  void finish(position);
  /// The prompt is to be done again.
  void reopen(position);
  [[nodiscard]] bool complete(shard_id id) const;
  /// Shards with prompts left, in order.
  [[nodiscard]] std::vector<shard_id> unfinished() const;
  /// Whether the shard's prompts were queued once.
  [[nodiscard]] bool queued(shard_id id) const { return entry_of(id).queued; }
  void note_queued(shard_id id) { shards_[id.value() - first_].queued = true; }
  /// Lets go of complete shards before this one, up to the first that is not; ids stay as they are.
  void forget_before(shard_id);
  [[nodiscard]] std::int64_t prompts() const { return prompts_; }
  [[nodiscard]] std::int64_t finished() const { return finished_; }

 private:
  struct entry {
    shard_descriptor where;
    shard_bits done;
    bool queued = false;
  };
  [[nodiscard]] const entry& entry_of(shard_id id) const { return shards_[id.value() - first_]; }

  std::deque<entry> shards_;
  std::uint32_t first_ = 0;  ///< id of the first that is not forgotten
  std::int64_t prompts_ = 0, finished_ = 0;
};

/// At the start after a crash: every send that was open is in doubt, unless it is `held`. It is
/// counted, charged its worst case on its lane and ended; returns the changed records, to be made
/// durable together with the totals before anything is sent.
[[nodiscard]] std::vector<attempt_record> end_open_sends(std::vector<attempt_record>& records,
                                                         std::vector<job_totals>& totals,
                                                         std::span<const position> held = {});

}  // namespace spillway
