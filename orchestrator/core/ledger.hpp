// Which prompts of a partition are done, and what the unfinished ones have behind them.
#pragma once

#include "schemas/attempt.hpp"
#include "schemas/prompt.hpp"
#include "schemas/totals.hpp"

#include <span>
#include <vector>

namespace spillway {

/// Done bits of all shards read so far. A prompt is finished once, and never again.
class ledger {
 public:
  /// Shards come in order of their ids.
  void add(const shard_descriptor&, const shard_bits& done = {});
  [[nodiscard]] bool knows(shard_id id) const { return id.value() < shards_.size(); }
  [[nodiscard]] const shard_descriptor& at(shard_id id) const { return shards_[id.value()].where; }
  [[nodiscard]] bool done(position p) const {
    return shards_[p.shard().value()].done.test(p.index());
  }
  /// A bug if the prompt is done already.
  void finish(position);
  [[nodiscard]] bool complete(shard_id id) const;
  /// Shards with prompts left, in order.
  [[nodiscard]] std::vector<shard_id> unfinished() const;
  [[nodiscard]] std::int64_t prompts() const { return prompts_; }
  [[nodiscard]] std::int64_t finished() const { return finished_; }

 private:
  struct entry {
    shard_descriptor where;
    shard_bits done;
  };
  std::vector<entry> shards_;
  std::int64_t prompts_ = 0, finished_ = 0;
};

/// At the start after a crash: every send that was open is in doubt. It is counted, charged its
/// worst case on its lane and ended; returns the changed records, to be made durable together with
/// the totals before anything is sent.
[[nodiscard]] std::vector<attempt_record> end_open_sends(std::vector<attempt_record>& records,
                                                         std::vector<named_totals>& totals);

}  // namespace spillway
