// Carries the scheduler's decisions out: decodes answers, ticks, encodes requests, keeps the order
// "intent durable, then sent; result durable, then done". Driven step by step: no thread, no clock.
#pragma once

#include "connectors/log.hpp"
#include "orchestrator/core/quota_share.hpp"
#include "orchestrator/core/recent.hpp"
#include "orchestrator/core/scheduler.hpp"
#include "orchestrator/engine/audit_log.hpp"
#include "orchestrator/engine/class_directory.hpp"
#include "orchestrator/engine/events.hpp"
#include "orchestrator/engine/partition_work.hpp"
#include "orchestrator/engine/progress.hpp"
#include "orchestrator/runtime/stripes_parallel.hpp"
#include "workers/auth/authenticator.hpp"
#include "workers/provider.hpp"
#include "workers/transport/transport.hpp"

#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

namespace spillway {

/// Makes a pool's credentials.
using authenticator_factory =
    std::function<result<std::unique_ptr<authenticator>>(const pool_config&)>;

struct engine_setup {
  std::vector<pool_config> pools;
  /// What rows call a file; thread-safe.
  std::function<std::string(file_id)> file_name;
  std::uint64_t seed = 0;
  std::size_t window_bytes = 128u << 20;  ///< prompt bodies kept in memory, of all jobs
  /// A member of a fleet: only `drain` ends it, a partition whose log or input fails is dropped,
  /// jobs that can't go on are reported and tried for ever.
  bool endless = false;
  authenticator_factory authenticators{};  ///< empty: `make_authenticator`
};

/// A prompt as adapters see it; valid as long as the prompt.
[[nodiscard]] prompt_view view_of(const prompt&);

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

  /// Writes to it from now on; the jobs there are come first. Without one no audit is kept.
  void keep_audit(std::shared_ptr<audit_log>, time_point now);

  /// Adds a job or changes its policy. Before shards of it are read.
  void put_job(job_number, job_setup, time_point now);
  /// True for a job that has no prompt queued or under way and no open call.
  [[nodiscard]] bool idle(job_number) const;
  /// The job came to an end, and how ("finished"): its totals go to the audit log.
  void audit_end(job_number, std::string_view how, time_point now);
  /// Forgets an idle job.
  void drop_job(job_number);

  /// Takes a partition on: what its log held, and its part of the jobs' budgets. Not before the
  /// partition was `left` or dropped, and nothing of its former time may reach `step` any more.
  void attach(partition_id, partition_log&, recovered_log, time_point now);
  /// Nothing of it is sent until `resume`; its open calls go on. The log's `suspend` follows in the
  /// next step, behind the sends that are given back.
  void suspend(partition_id);
  void resume(partition_id);
  /// Nothing of any partition is sent while it is paused; logs are not told, and results go on.
  void pause(bool);
  /// Its waiting prompts are forgotten. Open calls end as always and are appended to its log, which
  /// is told by `leave` in the next step.
  void detach(partition_id);
  /// After `detach`: no call of it is open and everything appended is durable.
  [[nodiscard]] bool left(partition_id) const;
  /// Forgets it at once: its log takes nothing more.
  void drop(partition_id);
  /// Why it can take nothing more, if so: its log or its input failed.
  [[nodiscard]] std::optional<failure> failed(partition_id) const;
  /// Finished shards before this one need not be remembered.
  void forget_before(partition_id, shard_id);

  /// Divides the lanes' quotas by the partitions owned, and jobs' budgets by all partitions.
  void set_share(quota_share, time_point now);
  /// Takes other pools and lanes on. Lanes are known by pool and name: those that stay keep their
  /// state, those that are gone finish their calls through the transport they went to, which must
  /// live as long. Fails, changing nothing, when a credential can't be read.
  [[nodiscard]] result<void> reconfigure(std::vector<pool_config>,
                                         const std::vector<std::int64_t>& slots, transport&,
                                         time_point now);

  /// True while calls are open that went to this transport.
  [[nodiscard]] bool uses(const transport&) const;

  /// Takes events and acts. Returns when to step again at the latest.
  time_point step(time_point now, engine_events);

  /// Sends what waited for this commit, without a tick: between two steps.
  void release(partition_id, commit_seq durable);
  [[nodiscard]] commit_seq durable(partition_id) const;

  /// True once nothing more will happen: everything is durable, or a log is broken. Never without
  /// `drain` while a source is endless.
  [[nodiscard]] bool done() const;
  /// As if all jobs and partitions were one.
  [[nodiscard]] run_progress progress(time_point now) const;
  [[nodiscard]] std::vector<job_progress> jobs(time_point now) const;
  [[nodiscard]] std::vector<lane_progress> lanes(time_point now) const;

 private:
  struct pool_parts {
    pool_id id;
    std::shared_ptr<const provider> adapter;
    std::unique_ptr<authenticator> credentials;
    std::int64_t open = 0;               ///< calls
    bool former = false;                 ///< not configured any more: kept for its open calls
    std::uint64_t generation = 0;        ///< the newest credential seen
    bool starting = false;               ///< its first credential is under way
    std::optional<std::string> missing;  ///< what its lanes were told
    std::string unusable;                ///< why nothing is sent before `unusable_until`
    time_point unusable_until{};
    bool auth_down = false;  ///< the newest credential was refused
  };
  /// Where a lane's calls go.
  struct lane_route {
    pool_parts* pool = nullptr;  ///< null for a lane that is not configured any more
    std::size_t net = 0;         ///< index into nets_
    lane_id there;               ///< the transport's number of it
  };
  struct net_use {
    transport* net = nullptr;
    std::int64_t open = 0;  ///< calls
  };
  struct open_call {
    position where;
    pool_parts* pool = nullptr;
    std::size_t net = 0;
    lane_id lane;
    endpoint_kind endpoint{};
    prompt_features asked;
    std::uint64_t credential = 0;  ///< its generation
  };
  struct new_pools {
    std::vector<std::unique_ptr<pool_parts>> parts;
    std::vector<lane_setup> lanes;
    std::vector<lane_route> routes;  ///< in the order of `lanes`
  };
  struct stripes_adapter;

  explicit engine(time_point now);
  [[nodiscard]] result<new_pools> make_pools(const std::vector<pool_config>&,
                                             const std::vector<std::int64_t>& slots);
  void take_pools(new_pools&&, std::size_t net);

  // engine_partitions.cpp: what reaches and leaves a partition's log.
  [[nodiscard]] partition_work* find(partition_id) const;
  [[nodiscard]] partition_work* find(owner_id) const;
  void forget_left();
  void note_log(partition_events&, engine_events&);
  void note_broken(partition_work&, const failure&);
  void take_news(partition_work&, const log_news&, time_point now);
  void reopen(partition_work&, const reopened_prompt&, time_point now);
  void take_shard(partition_work&, parsed_shard&&, tick_events&, time_point now);
  void take_past(partition_work&, const shard_past&);
  void write_invalid(partition_work&, const invalid_line&, time_point now);
  void read_again(partition_work&, shard_id, reading);
  void request_shards(partition_work&);
  void commit(partition_work&);
  void note_suspects(partition_work&, bool all);
  void release_sends(partition_work&, std::vector<call_result>* unsent);
  template <class Use>
  void each_partition(Use use) const {
    for (const auto& [id, work] : partitions_) use(*work);
    for (const auto& work : leaving_) use(*work);
  }

  // engine_credentials.cpp: what becomes of pools whose credentials are missing or refused.
  time_point look_at_credentials(time_point now);
  void note_refused(const open_call&, outcome&, time_point now);
  void note_unusable(pool_parts&, std::string why, time_point now);
  void drop_former_pools();

  // engine_calls.cpp: calls on their way out and in, rows.
  std::vector<call_ended> decode(std::vector<call_result>&&, time_point now);
  void encode_sends(time_point now, const tick_actions&);
  void write_rows(std::vector<finish_action>&, time_point now);
  [[nodiscard]] std::string row_for(const finish_action&) const;
  [[nodiscard]] std::string row_for(const invalid_line&) const;
  [[nodiscard]] std::string job_name(job_number) const;

  // engine_audit.cpp
  void audit_job(job_number, time_point now);
  void audit_lane(lane_id, const lane_progress&, time_point now);

  void note_stop(const tick_actions&);
  void log_lane_changes(time_point now);
  [[nodiscard]] lane_progress describe(lane_id, time_point now) const;
  void add_retired(std::vector<lane_progress>&) const;

  engine_setup setup_;
  std::vector<std::unique_ptr<pool_parts>> pools_;  ///< former ones too: open calls need them
  std::size_t former_pools_ = 0;
  std::vector<std::string> pool_names_;  ///< by pool_id
  std::vector<lane_route> routes_;       ///< by lane_id
  std::vector<net_use> nets_;
  std::shared_ptr<class_directory> directory_;
  std::unique_ptr<scheduler> scheduler_;
  std::map<partition_id, std::unique_ptr<partition_work>> partitions_;
  std::vector<std::unique_ptr<partition_work>> leaving_;
  std::uint32_t next_owner_ = 0;

  shard_reader* reader_ = nullptr;
  parallel_runner* runner_ = nullptr;
  std::unique_ptr<stripes_adapter> stripes_;

  std::unordered_map<call_id, open_call> calls_;
  std::vector<call_result> given_back_;  ///< for the next step: sends of partitions dropped
  bool draining_ = false, aborting_ = false, done_ = false, paused_ = false;
  stop_cause stopped_ = stop_cause::none;
  std::string stop_reason_;
  std::optional<failure> broken_;

  time_point started_at_{};
  std::shared_ptr<audit_log> audit_;           ///< null: none is kept
  std::map<job_number, std::string> audited_;  ///< what was written of jobs last
  std::map<std::pair<job_number, std::string>, std::int64_t> refused_prompts_;  ///< by code
  std::vector<lane_health> logged_health_, audited_health_;
  time_point looked_at_{};
  recent_sum recent_answers_;
};

}  // namespace spillway
