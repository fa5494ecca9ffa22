// A member of the fleet as seen from outside, as one plain value: for /metrics, /status and
// /readyz. Counters count since this process started and never go down in it; sums over the members
// are the fleet's.
#pragma once

#include "orchestrator/engine/progress.hpp"
#include "schemas/ids.hpp"
#include "schemas/units.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace spillway::service {

enum class member_state { starting, running, draining, stopped };
[[nodiscard]] const char* name_of(member_state);

enum class partition_state {
  taking_over,  ///< fencing, reading, recovering
  active,
  blocked,    ///< owned, but the log takes no writes or the index has no room: nothing is sent
  suspended,  ///< a rebalance is under way: nothing is sent
  leaving,    ///< given up; open calls end here
};
[[nodiscard]] const char* name_of(partition_state);

struct partition_metrics {
  partition_id partition;
  partition_state state = partition_state::taking_over;
  std::string reason;                       ///< for anything but `active`: one line
  std::int64_t lag_records = 0;             ///< records on `shards` not read yet
  std::optional<std::int64_t> lag_prompts;  ///< of submitted jobs in them, as the manifests say
  std::int64_t unfinished = 0;              ///< prompts read, without a durable result
  std::int64_t readback_records = 0;        ///< results committed, not read back yet
  std::int64_t readback_bytes = 0;          ///< of them
  duration readback_lag{};                  ///< how long they have waited and none was
};

struct lane_metrics {
  lane_progress now;                  ///< `now.totals` of this process alone: see lane_meter.hpp
  std::optional<double> quota_share;  ///< part of the lane's quota that this member may use, 0 to 1
};

/// One job on the partitions this member owns. Not counters: they move with the partitions.
struct job_metrics {
  std::string name, tenant;
  std::string condition;  ///< name_of(job_condition)
  std::string reason;     ///< one line
  bool finished = false;  ///< on all partitions of this member
  std::int64_t prompts = 0, answered = 0, errors = 0;
  std::int64_t invalid = 0;  ///< of the errors: never sendable
  std::int64_t in_flight = 0, in_doubt = 0;
  nano_usd settled, reserved;
  std::optional<nano_usd> budget;  ///< the part that belongs to these partitions
};

/// What the owners of all partitions did.
struct log_metrics {
  std::int64_t takeovers = 0;  ///< completed
  std::int64_t transactions_begun = 0, transactions_committed = 0;
  std::int64_t transactions_ambiguous = 0;  ///< ended with an unknown outcome
  std::int64_t fences = 0;                  ///< times a newer owner took a partition from us
  std::int64_t reopenings = 0;              ///< producers replaced while the partition stayed ours
  std::int64_t snapshots = 0;               ///< written to the journal
  std::int64_t intents = 0, results = 0;    ///< acknowledged by the broker
  std::int64_t salvaged = 0;                ///< paid answers found in aborted transactions
  std::int64_t late_sent = 0, late_received = 0;     ///< answers of calls that outlived a hand-over
  std::int64_t quarantined = 0;                      ///< prompts given up after three owner deaths
  std::map<std::string, std::int64_t> dead_letters;  ///< by code
  std::map<std::string, std::int64_t> broker_errors;  ///< by kind
};

/// The local index.
struct index_metrics {
  std::int64_t disk_bytes = 0;
  std::int64_t keys = 0;  ///< estimate
  std::int64_t memtable_bytes = 0;
  bool writable = true;
  std::map<std::string, std::int64_t> rebuilds;  ///< by cause: "stale", "corrupt"
};

struct config_metrics {
  std::int64_t reloads_ok = 0, reloads_failed = 0;
  time_point last_success{};  ///< when the configuration in force was accepted
};

struct member_metrics {
  std::string fleet, member;  ///< names; `member` is the group instance id
  member_state state = member_state::starting;
  std::string reason;  ///< for draining and stopped: why
  bool in_group = false;
  std::int64_t rebalances = 0;
  std::int64_t fleet_partitions = 0;
  std::vector<partition_metrics> partitions;  ///< assigned ones and those being left
  std::int64_t queued = 0;                    ///< prompts that could be sent, waiting for a permit
  std::int64_t in_flight = 0;                 ///< calls on the wire
  std::vector<lane_metrics> lanes;
  std::vector<job_metrics> jobs;  ///< oldest first; finished ones may be left out
  log_metrics log;
  std::optional<index_metrics> index;
  config_metrics config;
};

}  // namespace spillway::service
