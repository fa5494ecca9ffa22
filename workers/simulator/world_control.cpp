#include "workers/simulator/world.hpp"

#include <algorithm>
#include <utility>

namespace spillway::simulated {
namespace {

/// Times of a change count from when it is made.
template <class Timed>
void shift(Timed& what, duration& end, duration by) {
  what.from += by;
  if (end != duration::max()) end += by;
}

}  // namespace

verdict world::control(time_point now, const request_head& head, std::string_view body,
                       std::string& out) {
  verdict v;
  const identity_verdict given = identity_.serve(now, head, body, out);
  if (given.ours) {
    if (given.what == identity_verdict::action::hang) v.what = action::hang;
    if (given.what == identity_verdict::action::close) v.what = action::close;
  } else if (head.path == "/_sim/stats" && head.method == "GET") {
    append_plain(200, "application/json", stats(), head.keep_alive, out);
  } else if (head.path == "/_sim/control" && head.method == "POST") {
    const auto change = parse_control(body);
    const auto done = change ? apply(*change, now) : result<void>(change.error());
    append_plain(done ? 200 : 400, "text/plain", done ? "" : done.error().message, head.keep_alive,
                 out);
  } else {
    append_plain(404, "application/json",
                 R"({"error":{"message":"No pool of the simulator has this path.","type":)"
                 R"("invalid_request_error","param":null,"code":"unknown_url"}})",
                 head.keep_alive, out);
  }
  return v;
}

result<void> world::apply(const control_change& change, time_point now) {
  const duration elapsed = now - start_;
  if (change.token_lifetime) identity_.set_token_lifetime(*change.token_lifetime);
  if (change.service) {
    if (!identity_.is_configured(*change.service))
      return failure{failure_kind::usage, "service: it is not in the section `identity`"};
    if (change.faults) identity_.set_faults(*change.service, *change.faults, elapsed);
    if (change.revoke) identity_.revoke(*change.service);
    if (change.rotate) return identity_.rotate(*change.service, change.secret);
  }
  if (change.pool.empty()) return {};
  const auto found = std::find_if(pools_.begin(), pools_.end(),
                                  [&](const auto& p) { return p->spec.name == change.pool; });
  if (found == pools_.end())
    return failure{failure_kind::usage, "pool: no pool is named " + change.pool};
  pool& p = **found;
  if (change.api_keys) {
    std::vector<key_spec> keys = *change.api_keys;
    for (auto& k : keys) shift(k, k.until, elapsed);
    p.gate.set_keys(std::move(keys));
  }
  if (!change.faults) return {};
  const std::lock_guard lock(mutex_);
  p.fault_sets.push_back(*change.faults);
  for (auto& f : p.fault_sets.back()) shift(f, f.to, elapsed);
  p.faults = fault_plan(p.fault_sets.back(), p.seed);
  return {};
}

}  // namespace spillway::simulated
