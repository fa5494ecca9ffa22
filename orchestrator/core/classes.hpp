// What waits to be sent: jobs, their classes, and of each class a queue a partition. Prompts are
// kept as ranges of positions; bodies only for the next few.
#pragma once

#include "orchestrator/core/account.hpp"
#include "orchestrator/core/job.hpp"
#include "orchestrator/core/lane_shares.hpp"
#include "schemas/attempt.hpp"
#include "schemas/prompt.hpp"

#include <bitset>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace spillway {

/// Names one time that a partition was attached: an earlier owner's calls may still be open.
using owner_id = strong_id<struct owner_tag, std::uint32_t>;

/// A prompt that was in flight when so many of its owners died is sent alone.
inline constexpr std::uint32_t suspect_deaths = 2;

/// A run of neighbouring positions of one class within a shard.
struct index_range {
  std::uint16_t first = 0, count = 0;
};

/// The prompts of one class in one shard whose bodies are not in memory.
struct shard_slice {
  shard_id shard;
  std::uint32_t bytes = 0;  ///< of their lines, so that loading can be planned
  std::vector<index_range> ranges;
};

struct job_state;
struct class_state;
struct partition_state;

/// What a class has waiting in one partition.
struct work_queue {
  class_state* cls = nullptr;
  partition_state* home = nullptr;
  account* books = nullptr;
  std::deque<shard_slice> unloaded;  ///< in reading order
  std::size_t loaded_bytes = 0;
  std::size_t requested_bytes = 0;                    ///< of slices asked for and not yet here
  std::size_t requested = 0;                          ///< the first so many of `unloaded`
  std::deque<prompt> fresh;                           ///< loaded, in reading order
  std::deque<prompt> suspects;                        ///< loaded; sent one at a time
  std::set<std::pair<time_point, position>> waiting;  ///< (ready at, where) of retries
  std::size_t listed = SIZE_MAX;                      ///< index in the list of all with work
  bool touched = false;                               ///< its work may have changed
  bool too_dear = false;  ///< its next prompt did not fit the budget when it was tried last

  // Of one tick.
  std::uint64_t tick = 0;       ///< the tick the rest is about
  bool closed = false;          ///< nothing more to be had in it
  bool more_ready = false;      ///< retries that are looked at in the next tick
  bool probes_only = false;     ///< no lane works: whatever goes is a probe
  std::vector<position> ready;  ///< waiting prompts whose time has come, in order
  std::size_t next_ready = 0;

  [[nodiscard]] bool has_work() const {
    return !fresh.empty() || !unloaded.empty() || !waiting.empty() || !suspects.empty();
  }
  [[nodiscard]] std::size_t resident() const { return loaded_bytes + requested_bytes; }
};

/// A job's prompts of one model and endpoint that the same lanes can take.
struct class_state {
  job_state* job = nullptr;
  class_id id;
  prompt_features features;  ///< what they may ask for at most
  prompt_features asked;     ///< what some of them did ask for
  std::string model;
  std::string embedding_model;           ///< of embeddings: that of the first lane, for good
  std::int64_t prompts = 0;              ///< queued so far
  std::vector<lane_id> ranked;           ///< that may take them, best first
  lane_shares shares;                    ///< of order `weights`: those with a weight
  std::optional<time_point> down_since;  ///< all its lanes are; none of them took a prompt since
  double input_mean = 500, output_mean = 200;
  std::map<owner_id, std::unique_ptr<work_queue>> queues;
  std::vector<work_queue*> work;  ///< those that have some and may send
  std::size_t turn = 0;           ///< rotates, so that partitions share evenly
  std::uint64_t closed_at = 0;    ///< tick in which nothing more was to be had
};

struct job_state {
  job_number id;
  job_setup setup;
  /// By class_id and features; made as they appear.
  std::map<std::pair<class_id, prompt_features>, std::unique_ptr<class_state>> classes;
  std::vector<class_state*> work;  ///< those with work
  std::size_t turn = 0;            ///< rotates, so that classes share evenly
  std::int64_t served = 0;         ///< tokens by weight, fixed point: whoever has less goes first
  std::size_t active_bytes = 0;    ///< of started prompts
  std::int64_t open = 0;           ///< calls
  std::bitset<200> last_failed;
  std::size_t finals = 0;
  bool tripped = false;  ///< too many errors
  job_condition condition = job_condition::running;

  // Of the last tick that tried it.
  bool progress = true;       ///< some prompt may still go, now or later
  bool money_short = false;   ///< some worst case does not fit the budget
  bool day_short = false;     ///< … or is more than a lane may spend in a whole day
  std::string stalled_model;  ///< its lanes were down for stall_timeout

  [[nodiscard]] bool may_send() const { return !setup.paused && !setup.cancelled && !tripped; }
};

struct partition_state {
  partition_id id;
  owner_id owner;
  bool suspended = false;
  bool gone = false;  ///< detached: only open calls are left
  std::unordered_map<std::uint32_t, attempt_record> history;  ///< by local position
  std::unordered_set<std::uint32_t> held;      ///< may still be answered by a former owner's call
  std::unordered_set<std::uint32_t> insisted;  ///< to be sent although in doubt
  std::map<job_number, account> books;
  std::vector<work_queue*> queues;
  std::deque<work_queue*> loads;  ///< that asked for a shard, in order
  std::vector<lane_totals> day;   ///< by lane: the day's use; only the day fields count
  std::int64_t open = 0;
};

}  // namespace spillway
