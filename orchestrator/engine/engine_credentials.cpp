// Credentials of pools: who has none sends nothing, and a refused one is not the prompt's fault.
#include "orchestrator/engine/engine.hpp"
#include "orchestrator/runtime/masking.hpp"

#include <algorithm>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr duration look_again = 100ms;    // while a pool waits for a credential
constexpr duration look_at_down = 500ms;  // while the newest one is a refused one
constexpr duration unusable_for = 500ms;  // after a failure that `missing` does not tell of

}  // namespace

/// Tells lanes whether their pools can send. Returns when to look again at the latest.
time_point engine::look_at_credentials(time_point now) {
  time_point next = time_never;
  for (const auto& pool : pools_) {
    if (pool->former) continue;
    if (const auto newest = pool->credentials->generation(); newest > pool->generation) {
      pool->generation = newest;
      pool->unusable_until = {};
      pool->auth_down = false;
      scheduler_->retry_auth(pool->id, now);
    }
    pool->starting = pool->credentials->starting();  // first: what is missing may fail meanwhile
    auto why = pool->credentials->missing();
    if (!why && now < pool->unusable_until) why = pool->unusable;
    if (why) why = masked_lookalikes(*why);  // a token endpoint may have had its say
    if (why)
      next = std::min(next, now + look_again);
    else if (pool->auth_down)
      next = std::min(next, now + look_at_down);
    if (why == pool->missing) continue;
    pool->missing = std::move(why);
    scheduler_->hold_pool(pool->id, pool->missing, now);
  }
  return next;
}

/// A call was refused for its credential. Unless that is the newest one there is, the call goes
/// again as if it had not been made.
void engine::note_refused(const open_call& call, outcome& out, time_point now) {
  auto& pool = *call.pool;
  // What was taken from the configuration has a successor, or its lanes are gone.
  const bool stop =
      !pool.former && pool.credentials->refused(call.credential) == refused_advice::stop;
  if (stop) {
    out.stale_credentials = false;
    return;
  }
  out.kind = outcome_kind::retry;
  out.down = down_cause::none;
  out.quota_signal = out.halve_rate = out.unhealthy = out.counts_attempt = out.in_doubt = false;
  out.retry_after.reset();
  if (!pool.former && pool.credentials->generation() <= call.credential)
    note_unusable(pool, "a refused credential is being replaced", now);
}

void engine::note_unusable(pool_parts& pool, std::string why, time_point now) {
  pool.unusable = std::move(why);
  pool.unusable_until = now + unusable_for;
}

/// Pools that were configured once and whose last call has ended: nothing keeps their credentials
/// fresh any more.
void engine::drop_former_pools() {
  if (former_pools_ == 0) return;
  former_pools_ -=
      std::erase_if(pools_, [](const auto& pool) { return pool->former && pool->open == 0; });
}

}  // namespace spillway
