// A member of a fleet: owns the partitions that the group gives it and works off their jobs.
#pragma once

#include "connectors/kafka/kafka_log.hpp"
#include "connectors/kafka/settings.hpp"
#include "orchestrator/engine/progress.hpp"
#include "orchestrator/engine/stop_flag.hpp"
#include "orchestrator/runtime/time_source.hpp"
#include "schemas/job.hpp"
#include "schemas/result.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace spillway {

struct member_request {
  fleet_config config;
  kafka::kafka_settings kafka;
  std::string id;          ///< in the group: static membership
  std::string state;       ///< folder of the local index
  unsigned threads = 0;    ///< 0: by the machine's cores
  std::uint64_t seed = 0;  ///< of the retry jitter; 0: random
  std::size_t line_bytes_max = 16u << 20;
};

enum class partition_phase { taking_over, active, suspended, leaving };

struct partition_view {
  partition_id id;
  partition_phase phase = partition_phase::taking_over;
  std::string reason;  ///< what it waits for, if it should not
  kafka::kafka_log_view log;
  std::int64_t unread_prompts = 0;  ///< of submitted jobs, in records that were not read yet
};

struct member_job_view {
  kafka::progress_record progress;  ///< of one partition, with condition and reason
  job_number number;
  std::vector<named_totals> found;  ///< lanes as they were when the partition was taken over
  std::string tenant;
  std::optional<nano_usd> budget;  ///< the partition's part
  bool finished = false;
};

/// A member as it stands. Counters count since this process started.
struct member_view {
  bool draining = false;
  bool in_group = false;
  std::string trouble;  ///< of the group or of the topic jobs; empty: none
  std::int64_t rebalances = 0, takeovers = 0, reloads_ok = 0, reloads_failed = 0;
  time_point configured_at{};
  std::uint32_t fleet_partitions = 0, owned = 0;
  std::vector<partition_view> partitions;
  std::vector<member_job_view> jobs;
  std::vector<lane_progress> lanes;
  kafka::kafka_log_counts past;  ///< of logs that are closed
  kafka::client_counts clients;
  std::int64_t in_flight = 0, queued = 0;
  bool index_full = false;
  std::int64_t index_rebuilds = 0;
  std::int64_t index_bytes = 0;  ///< of its files
  index_usage index;
  std::string index_folder;
};

struct member_callbacks {
  std::function<void(time_point)> beat;             ///< on each turn of the engine's loop
  std::function<void(const member_view&)> publish;  ///< about once a second, from the same thread
};

/// All methods are called from one thread.
class member {
 public:
  /// Checks topics, credentials, folder; joins the group. Fails with what has to be put right.
  [[nodiscard]] static result<std::unique_ptr<member>> start(member_request, const time_source&,
                                                             member_callbacks);
  virtual ~member() = default;

  /// Works until it was asked to stop and has drained (`stop` 1: calls may finish, up to the drain
  /// timeout; 2: at once), or can't go on. Calls `each_look` about twenty times a second.
  [[nodiscard]] virtual result<void> run(const stop_flag& stop,
                                         const std::function<void()>& each_look) = 0;
  /// Takes another configuration on, whole or not at all; no call is lost. Between looks. One that
  /// could not be read counts as refused. Returns the changed keys that only a restart brings into
  /// force.
  [[nodiscard]] virtual result<std::vector<std::string>> reload(result<fleet_config>) = 0;
};

}  // namespace spillway
