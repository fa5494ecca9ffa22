// Carries the scheduler's decisions out: decodes answers, ticks, encodes requests, keeps the order
// "intent durable, then sent; result durable, then done". Driven step by step: no thread, no clock.
#pragma once

#include "connectors/log.hpp"
#include "orchestrator/core/ledger.hpp"
#include "orchestrator/core/quota_share.hpp"
#include "orchestrator/core/recent.hpp"
#include "orchestrator/core/scheduler.hpp"
#include "orchestrator/engine/events.hpp"
#include "orchestrator/engine/progress.hpp"
#include "orchestrator/runtime/stripes_parallel.hpp"
#include "workers/auth/authenticator.hpp"
#include "workers/provider.hpp"
#include "workers/transport/transport.hpp"

#include <deque>
#include <memory>
#include <unordered_map>

namespace spillway {

struct engine_setup {
  std::vector<pool_config> pools;
  /// What rows call a file; thread-safe.
  std::function<std::string(file_id)> file_name;
  std::uint64_t seed = 0;
  std::size_t window_bytes = 128u << 20;  ///< prompt bodies kept in memory, of all jobs
};

/// All jobs on all partitions of a process. Not thread-safe.
class engine {
 public:
  ~engine();
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;
  /// `slots[p]` is the number of connections of pool p. Fails when a credential can't be read.
  [[nodiscard]] static result<std::unique_ptr<engine>> make(engine_setup,
                                                            const std::vector<std::int64_t>& slots,
                                                            time_point now);

  /// The class lookups of jobs, for an intake; thread-safe, valid as long as the engine.
  [[nodiscard]] job_lookup lookup() const;

  /// The parts it acts through; before the first step.
  void connect(transport&, shard_reader&, parallel_runner&);

  /// Adds a job or changes its policy. Before shards of it are read.
  void put_job(job_number, job_setup, time_point now);
  /// Forgets a job that has no unfinished prompt and no open call.
  void drop_job(job_number);

  /// Takes a partition on: what its log held, and its part of the jobs' budgets.
  void attach(partition_id, partition_log&, recovered_log, time_point now);
  /// Nothing of it is sent until `resume`; its open calls go on.
  void suspend(partition_id);
  void resume(partition_id);
  /// Its waiting prompts are forgotten. Open calls end as always and are appended to its log.
  void detach(partition_id);
  /// After `detach`: no call of it is open and everything appended is durable.
  [[nodiscard]] bool left(partition_id) const;
  /// Forgets it at once: its log takes nothing more.
  void drop(partition_id);

  /// Divides the lanes' quotas by the partitions owned, and jobs' budgets by all partitions.
  void set_share(quota_share, time_point now);
  /// Takes other pools and lanes on. Lanes are known by pool and name: those that stay keep their
  /// state, those that are gone finish their calls through the transport they went to, which must
  /// live as long. Fails, changing nothing, when a credential can't be read.
  [[nodiscard]] result<void> reconfigure(std::vector<pool_config>,
                                         const std::vector<std::int64_t>& slots, transport&,
                                         time_point now);

  /// Takes events and acts. Returns when to step again at the latest.
  time_point step(time_point now, engine_events);

  /// Sends what waited for this commit, without a tick: between two steps.
  void release(partition_id, commit_seq durable, time_point now);
  [[nodiscard]] commit_seq durable(partition_id) const;

  /// True once nothing more will happen: everything is durable, or a log is broken. Never without
  /// `drain` while a source is endless.
  [[nodiscard]] bool done() const;
  /// As if all jobs and partitions were one.
  [[nodiscard]] run_progress progress(time_point now) const;
  [[nodiscard]] std::vector<job_progress> jobs(time_point now) const;
  [[nodiscard]] std::vector<lane_progress> lanes(time_point now) const;

 private:
  struct open_call {
    position where;
    lane_id lane;
    endpoint_kind endpoint;
  };
  struct waiting_send {
    commit_seq intent;
    lane_id lane;
    outgoing_call call;
  };
  struct pool_parts {
    std::unique_ptr<provider> adapter;
    std::unique_ptr<authenticator> credentials;
  };
  struct stripes_adapter;

  explicit engine(time_point now);
  std::vector<call_result> release_sends();
  std::vector<call_ended> decode(std::vector<call_result>&&);
  void take_shard(parsed_shard&&, tick_events&, commit_group&);
  void request_shards();
  void encode_sends(time_point now, const tick_actions&, commit_group&, std::vector<waiting_send>&);
  void write_rows(std::vector<finish_action>&, commit_group&);
  [[nodiscard]] std::string row_for(const finish_action&) const;
  [[nodiscard]] std::string row_for(const invalid_line&) const;
  void commit(commit_group&&, std::vector<waiting_send>&&);
  void note_stop(const tick_actions&);
  void log_lane_changes(time_point now);
  [[nodiscard]] std::vector<named_totals> totals() const;
  [[nodiscard]] lane_progress describe(lane_id, time_point now) const;

  engine_setup setup_;
  std::vector<pool_parts> pools_;
  std::unique_ptr<scheduler> scheduler_;
  ledger ledger_;
  std::vector<named_totals> retired_;  ///< of lanes that are no longer configured
  commit_group first_group_;           ///< what recovery changed; goes out with the first commit

  partition_log* log_ = nullptr;
  transport* net_ = nullptr;
  shard_reader* reader_ = nullptr;
  parallel_runner* runner_ = nullptr;
  std::unique_ptr<stripes_adapter> stripes_;

  std::unordered_map<call_id, open_call> calls_;
  std::deque<waiting_send> waiting_sends_;
  commit_seq next_commit_{1}, durable_{0};
  std::deque<shard_id> unclassified_;  ///< known unfinished shards whose prompts are not queued yet
  std::vector<bool> classified_;
  std::size_t first_readings_out_ = 0;
  bool next_out_ = false;  ///< the next new shard was asked for; one at a time keeps the order
  bool input_read_ = false, draining_ = false, aborting_ = false, done_ = false;
  stop_cause stopped_ = stop_cause::none;
  std::string stop_reason_;
  std::optional<failure> broken_;

  time_point started_at_{};
  std::int64_t answered_ = 0, errors_ = 0, invalid_ = 0, resumed_ = 0, in_doubt_at_start_ = 0;
  std::int64_t adopted_ = 0;
  std::uint64_t input_bytes_ = 0, indexed_bytes_ = 0;
  std::vector<lane_health> logged_health_;
  time_point looked_at_{};
  recent_sum recent_answers_;
};

}  // namespace spillway
