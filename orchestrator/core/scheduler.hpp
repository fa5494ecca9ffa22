// The heart: one tick takes what happened and says what to do. No clock, no I/O, no threads of its
// own; the same events in the same order give the same actions for any number of threads.
#pragma once

#include "orchestrator/core/classes.hpp"
#include "orchestrator/core/lane.hpp"
#include "orchestrator/core/stripes.hpp"
#include "schemas/attempt.hpp"
#include "schemas/config.hpp"
#include "schemas/outcome.hpp"
#include "schemas/prompt.hpp"

#include <bitset>
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
  std::uint32_t sends = 0, attempts = 0, maybe_billed = 0;
  nano_usd charged;                      ///< for ended sends, in doubt or failed after being billed
  call_cost cost;                        ///< of the open send
  std::vector<lane_id> unfit;            ///< lanes that can't serve this prompt
  std::optional<time_point> down_since;  ///< all its other lanes are
  std::string error_code, error_message;  ///< of the last ended send

  [[nodiscard]] prompt_size size() const {
    return {static_cast<std::int64_t>(what.body.length), what.images, what.choices,
            what.max_output};
  }
};

struct call_ended {
  position where;
  call_id call;
  spillway::outcome outcome;
  time_point sent_at{}, done_at{};
};

/// A shard's prompts, read and parsed. `first_reading`: its prompts are not queued yet (else it was
/// asked for by `load`).
struct shard_loaded {
  shard_id shard;
  bool first_reading = false;
  std::vector<prompt> prompts;  ///< sendable and not done, in order
};

struct tick_events {
  std::vector<call_ended> calls;
  std::vector<shard_loaded> shards;
  bool input_read = false;  ///< no further first readings will come
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
};

enum class stop_cause { none, finished, budget, error_rate, stalled, drained };

struct tick_actions {
  std::vector<send_action> sends;
  std::vector<finish_action> finishes;
  std::vector<attempt_record> ended;   ///< sends that ended without a result, and go on later
  std::vector<shard_id> load;          ///< shards to read again
  stop_cause stop = stop_cause::none;  ///< nothing is in flight any more and nothing will be sent
  std::string stop_reason;
  time_point wake = time_never;  ///< call again by then, even without events
};

struct scheduler_settings {
  job_config job;
  std::uint64_t seed = 0;
  std::size_t window_bytes = 128u << 20;  ///< prompt bodies kept in memory
};

struct scheduler_counts {
  std::int64_t in_flight = 0;  ///< permits taken, call not ended
  std::int64_t waiting = 0;    ///< between two sends
};

class scheduler {
 public:
  /// `lanes` in lane_id order. `history` holds the unfinished prompts' records of earlier runs.
  scheduler(scheduler_settings, std::vector<lane_setup> lanes, std::span<const named_totals> totals,
            std::span<const attempt_record> history, time_point now);

  /// The class of prompts with this model and endpoint; none when no lane may take them.
  [[nodiscard]] std::optional<class_id> class_for(std::string_view model, endpoint_kind) const;
  /// True if some lane offers the model, whatever its residency.
  [[nodiscard]] bool offers(std::string_view model) const;

  [[nodiscard]] tick_actions tick(time_point now, tick_events, stripe_runner&);

  [[nodiscard]] const lane& lane_at(lane_id id) const { return lanes_[id.value()]; }
  [[nodiscard]] std::size_t lane_count() const { return lanes_.size(); }
  [[nodiscard]] const budget& money() const { return money_; }
  [[nodiscard]] scheduler_counts counts() const;
  /// What earlier runs left of a prompt that is unfinished; null for one without a past.
  [[nodiscard]] const attempt_record* history_of(position) const;
  /// The ledger's record of a prompt as it stands.
  [[nodiscard]] attempt_record record_of(const active_prompt&, time_point now) const;

 private:
  struct stripe {
    std::unordered_map<std::uint32_t, active_prompt> active;
    std::vector<std::size_t> todo;  ///< of this phase: indices of its events or grants
    std::vector<finish_action> finishes;
    std::vector<attempt_record> ended;
    std::int64_t to_waiting = 0;
    std::size_t bytes = 0;  ///< of active prompts
  };
  struct class_state {
    class_queue queue;
    std::vector<lane_id> ranked;           ///< allowed by residency, best first
    std::optional<time_point> down_since;  ///< all its lanes are; none of them took a prompt since
    double input_mean = 500, output_mean = 200;
  };
  /// Where the granting of one tick stands in a class.
  struct cursor {
    class_id cls;
    std::vector<std::uint32_t> ready;  ///< waiting prompts whose time has come, in order
    std::size_t next_ready = 0;
    bool more_ready = false;                        ///< others are looked at in the next tick
    std::array<std::size_t, stripe_count> taken{};  ///< of each stripe's fresh prompts
    bool done = false;
  };
  struct grant {
    position where;
    class_id cls;
    bool fresh = false;
    lane_id lane;
    call_cost cost;
    call_id call;
  };
  enum class choice { granted, blocked, too_dear };

  void take_shard(shard_loaded&&, tick_actions&);
  void queue_first_reading(class_state&, shard_id, std::vector<prompt>&&);
  void queue_loaded(class_state&, shard_id, std::vector<prompt>&&);
  void put_fresh(class_state&, prompt&&);
  bool hold_in_doubt(prompt&, tick_actions&);
  void retire(time_point now, std::vector<call_ended>&&, stripe_runner&, tick_actions&);
  void retire_one(time_point now, stripe&, call_ended&&, nano_usd charge);
  void note_final(bool failed);
  [[nodiscard]] bool has_lane_left(const active_prompt&) const;
  void rank_lanes(time_point now);
  std::vector<grant> grant_permits(time_point now, tick_actions&);
  cursor cursor_for(time_point now, class_id);
  bool grant_next(time_point now, cursor&, std::vector<grant>&, tick_actions&);
  choice choose_lane(time_point now, const class_state&, const prompt_size&,
                     const std::vector<lane_id>& unfit, std::optional<time_point>& down_since,
                     grant&, tick_actions&);
  [[nodiscard]] bool any_lane_open(time_point now, const class_state&) const;
  void start_calls(std::vector<grant>&, stripe_runner&, tick_actions&);
  const active_prompt* start_call(const grant&);
  void request_loads(tick_actions&);
  [[nodiscard]] bool stalled(time_point now, const class_state&) const;
  void note_blocked(time_point now, std::optional<time_point>& down_since, bool usable,
                    const class_state&, tick_actions&);
  void decide_stop(tick_actions&);
  [[nodiscard]] bool pending(const class_state&) const;

  scheduler_settings settings_;
  std::vector<lane> lanes_;
  std::vector<class_state> classes_;
  using per_endpoint = std::array<std::optional<class_id>, endpoint_kinds>;
  std::unordered_map<std::string, per_endpoint> class_index_;
  std::array<stripe, stripe_count> stripes_;
  std::unordered_map<std::uint32_t, attempt_record> history_;
  budget money_;
  bool input_read_ = false, draining_ = false;
  bool progress_possible_ = true;  ///< of this tick: some prompt may still go, now or later
  bool money_short_ = false;       ///< of this tick: some worst case does not fit the budget
  bool day_short_ = false;         ///< … or is more than a lane may spend in a whole day
  std::string stalled_model_;      ///< of this tick: its lanes were down for stall_timeout
  std::size_t ready_offset_ = 0;   ///< rotates, so that no retry waits behind others for ever
  std::uint64_t next_call_ = 1;
  std::int64_t in_flight_ = 0, waiting_ = 0;
  std::size_t loads_out_ = 0;
  time_point ranked_at_{};
  std::size_t first_class_ = 0;  ///< rotates, so that classes share lanes evenly
  std::bitset<200> last_failed_;
  std::size_t finals_ = 0;
  bool too_many_errors_ = false;
};

}  // namespace spillway
