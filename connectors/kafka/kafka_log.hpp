// A partition of the fleet's log behind the engine's seam.
#pragma once

#include "connectors/kafka/fleet_clients.hpp"
#include "connectors/kafka/fleet_records.hpp"
#include "connectors/kafka/member_index.hpp"
#include "connectors/kafka/owner.hpp"
#include "connectors/kafka/shard_intake.hpp"
#include "connectors/log.hpp"
#include "orchestrator/runtime/time_source.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace spillway::kafka {

/// What a partition's log tells others; from its own threads, quickly, never calling back into it.
struct kafka_log_callbacks {
  durable_sink durable;  ///< `stopped` when another owner has the partition, or it is broken
  std::function<void(log_news)> news;
  std::function<void()> shards_ready;
  /// Asks to be told (by `jobs_confirmed`) once all that is on `jobs` now was applied.
  std::function<void(std::uint64_t question)> confirm_jobs;
  std::function<file_id(std::string_view)> intern;
  job_lookup jobs;
  /// What is kept of which job, by all that was read of `jobs`.
  std::function<retention()> kept;
};

struct kafka_log_options {
  partition_id partition;
  std::string session;  ///< unique: new with every take-over
  std::string fleet_uuid;
  std::string member;
  std::string shards_name;  ///< of the topic, for rows
  std::string producer;     ///< the transactional id, for messages
  owner_limits limits;
  intake_limits intake;
};

/// What a partition's log did since it was made.
struct kafka_log_counts {
  owner_counters owner;
  std::int64_t intents = 0;                  ///< stored
  std::int64_t quarantined = 0;              ///< prompts that were given up
  std::map<std::string, std::int64_t> dead;  ///< dead letters stored, by code

  void add(const kafka_log_counts&);
};

/// How a partition stands, for status and metrics.
struct kafka_log_view {
  owner_state state = owner_state::opening;
  std::string message;
  kafka_log_counts counts;
  std::int64_t read_to = 0;  ///< shards below this offset were read
  std::int64_t end = 0;      ///< of shards, as far as the broker told
  std::int64_t watermark = 0;
  std::int64_t done_to = 0;           ///< nothing below it is left to do; markers are nothing
  unread_answers unread;              ///< committed and not read back
  duration unread_for{};              ///< since when none of them was
  std::vector<progress_record> jobs;  ///< what only the engine knows is missing in them
  /// Lanes' totals by job as they were taken over.
  std::map<std::string, std::vector<named_totals>> found;
};

/// Runs the partition's owner on a thread of its own. `take_over` waits until it is recovered.
class kafka_log : public partition_log {
 public:
  [[nodiscard]] static std::unique_ptr<kafka_log> make(kafka_log_options, kafka_log_callbacks,
                                                       fleet_clients&, member_index&,
                                                       const time_source&);

  /// Does the group still give the partition to this member? Thread-safe, as all that follows.
  virtual void set_assigned(bool) = 0;
  /// After `suspend`: waits until the hand-over is stored. False when it took too long.
  [[nodiscard]] virtual bool wait_handed_over(duration patience) = 0;
  /// Ends a wait in `take_over`, which then fails.
  virtual void give_up() = 0;
  virtual void jobs_changed(std::int64_t jobs_read_to, std::vector<owner_command>) = 0;
  virtual void jobs_confirmed(std::uint64_t question) = 0;
  /// The job is gone from `jobs`: its sums go, too. To be called before another job has its name.
  virtual void forget_job(const std::string& job) = 0;
  [[nodiscard]] virtual kafka_log_view view() const = 0;
};

}  // namespace spillway::kafka
