// One lane's decisions: may a call go now, and what does its answer change.
#pragma once

#include "orchestrator/core/adaptive_rate.hpp"
#include "orchestrator/core/breaker.hpp"
#include "orchestrator/core/gcra.hpp"
#include "orchestrator/core/money.hpp"
#include "orchestrator/core/quota_share.hpp"
#include "orchestrator/core/recent.hpp"
#include "schemas/config.hpp"
#include "schemas/features.hpp"
#include "schemas/outcome.hpp"
#include "schemas/prompt.hpp"
#include "schemas/totals.hpp"

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace spillway {

/// Tokens a provider's own limiter charges a call: (input, max output or 0, expected output).
using rate_charge_rule = std::function<tokens(tokens input, tokens max_output, tokens expected)>;
/// The same once the answer is there.
using settled_charge_rule = std::function<tokens(const token_usage&, tokens max_output)>;

/// What a lane takes of an endpoint's prompts.
struct endpoint_fit {
  bool serves = true;
  prompt_features unmappable;
};

struct lane_setup {
  std::string pool;
  pool_id pool_index;
  lane_config config;
  std::int64_t slots = 1;  ///< calls at once: the lane's concurrency or its pool's connections
  bool sliced = false;     ///< the provider enforces its quota in slices of a second
  provider_kind provider = provider_kind::openai;
  std::string region;  ///< empty: not declared
  std::array<endpoint_fit, endpoint_kinds> takes{};
  rate_charge_rule rate_charge;
  settled_charge_rule settled_charge;  ///< empty: by `rate_charge`

  [[nodiscard]] tokens charge_of(const token_usage& usage, tokens max_output) const {
    return settled_charge ? settled_charge(usage, max_output)
                          : rate_charge(usage.input, max_output, usage.output);
  }
};

/// What a call takes from a lane.
struct call_cost {
  tokens rate;       ///< by the provider's counting
  nano_usd reserve;  ///< worst case
};

enum class refusal { none, no_credentials, down, held, slots, requests, token_rate, day, no_share };

/// State of a lane. Time is passed in; not thread-safe.
class lane {
 public:
  lane(lane_setup setup, time_point now, const quota_share& share = {});

  /// Another configuration or share of it. What is owed, learned, open and broken stays.
  void change(lane_setup setup, const quota_share& share, time_point now);

  [[nodiscard]] const lane_setup& setup() const { return setup_; }
  /// Calls at once: this process' part of the lane's concurrency.
  [[nodiscard]] std::int64_t slots() const { return slots_; }
  [[nodiscard]] call_cost cost_for(const prompt_size&) const;

  /// Why a call of this cost can't go now; `none` when it can.
  [[nodiscard]] refusal check(time_point now, const call_cost&) const;
  /// Earliest time at which `check` may change without an answer coming in.
  [[nodiscard]] time_point ready_at(time_point now, const call_cost&) const;
  /// True if the call's worst case is more than the lane may spend in a whole day.
  [[nodiscard]] bool never_fits(const call_cost& cost) const {
    return day_money_ && cost.reserve > *day_money_;
  }
  /// Takes the permits that `check` allowed.
  void take(time_point now, const call_cost&);

  /// What an ended call does to rates, breaker, holds and counters. `reserved` is what it took,
  /// `size` the prompt's. `told` is what `reason` may say of a failure, without anything of prompts
  /// and secrets; empty: its code alone. Returns what the call is charged: its bill, or the worst
  /// case in doubt.
  nano_usd end_call(time_point now, const call_cost& reserved, const prompt_size& size,
                    const outcome&, duration latency, std::string_view told = {});
  /// It refused one request after another for their form, and answered none in between.
  [[nodiscard]] bool refuses_forms() const { return forms_refused_ >= forms_refused_max; }
  /// Stops the lane after a pool-wide fault seen on another lane.
  void stop(time_point now, down_cause, const std::string& reason);
  /// Nothing can be sent for want of a credential, and why; nothing when there is one.
  void hold_for_credentials(std::optional<std::string> why, time_point now);
  /// Another credential is there: if it was stopped for the former one, it is probed at once.
  void retry_auth(time_point now);

  /// False while it takes nothing: failing, down, being probed, without credentials.
  [[nodiscard]] bool usable() const { return healthy() && !missing_; }
  /// The next call would be a probe.
  [[nodiscard]] bool probing(time_point now) const {
    return breaker_.now_state(now) == breaker::state::half_open;
  }
  /// Why it is not usable, in one line; empty when nothing is known.
  [[nodiscard]] std::string reason() const;
  [[nodiscard]] std::optional<duration> mean_latency() const { return latency_; }
  /// Price of a typical call of this lane, for ranking; nothing when unknown.
  [[nodiscard]] std::optional<double> typical_cost(tokens input, tokens output) const;

  struct condition {
    refusal blocked = refusal::none;
    breaker::state health = breaker::state::closed;
    down_cause down = down_cause::none;
    std::string reason;
    std::optional<time_point> since;  ///< not usable since
    time_point until{};
    std::optional<double> rpm_used, tpm_used;  ///< share of the usable quota, last 10 s
    std::int64_t outstanding = 0;
  };
  [[nodiscard]] condition describe(time_point now) const;

  lane_totals& totals() { return totals_; }
  [[nodiscard]] const lane_totals& totals() const { return totals_; }

 private:
  void apply_quota(time_point now);
  void read_headers(time_point now, const outcome&);
  void learn(const prompt_size&, const outcome&);
  [[nodiscard]] duration refusal_pause() const;
  void hold_after_refusal(time_point now, const call_cost&, const outcome&, duration latency);
  void note_health(time_point now);
  [[nodiscard]] bool healthy() const {
    return breaker_.now_state(time_point{}) == breaker::state::closed;
  }
  [[nodiscard]] std::int64_t ready_allowance(const call_cost&) const;
  /// Of a quota: what is not left to others, of that our part, and of that what even pacing may
  /// use. Zero only where no part is ours.
  [[nodiscard]] std::int64_t usable(std::int64_t quota) const;
  [[nodiscard]] std::int64_t our_part(std::int64_t quota) const;
  [[nodiscard]] std::int64_t paced(std::int64_t part) const;

  lane_setup setup_;
  quota_share share_;
  bool unusable_ = false;  ///< no part of some quota is ours
  std::int64_t slots_ = 1;
  std::optional<std::int64_t> day_requests_;
  std::optional<nano_usd> day_money_;
  std::optional<std::int64_t> told_requests_, told_tokens_;  ///< limits the provider named last
  std::optional<gcra> requests_, tokens_;
  adaptive_rate seen_;  ///< what it is seen to accept, once it refused
  breaker breaker_;
  down_cause down_ = down_cause::none;
  int downs_in_a_row_ = 0;
  std::string reason_;
  std::optional<time_point> down_since_, missing_since_;
  std::optional<std::string> missing_;  ///< why there is no credential
  time_point held_until_{};
  int refusals_in_a_row_ = 0;
  static constexpr int forms_refused_max = 20;
  int forms_refused_ = 0;         ///< since it answered last
  std::int64_t outstanding_ = 0;  ///< permits taken and not ended
  nano_usd reserved_;
  // Learned: input tokens a body byte/4, output tokens an answer (as sums, halved as they grow).
  double seen_estimate_ = 0, seen_input_ = 0, seen_answers_ = 0, seen_output_ = 0;
  std::optional<duration> latency_;
  recent_sum recent_requests_, recent_tokens_;
  lane_totals totals_;
};

}  // namespace spillway
