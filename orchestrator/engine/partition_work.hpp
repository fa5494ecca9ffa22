// What the engine keeps of a partition it has taken on.
#pragma once

#include "connectors/log.hpp"
#include "orchestrator/core/ledger.hpp"
#include "orchestrator/core/scheduler.hpp"
#include "workers/transport/transport.hpp"

#include <deque>
#include <map>
#include <optional>

namespace spillway {

struct waiting_send {
  commit_seq intent;
  std::size_t net = 0;  ///< the transport, and its number of the lane
  lane_id there;
  outgoing_call call;
};

struct job_counts {
  std::int64_t prompts = 0, answered = 0, errors = 0, invalid = 0;
};

struct partition_work {
  partition_id id;
  owner_id owner;
  partition_log* log = nullptr;
  ledger done;
  std::map<job_number, job_counts> counts;

  commit_group group;    ///< of the step under way
  bool changed = false;  ///< the group, or totals, are to be committed
  commit_seq next_commit{1}, durable{0};
  std::size_t suspects_ended = 0;                           ///< in the group under way
  std::deque<std::pair<commit_seq, std::size_t>> suspects;  ///< … and in those appended
  std::deque<waiting_send> waiting_sends;

  std::deque<shard_id> unqueued;  ///< known unfinished shards whose prompts are not queued yet
  std::deque<std::pair<shard_id, reading>> asked_again;  ///< of the reader, in order
  std::deque<shard_id> loads;               ///< of a cancelled job, while the log is behind
  std::map<shard_id, shard_bits> reopened;  ///< asked for, to be queued again
  std::size_t first_readings_out = 0;
  bool next_out = false;  ///< the next new shard was asked for; one at a time keeps the order
  bool input_read = false;
  bool suspended = false, leaving = false;
  bool tell_suspended = false, tell_left = false;  ///< the log, once the step's group is appended
  std::optional<failure> failed;                   ///< its log or its input

  std::int64_t resumed = 0, in_doubt_at_start = 0, adopted = 0;
  std::uint64_t input_bytes = 0, indexed_bytes = 0;

  [[nodiscard]] std::uint64_t commits_open() const {
    return next_commit.value() - 1 - durable.value();
  }
  [[nodiscard]] bool all_queued() const {
    return input_read && unqueued.empty() && first_readings_out == 0 && reopened.empty();
  }
};

}  // namespace spillway
