// Carries the scheduler's decisions out: decodes answers, ticks, encodes requests, keeps the order
// "intent durable, then sent; result durable, then done". Driven step by step: no thread, no clock.
#pragma once

#include "connectors/log.hpp"
#include "orchestrator/core/ledger.hpp"
#include "orchestrator/core/recent.hpp"
#include "orchestrator/core/scheduler.hpp"
#include "orchestrator/engine/intake.hpp"
#include "orchestrator/engine/progress.hpp"
#include "orchestrator/runtime/stripes_parallel.hpp"
#include "workers/auth/authenticator.hpp"
#include "workers/provider.hpp"
#include "workers/transport/transport.hpp"

#include <deque>
#include <memory>
#include <unordered_map>

namespace spillway {

/// Asks for shards; what it reads comes back as `engine_events::shards`, in the order of the
/// requests of each kind.
class shard_reader {
 public:
  virtual ~shard_reader() = default;
  virtual void read_next() = 0;
  virtual void read_again(const shard_descriptor&) = 0;
};

/// What happened since the last step.
struct engine_events {
  std::vector<call_result> calls;
  std::vector<parsed_shard> shards;
  bool input_end = false;               ///< a `read_next` found nothing more
  std::optional<commit_seq> durable;    ///< all groups up to this one
  std::optional<failure> broken;        ///< the log failed: give up
  std::optional<failure> input_failed;  ///< let calls finish, then give up
  bool drain = false;                   ///< stop sending, let calls finish
  bool abort = false;                   ///< end calls now

  [[nodiscard]] bool empty() const {
    return calls.empty() && shards.empty() && !input_end && !durable && !broken && !input_failed &&
           !drain && !abort;
  }
};

struct engine_setup {
  run_config config;
  std::string job_name;
  std::vector<std::string> file_names;
  std::uint64_t seed = 0;
  std::size_t window_bytes = 128u << 20;
};

/// One job on one partition. Not thread-safe.
class engine {
 public:
  ~engine();
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;
  /// `slots[p]` is the number of connections of pool p. Fails when a credential can't be read.
  [[nodiscard]] static result<std::unique_ptr<engine>> make(engine_setup,
                                                            const std::vector<std::int64_t>& slots,
                                                            recovered_log, time_point now);

  /// The class lookup for an intake; thread-safe, valid as long as the engine.
  [[nodiscard]] class_lookup lookup() const;

  /// The parts it acts through; before the first step.
  void connect(partition_log&, transport&, shard_reader&, parallel_runner&);

  /// Takes events and acts. Returns when to step again at the latest.
  time_point step(time_point now, engine_events);

  /// Sends what waited for this commit, without a tick: between two steps.
  void release(commit_seq durable);
  [[nodiscard]] commit_seq durable() const { return durable_; }

  /// True once nothing more will happen: everything is durable, or the log is broken.
  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] run_progress progress(time_point now) const;

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
