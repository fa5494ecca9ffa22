// A scheduler with hand-made prompts and answers: each test says what happens, tick by tick.
#pragma once

#include "orchestrator/core/scheduler.hpp"
#include "tests/unit/limits.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace spillway::scheduling {

using namespace std::chrono_literals;

inline constexpr time_point start(1'790'000'000s);

inline lane_setup lane_of(const std::string& pool, const limits& quota = {},
                          const std::string& model = "m") {
  lane_setup s;
  s.pool = pool;
  s.pool_index = pool_id(static_cast<std::uint32_t>(pool.front()));
  s.config.model = s.config.as = model;
  s.config.quota = quota.quota();
  s.slots = 1'000'000;
  s.rate_charge = [](tokens input, tokens max_output, tokens expected) {
    return input + std::max(max_output, expected);
  };
  return s;
}

/// A lane that takes so many calls at once. Half of them wait for a connection to become free.
inline lane_setup places_of(const std::string& pool, std::int64_t calls,
                            const std::string& model = "m") {
  return lane_of(pool, {.concurrency = calls / 2}, model);
}

inline lane_setup priced(lane_setup s, std::int64_t pico_per_token) {
  s.config.price =
      price_config{pico_usd_per_token(pico_per_token), pico_usd_per_token(pico_per_token), {}};
  return s;
}

inline outcome answered(std::int64_t input = 0, std::int64_t output = 0) {
  outcome o;
  o.kind = outcome_kind::answered;
  o.status = 200;
  if (input > 0) o.usage = {true, tokens(input), tokens(0), tokens(output)};
  return o;
}
inline outcome never_sent() { return {}; }
inline outcome refused(duration retry_after = 1s) {
  outcome o;
  o.status = 429;
  o.quota_signal = true;
  o.retry_after = retry_after;
  o.error_code = "rate_limited";
  return o;
}
inline outcome failed() {
  outcome o;
  o.status = 500;
  o.unhealthy = o.counts_attempt = true;
  o.error_code = "server_error";
  return o;
}
inline outcome timed_out() {
  outcome o;
  o.unhealthy = o.counts_attempt = o.in_doubt = true;
  o.error_code = "timeout";
  return o;
}
inline outcome unreachable() {
  outcome o;
  o.unhealthy = true;
  o.error_code = "connect_failed";
  return o;
}
inline outcome rejected() {
  outcome o;
  o.kind = outcome_kind::rejected;
  o.status = 400;
  o.error_code = "bad_request";
  return o;
}
inline outcome unfit() {
  outcome o;
  o.kind = outcome_kind::spill;
  o.status = 400;
  o.error_code = "context_length_exceeded";
  return o;
}
inline outcome lane_down(down_cause cause) {
  outcome o;
  o.kind = outcome_kind::lane_down;
  o.down = cause;
  o.status = 401;
  o.error_code = "auth";
  return o;
}

/// What a test can see of an open call.
struct open_call {
  position where;
  lane_id lane;
  std::uint32_t sends = 0;
};

/// The settings of a scheduler with one job.
struct one_job : scheduler_settings {
  job_config job;
};

inline constexpr job_number job_zero{0};
inline constexpr owner_id owner_zero{0};

/// One job on partition 0; tests may add others.
class world {
 public:
  explicit world(std::vector<lane_setup> lanes, one_job settings = {},
                 std::vector<attempt_record> history = {}, std::vector<named_totals> totals = {})
      : sched(settings, std::move(lanes), start) {
    job_setup job;
    job.policy = settings.job;
    sched.put_job(job_zero, job);
    std::vector<job_totals> of_job;
    for (auto& t : totals) of_job.push_back({job_zero, std::move(t)});
    sched.attach(partition_id(0), owner_zero, of_job, history, {});
  }

  prompt prompt_at(std::uint64_t value, const std::string& model = "m", std::size_t bytes = 100,
                   job_number job = job_zero) {
    prompt p;
    p.where = position::from_value(value);
    p.job = job;
    p.cls = sched.class_for(job, model, endpoint_kind::chat_completions).value();
    p.line = value + 1;
    p.text.assign(bytes, 'x');
    // Nothing is added to a completion's text: with the least answer, a token reserved for each
    // byte of the line and ten more.
    p.endpoint = endpoint_kind::completions;
    p.body = {0, static_cast<std::uint32_t>(bytes - 6)};
    p.max_output = tokens(10);
    return p;
  }

  /// `count` prompts of a model at the beginning of shard `shard`.
  void queue(std::uint32_t shard, std::uint32_t count, const std::string& model = "m") {
    queue(job_zero, partition_id(0), shard, count, model);
  }
  void queue(job_number job, partition_id partition, std::uint32_t shard, std::uint32_t count,
             const std::string& model = "m", std::size_t bytes = 100) {
    shard_loaded s{shard_id(shard), reading::first, {}, partition};
    for (std::uint32_t i = 0; i < count; ++i)
      s.prompts.push_back(
          prompt_at(position(partition, shard_id(shard), i).value(), model, bytes, job));
    next.shards.push_back(std::move(s));
  }

  void end(call_id call, outcome o) {
    const auto it = open.find(call);
    next.calls.push_back({it->second.where, call, std::move(o), now - 50ms, now});
    open.erase(it);
  }
  /// Ends every open call; returns how many.
  std::size_t end_all(const outcome& o) {
    const std::size_t n = open.size();
    while (!open.empty()) end(open.begin()->first, o);
    return n;
  }

  tick_actions& tick(duration later = 0ms) {
    now += later;
    actions = sched.tick(now, std::move(next), stripes);
    next = {};
    loads.clear();
    for (const auto& load : actions.load) loads.push_back(load.shard);
    for (const auto& s : actions.sends)
      open[s.call] = {s.prompt->what.where, s.prompt->lane, s.prompt->sends};
    for (auto& f : actions.finishes) finished.push_back(f);
    return actions;
  }
  /// Ticks whenever the scheduler asks for it, ending calls by `answer`, until it stops.
  template <class Answer>
  stop_cause run(Answer answer, int ticks_max = 100'000) {
    for (int i = 0; i < ticks_max; ++i) {
      while (!open.empty()) {
        const auto [call, what] = *open.begin();
        end(call, answer(what));
      }
      tick(next.calls.empty() ? wake_after() : 1ms);
      if (actions.stop != stop_cause::none) return actions.stop;
    }
    return stop_cause::none;
  }
  duration wake_after() const {
    return actions.wake == time_never ? duration(1ms) : std::max<duration>(actions.wake - now, 1ms);
  }

  [[nodiscard]] std::map<std::uint32_t, int> sends_by_lane() const {
    std::map<std::uint32_t, int> n;
    for (const auto& s : actions.sends) ++n[s.prompt->lane.value()];
    return n;
  }
  /// The job's money on partition 0.
  [[nodiscard]] const budget& money() const {
    static const budget none;
    const auto* books = sched.books(owner_zero, job_zero);
    return books ? books->money : none;
  }
  [[nodiscard]] const lane_totals& totals(std::uint32_t lane) const {
    return sched.lane_at(lane_id(lane)).totals();
  }

  scheduler sched;
  time_point now = start;
  tick_events next;
  tick_actions actions;
  std::vector<shard_id> loads;  ///< of `actions`
  std::map<call_id, open_call> open;
  std::vector<finish_action> finished;
  serial_stripes stripes;
};

inline one_job settings(job_config job = {}) {
  one_job s;
  s.job = std::move(job);
  s.seed = 11;
  return s;
}

}  // namespace spillway::scheduling
