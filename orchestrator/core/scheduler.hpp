// The heart: one tick takes what happened and says what to do. No clock, no I/O, no threads of its
// own; the same events in the same order give the same actions for any number of threads.
#pragma once

#include "orchestrator/core/classes.hpp"
#include "orchestrator/core/lane.hpp"
#include "orchestrator/core/quota_share.hpp"
#include "orchestrator/core/routes.hpp"
#include "orchestrator/core/stripes.hpp"
#include "schemas/attempt.hpp"
#include "schemas/config.hpp"
#include "schemas/outcome.hpp"
#include "schemas/prompt.hpp"

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace spillway {

/// A prompt between its first permit and its result.
struct active_prompt {
  prompt what;
  lane_id lane;           ///< of the open or last send
  call_id call;           ///< of the open send
  time_point ready_at{};  ///< between two sends: not before
  bool open = false;      ///< a permit is taken and the call has not ended
  bool settled = false;   ///< finished elsewhere meanwhile: the open call only costs
  bool probe = false;     ///< the open call was let through to try a failing lane
  std::uint32_t sends = 0, attempts = 0, maybe_billed = 0, deaths = 0;
  std::uint32_t excused = 0;             ///< failed probes that did not count as attempts
  lane_id failed_on = no_lane;           ///< the lane that failed it last, …
  std::uint64_t failed_after = 0;        ///< … after so many answers
  bool fails_alone = false;              ///< a lane failed it, answered others and failed it again
  nano_usd charged;                      ///< for ended sends, in doubt or failed after being billed
  call_cost cost;                        ///< of the open send
  std::vector<lane_id> unfit;            ///< lanes that can't serve this prompt
  std::vector<lane_id> tried_once;       ///< lanes that had their one more try
  std::optional<time_point> down_since;  ///< all its other lanes are
  std::string error_code, error_message;  ///< of the last ended send
  work_queue* queue = nullptr;            ///< where it came from

  [[nodiscard]] std::uint32_t failures() const { return attempts + excused; }
  [[nodiscard]] prompt_size size() const { return size_of(what); }
};

struct call_ended {
  position where;
  call_id call;
  spillway::outcome outcome;
  time_point sent_at{}, done_at{};
  std::string told{};  ///< of a failure: see `lane::end_call`
};

/// Why a shard was read.
enum class reading {
  first,     ///< its prompts are not queued yet
  load,      ///< it was asked for by `tick_actions::load`
  reopened,  ///< some of its prompts, to be queued again
};

/// A shard's prompts, read and parsed.
struct shard_loaded {
  shard_id shard;
  reading why = reading::load;
  std::vector<prompt> prompts;  ///< sendable and not done, in order; of one job
  partition_id partition;
};

struct tick_events {
  std::vector<call_ended> calls;
  std::vector<shard_loaded> shards;
  bool input_read = false;  ///< no further first readings will come, of any partition
  bool drain = false;       ///< send nothing more
};

/// A send to prepare: its intent must be durable before it goes out. The pointer is valid until
/// the next tick.
struct send_action {
  const active_prompt* prompt = nullptr;
  call_id call;
};

/// A prompt's end: its result or error row is to be written.
struct finish_action {
  active_prompt prompt;
  spillway::outcome outcome;  ///< kind answered, or what made it fail for good
  nano_usd cost;              ///< all it was charged
  time_point sent_at{}, done_at{};
  owner_id owner;
};

/// A send that ended without a result; the prompt goes on later.
struct ended_send : attempt_record {
  owner_id owner;
};

struct shard_place {
  partition_id partition;
  shard_id shard;
};

enum class stop_cause { none, finished, budget, error_rate, stalled, drained };

struct tick_actions {
  std::vector<send_action> sends;
  std::vector<finish_action> finishes;
  std::vector<ended_send> ended;
  std::vector<owner_id> charged;  ///< their totals changed without any of the above
  /// Suspects' sends ended: `suspect_recorded` once that is durable.
  std::vector<owner_id> suspects;
  std::vector<shard_place> load;       ///< shards to read again
  stop_cause stop = stop_cause::none;  ///< nothing is in flight any more and nothing will be sent
  std::string stop_reason;
  time_point wake = time_never;  ///< call again by then, even without events
};

struct scheduler_settings {
  std::uint64_t seed = 0;
  std::size_t window_bytes = 128u << 20;  ///< prompt bodies kept in memory
  /// A job that can't go on stops the process; else its lanes are probed for ever.
  bool gives_up = true;
  /// What a prompt asks of a lane: for prompts in memory when lanes change. Empty: everything.
  std::function<prompt_features(const prompt&)> features_of{};
};

/// Finished without a send of ours: what a former owner's call came to.
struct settled_send {
  position where;
  job_number job;
  bool answered = true;
  nano_usd charged;  ///< all the prompt was charged
  std::string pool, lane;
  token_usage usage;
};

struct scheduler_counts {
  std::int64_t in_flight = 0;  ///< permits taken, call not ended
  std::int64_t waiting = 0;    ///< between two sends
};

/// Where a job stands, and why.
struct job_standing {
  job_condition condition = job_condition::running;
  std::string reason;  ///< empty while it runs
};

class scheduler {
 public:
  /// `lanes` get lane_ids in their order.
  scheduler(scheduler_settings, std::vector<lane_setup> lanes, time_point now);
  ~scheduler();

  // Jobs, lanes and partitions come and go between ticks.

  void put_job(job_number, job_setup);
  /// True for a job without queued, waiting or open prompts.
  [[nodiscard]] bool idle(job_number) const;
  /// An idle job.
  void drop_job(job_number);
  /// Lanes are known by pool and name. Those that stay keep their id and state; those that are
  /// gone take nothing more.
  void set_lanes(std::vector<lane_setup>, time_point now);
  void set_share(quota_share, time_point now);
  /// `history` are the last records of unfinished prompts, those `in_flight` being held: not sent
  /// before they are reopened.
  void attach(partition_id, owner_id, std::span<const job_totals>,
              std::span<const attempt_record> history, std::span<const position> held);
  /// The last record of a prompt whose shard is about to be queued. A held one's reservation was
  /// made by `reserve`.
  void remember(const attempt_record&, bool held);
  void reserve(partition_id, job_number, nano_usd);
  void suspend(partition_id);
  void resume(partition_id);
  /// Forgets what waits; open calls end with actions of the old owner.
  void detach(partition_id);
  /// After `detach`: no action of it will come, open calls only give back their permits.
  void forget(owner_id);
  [[nodiscard]] std::int64_t open_calls(owner_id) const;
  /// The totals of these records' lanes are part of the next `take_changed_totals`.
  void note_changed(owner_id, std::span<const attempt_record>);

  /// What an ended send of a suspect came to can't be lost any more: the next suspect may go. Till
  /// then a death would be held against both.
  void suspect_recorded() { --suspects_open_; }

  /// Nothing can be sent through the pool's lanes for want of a credential, and why; nothing when
  /// there is one.
  void hold_pool(pool_id, const std::optional<std::string>& why, time_point now);
  /// The pool has another credential: lanes that were stopped for the former one are probed.
  void retry_auth(pool_id, time_point now);

  /// The prompt is done; an open call of its own only costs.
  void settle(const settled_send&, time_point now);
  /// To be sent after all, from this record on; its body comes as `reading::reopened`, or with the
  /// first reading of its shard. In doubt, the record's reservation becomes a charge; returns the
  /// record as it stands then.
  attempt_record reopen(attempt_record, bool in_doubt, time_point now);

  /// The class of a job's prompts with this model and endpoint; none when no lane may take them.
  [[nodiscard]] std::optional<class_id> class_for(job_number, std::string_view model,
                                                  endpoint_kind) const;
  /// True if some lane offers the model, whatever its residency.
  [[nodiscard]] bool offers(std::string_view model) const;
  /// All models that lanes offer.
  [[nodiscard]] std::vector<std::string> models() const;
  /// The lanes that offer a model.
  [[nodiscard]] std::vector<lane_id> lanes_of(std::string_view model) const;
  /// The lanes that prompts of the job, as far as they were read, could not use.
  [[nodiscard]] std::vector<refused_route> refused_routes(job_number) const;

  [[nodiscard]] tick_actions tick(time_point now, tick_events, stripe_runner&);

  [[nodiscard]] const lane& lane_at(lane_id id) const { return *lanes_[id.value()].state; }
  /// False for a lane that is not configured any more.
  [[nodiscard]] bool configured(lane_id id) const { return !lanes_[id.value()].gone; }
  [[nodiscard]] std::size_t lane_count() const { return lanes_.size(); }
  [[nodiscard]] std::optional<lane_id> find_lane(std::string_view pool,
                                                 std::string_view lane) const;
  /// The prompt of an open call; null once its partition was forgotten. Valid until the next tick.
  [[nodiscard]] const prompt* prompt_of(position, call_id) const;
  /// A job's books on a partition; null before anything happened there.
  [[nodiscard]] const account* books(owner_id, job_number) const;
  /// Totals of the partition that changed since they were last asked for.
  void take_changed_totals(owner_id, std::vector<job_totals>& out);
  [[nodiscard]] job_standing standing(job_number) const;
  [[nodiscard]] const job_setup* job(job_number) const;
  [[nodiscard]] std::vector<job_number> jobs() const;
  /// True for a prompt that may still be answered by a former owner's call.
  [[nodiscard]] bool held(position) const;
  [[nodiscard]] scheduler_counts counts() const;
  /// What earlier owners left of a prompt that is unfinished; null for one without a past.
  [[nodiscard]] const attempt_record* history_of(position) const;
  /// The ledger's record of a prompt as it stands.
  [[nodiscard]] attempt_record record_of(const active_prompt&, time_point now) const;

 private:
  static void remember(partition_state&, const attempt_record&);
  struct stripe {
    std::unordered_map<position, active_prompt> active;
    std::vector<std::size_t> todo;  ///< of this phase: indices of its events or grants
    std::vector<finish_action> finishes;
    std::vector<ended_send> ended;
    std::vector<active_prompt*> to_waiting;
  };
  struct lane_entry {
    std::unique_ptr<lane> state;
    bool gone = false;
    job_state* wanted_by = nullptr;  ///< of this tick: the first in turn that it has no permit for
    std::uint64_t answers = 0;
    // Since its last answer, of prompts that don't fail alone:
    std::optional<position> failed_for;
    bool failed_several = false;  ///< not only that prompt
  };
  struct late_call {
    active_prompt prompt;
    partition_state* home = nullptr;  ///< null: nobody waits for it
  };
  struct grant {
    position where;
    bool fresh = false;
    lane_id lane;
    call_cost cost;
    call_id call;
    bool probe = false;
    prompt what;  ///< of a fresh one
    work_queue* queue = nullptr;
  };
  enum class choice { granted, blocked, too_dear };

  // scheduler_classes.cpp: who may take which prompts, in which order.
  [[nodiscard]] bool may_use(const job_setup&, const lane_entry&) const;
  void rank(class_state&);
  void rank_lanes(time_point now);
  [[nodiscard]] route_refusal refusal_for(const class_state&, const lane_entry&) const;
  class_state& class_of(job_state&, class_id, prompt_features);
  [[nodiscard]] prompt_features class_features(const job_state&, class_id, prompt_features) const;
  void note_limits();

  // scheduler_jobs.cpp: jobs, lanes, partitions, and how jobs stand.
  account& books_of(partition_state&, job_state&);
  void set_cap(partition_state&, job_state&, account&);
  void release(partition_state&);
  void let_go(active_prompt&&, partition_state&);
  [[nodiscard]] partition_state* home_of(partition_id) const;
  void note_standings(time_point now);
  void decide_stop(tick_actions&);
  [[nodiscard]] std::string reason_for(const job_state&, job_condition) const;
  [[nodiscard]] std::string why_down(const job_state&) const;

  // scheduler_queues.cpp: prompts on their way into and out of the queues.
  work_queue& queue_for(partition_state&, job_state&, class_id, prompt_features);
  void look_again();
  void queue_by_class(partition_state&, shard_id, std::vector<prompt>&&, bool counted);
  [[nodiscard]] prompt_features look_at(prompt&) const;
  void requeue(work_queue&);
  void requeue(active_prompt&);
  void list(work_queue&);
  void unlist(work_queue&);
  void relist(work_queue&);
  void touch(work_queue&);
  void take_shard(shard_loaded&&, tick_actions&);
  void queue_new(work_queue&, shard_id, std::vector<prompt>&&);
  void queue_loaded(work_queue&, shard_id, std::vector<prompt>&&);
  void put_fresh(work_queue&, prompt&&);
  [[nodiscard]] bool room_for(const work_queue&, std::size_t bytes) const;
  bool refuse(partition_state&, prompt&, tick_actions&);
  void finish_unsent(partition_state&, prompt&&, const char* code, std::string message,
                     tick_actions&);
  void cancel_queued(tick_actions&);
  bool cancel_some(work_queue&, std::size_t& left, tick_actions&);
  bool withdraw(partition_state&, position);
  void request_loads(tick_actions&);
  void request_loads_of(work_queue&, tick_actions&);

  // scheduler_retire.cpp: what ended calls change.
  void retire(time_point now, std::vector<call_ended>&&, stripe_runner&, tick_actions&);
  nano_usd end_call(time_point now, active_prompt&, partition_state*, call_ended&, tick_actions&);
  [[nodiscard]] bool others_work(const active_prompt&) const;
  void note_probe(active_prompt&, outcome&);
  void retire_one(time_point now, stripe&, call_ended&&, nano_usd charge);
  void retire_late(time_point now, late_call&&, call_ended&&, tick_actions&);
  void collect(stripe&, tick_actions&);
  void note_finish(partition_state&, const finish_action&);
  void note_final(job_state&, bool failed);
  void drop_active(active_prompt&);
  [[nodiscard]] bool has_lane_left(const active_prompt&) const;

  // scheduler_grants.cpp: which prompts go now, and through which lane.
  std::vector<grant> grant_permits(time_point now, tick_actions&);
  std::vector<job_state*> jobs_in_turn(time_point now);
  bool grant_of_job(time_point now, job_state&, std::vector<grant>&, tick_actions&);
  bool grant_of_class(time_point now, class_state&, std::vector<grant>&, tick_actions&);
  choice grant_of_queue(time_point now, work_queue&, std::vector<grant>&, tick_actions&);
  choice grant_retry(time_point now, work_queue&, std::vector<grant>&, tick_actions&);
  choice grant_fresh(time_point now, work_queue&, std::vector<grant>&, tick_actions&);
  [[nodiscard]] std::uint32_t failures_of(position where) const;
  void look_at_retries(time_point now, work_queue&);
  /// What is to be sent: a prompt that is waiting, or one that was never started.
  struct candidate {
    prompt_size size;
    std::uint32_t failures = 0;
    const std::vector<lane_id>* unfit = nullptr;
    std::optional<time_point>* down_since = nullptr;
  };
  choice choose_lane(time_point now, work_queue&, const candidate&, grant&, tick_actions&);
  void take_permit(time_point now, work_queue&, lane_id, const call_cost&, grant&);
  [[nodiscard]] bool any_lane_open(time_point now, const class_state&) const;
  void wake_for_retries(time_point now, tick_actions&);
  void start_calls(std::vector<grant>&, stripe_runner&, tick_actions&);
  const active_prompt* start_call(grant&);
  [[nodiscard]] bool any_usable(const class_state&) const;
  [[nodiscard]] bool stalled(time_point now, const class_state&) const;
  void note_blocked(time_point now, std::optional<time_point>& down_since, bool usable,
                    class_state&, tick_actions&);

  scheduler_settings settings_;
  quota_share share_;
  std::vector<lane_entry> lanes_;
  std::vector<std::string> models_;  ///< by class_id / endpoint_kinds
  std::unordered_map<std::string, std::uint32_t> model_index_;
  std::vector<std::vector<prompt_features>> limits_;  ///< by class_id: what tells its lanes apart
  std::map<job_number, std::unique_ptr<job_state>> jobs_;
  std::map<partition_id, partition_state*> homes_;  ///< attached
  std::map<owner_id, std::unique_ptr<partition_state>> owners_;
  std::array<stripe, stripe_count> stripes_;
  std::unordered_map<call_id, late_call> late_;  ///< calls of partitions that were detached

  std::vector<work_queue*> listed_;   ///< queues with work that may send
  std::vector<job_state*> working_;   ///< jobs that have such queues
  std::vector<work_queue*> touched_;  ///< whose work may have changed
  std::size_t load_turn_ = 0;
  std::map<int, std::int64_t> virtual_time_;  ///< by priority: `served` of who went last

  std::uint64_t tick_ = 0;
  bool input_read_ = false, draining_ = false;
  std::size_t ready_offset_ = 0;  ///< rotates, so that no retry waits behind others for ever
  std::uint64_t next_call_ = 1;
  std::int64_t in_flight_ = 0, waiting_ = 0, suspects_open_ = 0;
  std::size_t loads_out_ = 0, active_bytes_ = 0, resident_bytes_ = 0;
  time_point ranked_at_{};
};

}  // namespace spillway
