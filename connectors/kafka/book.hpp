// What one partition came to, as its log tells it: attempts, results, charges, commands,
// hand-overs.
#pragma once

#include "connectors/kafka/done_map.hpp"
#include "connectors/kafka/values.hpp"

#include <functional>
#include <map>
#include <set>
#include <unordered_map>

namespace spillway::kafka {

/// Counters of a job's lane that only the scheduler knows; the rest follows from the log.
struct job_lane {
  std::string job;
  named_totals lane;
};

/// Jobs of which something is kept, and since when: rows done on a day before may go. The earliest
/// time there is: all of it is kept. Jobs that are not in here need nothing any more.
using retention = std::map<std::string, time_point, std::less<>>;

/// What is deleted begins at the log's start and ends before these.
struct kept_offsets {
  std::int64_t results = 0, shards = 0;
};

/// Applying the same records again in the same order changes nothing. Money: a job's settled sum is
/// that of its finished results and of the charges of unfinished prompts, and so is the sum over
/// its lanes. Not thread-safe.
class book {
 public:
  struct attempt {
    fleet_attempt last;
    bool mine = false;  ///< written by the present owner
  };
  enum class counted { newly, already, superseded };

  void restore(const snapshot&);
  /// Offsets are left to the caller.
  [[nodiscard]] snapshot take() const;

  void set_attempt(const fleet_attempt&, bool mine);
  /// A committed result. `superseded`: by a retry; only its charge counts.
  counted finish(const result_facts&);
  /// Where a committed result stands, before it is counted.
  void locate(const result_facts&, std::int64_t offset);
  /// The lowest offsets that finished prompts of these jobs need; days that are over are forgotten.
  [[nodiscard]] kept_offsets kept(const retention&);
  void observe(const job_lane&);
  /// False when the command had been applied before.
  bool apply(const applied_note&);
  void hand_over(const std::string& session, const std::vector<fleet_attempt>& open);
  /// Nothing of it is waited for any more.
  void end_hand_over(const std::string& session) { hand_overs_.erase(session); }
  void end_hold(const place&);

  [[nodiscard]] std::uint32_t generation(const place&) const;
  /// An answer for it would be the first.
  [[nodiscard]] bool wants(const place&) const;
  [[nodiscard]] const attempt* find(const place&) const;
  [[nodiscard]] bool was_applied(const std::string& command) const {
    return applied_.contains(command);
  }
  /// What a retry of these codes (all if none) opens, with new generations.
  [[nodiscard]] std::vector<place> retried(const std::string& job,
                                           const std::vector<std::string>& codes) const;
  /// What an answer charges in all. If it is not of the last send, that one stays charged, too.
  [[nodiscard]] nano_usd charge_of(const result_facts&) const;
  /// A send that can't be waited for any more: it may have been billed.
  [[nodiscard]] static fleet_attempt in_doubt(fleet_attempt);

  [[nodiscard]] const std::unordered_map<place, attempt, place_hash>& attempts() const {
    return attempts_;
  }
  [[nodiscard]] const std::map<std::string, std::map<place, fleet_attempt>>& hand_overs() const {
    return hand_overs_;
  }
  [[nodiscard]] const std::unordered_map<place, std::uint32_t, place_hash>& generations() const {
    return generations_;
  }
  [[nodiscard]] const std::map<std::string, job_state>& jobs() const { return jobs_; }
  [[nodiscard]] done_map& done() { return done_; }
  [[nodiscard]] const done_map& done() const { return done_; }
  /// Its sums, charges, commands and failures; what is done stays done. Nothing changes, and false
  /// is returned, while a call of it may still be answered.
  bool forget_job(const std::string& job);
  void forget_below(std::int64_t shards_first);
  void cut(std::int64_t shards_end);
  /// Counts results anew: their log lost some. Attempts, commands and generations stay.
  void forget_results();

 private:
  struct delta {
    std::int64_t sends = 0, maybe_billed = 0;
    nano_usd charged;
  };
  job_state& job(const std::string& name);
  lane_totals& lane_of(job_state&, const std::string& pool, const std::string& lane,
                       const std::string& model);
  void add(lane_totals&, const delta&, time_point at);
  void drop_attempt(const place& prompt);
  void count(const result_facts&, bool superseded);

  std::unordered_map<place, attempt, place_hash> attempts_;
  std::unordered_map<place, std::uint32_t, place_hash> generations_;
  std::map<std::string, job_state> jobs_;
  std::set<std::string> applied_;
  std::map<std::string, std::map<place, fleet_attempt>> hand_overs_;
  done_map done_;
};

}  // namespace spillway::kafka
