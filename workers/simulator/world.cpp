#include "workers/simulator/world.hpp"

#include "workers/simulator/hash.hpp"

#include <algorithm>
#include <optional>

namespace spillway::simulated {
namespace {

bool serves(const pool_spec& pool, std::string_view model) {
  return pool.models.empty() ||
         std::find(pool.models.begin(), pool.models.end(), model) != pool.models.end();
}

/// Mantle serves gpt-oss below /v1 and everything else below /openai/v1.
bool has_wrong_prefix(const pool_spec& pool, const api_route& api, std::string_view model) {
  return pool.mantle && api.below_openai == model.starts_with("openai.gpt-oss");
}

token_charge minus(const token_charge& a, const token_charge& b) {
  return {a.total - b.total, a.input - b.input, a.output - b.output};
}

/// An error that belongs to a pool: counted when it was sent.
verdict refuse(std::size_t pool, const reply_context& c, const error_reply& error,
               std::string& out) {
  append_error(c, error, out);
  verdict v;
  v.pool = pool;
  v.status = error.status;
  return v;
}

error_reply error_of(const fault_config& fault) {
  error_reply e;
  e.status = fault.status;
  e.code = fault.code;
  e.message = fault.message;
  e.retry_after = fault.retry_after;
  return e;
}

error_reply unavailable() {
  error_reply e;
  e.status = 503;
  return e;
}

}  // namespace

struct world::route {
  std::size_t pool = verdict::no_pool;
  api_route api;
};

/// What is decided about a call while the world is locked.
struct world::admission {
  enum class step { missing_model, down, refused, accepted } what = step::accepted;
  const fault_config* fault = nullptr;  ///< for down and accepted
  grant quota;
  rate_state rates;
  duration delay{};
  token_charge unused;
  std::size_t held_by = 0;
};

world::pool::pool(const pool_spec& s, std::uint64_t own_seed, time_point start, identity& who)
    : spec(s),
      seed(own_seed),
      fault_sets{spec.faults},
      faults(fault_sets.back(), own_seed),
      quota(spec, start),
      gate(spec, who) {}

world::world(const simulator_config& config, time_point start)
    : start_(start), seed_(config.seed), identity_(config.identity, config.seed, start) {
  for (const auto& spec : config.pools)
    pools_.push_back(
        std::make_unique<pool>(spec, mix(config.seed, pools_.size()), start, identity_));
}

world::route world::find_route(const request_head& head) const {
  route r;
  const std::string_view below = head.path.substr(1);
  const std::string_view name = below.substr(0, below.find('/'));
  const auto found = std::find_if(pools_.begin(), pools_.end(),
                                  [&](const auto& p) { return p->spec.name == name; });
  if (found == pools_.end()) return r;
  r.pool = static_cast<std::size_t>(found - pools_.begin());
  r.api = route_of((*found)->spec, below.substr(name.size()), head.query);
  return r;
}

verdict world::arrive(time_point now, const request_head& head, std::string_view body,
                      call_reader& reader, std::string& out) {
  verdict v;
  const route r = head.path.starts_with("/_sim/") ? route{} : find_route(head);
  if (r.pool == verdict::no_pool) {
    v = control(now, head, body, out);
  } else {
    reply_context c{pools_[r.pool]->spec, 0, now, {}, head.keep_alive, r.api.form};
    if (head.method == "POST") {
      c.call = begin_call(r.pool);
      v = serve_post(r, head, body, c, reader, out);
    } else {
      v = serve_get(r, head, c, out);
    }
  }
  v.keep_alive = head.keep_alive;
  return v;
}

verdict world::serve_post(const route& r, const request_head& head, std::string_view body,
                          const reply_context& c, call_reader& reader, std::string& out) {
  if (auto refused = pools_[r.pool]->gate.refuse(head, body, c.form, c.now, c.now - start_)) {
    verdict v = refuse(r.pool, c, *refused, out);
    v.no_entry = true;
    return v;
  }
  if (!r.api.call || r.api.problem != path_problem::none)
    return refuse(r.pool, c, bad_path_error(c.form, r.api.problem, head.method, head.path), out);
  if (c.form == wire_form::anthropic && head.anthropic_version.empty())
    return refuse(r.pool, c, bad_call_error({"anthropic-version: header is required", {}}), out);
  const call_facts* facts = reader.read(*r.api.call, body, r.api.model);
  if (!facts) return refuse(r.pool, c, bad_call_error(reader.problem()), out);
  if (has_wrong_prefix(c.pool, r.api, facts->model))
    return refuse(r.pool, c, missing_model_error(c, facts->model), out);
  return serve_call(r, c, *facts, out);
}

const fault_config* world::down_now(std::size_t index, time_point now) const {
  const std::lock_guard lock(mutex_);
  return pools_[index]->faults.down(now - start_);
}

verdict world::serve_get(const route& r, const request_head& head, const reply_context& c,
                         std::string& out) {
  const fault_config* down = down_now(r.pool, c.now);
  const bool known = head.method == "GET" && (r.api.health || r.api.models);
  if (!known) {
    append_error(c, bad_path_error(c.form, r.api.problem, head.method, head.path), out);
  } else if (down && down->close) {
    verdict v;
    v.what = action::close;
    return v;
  } else if (down) {
    append_error(c, unavailable(), out);
  } else if (r.api.health) {
    append_plain(200, "application/json", "", head.keep_alive, out);
  } else if (const auto refused =
                 pools_[r.pool]->gate.refuse(head, {}, c.form, c.now, c.now - start_)) {
    append_error(c, *refused, out);
  } else {
    append_models(c, out);
  }
  return {};
}

std::uint64_t world::begin_call(std::size_t index) {
  const std::lock_guard lock(mutex_);
  ++total_.requests;
  ++pools_[index]->counters.requests;
  return mix(seed_) + ++calls_;
}

world::admission world::admit(std::size_t index, const reply_context& c, const call_facts& call,
                              const answer_size& size) {
  const std::lock_guard lock(mutex_);
  pool& p = *pools_[index];
  const duration elapsed = c.now - start_;
  admission a;
  if (!serves(p.spec, call.model) || p.faults.model_missing(elapsed, call.model)) {
    a.what = admission::step::missing_model;
    return a;
  }
  const double factor = p.faults.quota_factor(elapsed);
  const token_charge charge = charge_of(p.spec, call, size);
  a.quota = p.quota.arrive(c.now, factor, charge);
  if (factor <= 0 && a.quota.refused_by != limit_kind::none) {
    const duration change = p.faults.next_quota_change(elapsed);
    if (change != duration::max()) a.quota.wait = change - elapsed;
  }
  total_.quota_violations += p.quota.violations() - p.counters.quota_violations;
  p.counters.quota_violations = p.quota.violations();
  a.rates = p.quota.rates();

  a.fault = p.faults.down(elapsed);
  if (a.fault) {
    a.what = admission::step::down;
  } else if (a.quota.refused_by != limit_kind::none) {
    a.what = admission::step::refused;
    return a;
  } else {
    a.fault = p.faults.befalling(elapsed, c.call, call.id);
  }
  const bool refused = a.fault && a.fault->kind == fault_kind::error && a.fault->status < 500;
  if (!refused) {
    const id_register::seen seen = ids_.accept(call.id, index);
    ++(seen.here ? p.counters.repeated_ids : p.counters.distinct_ids);
    ++(seen.anywhere ? total_.repeated_ids : total_.distinct_ids);
  }
  if (a.what == admission::step::down) return a;
  const bool hangs = a.fault && a.fault->kind == fault_kind::hang;
  const bool held = a.fault && a.fault->kind == fault_kind::hold;
  if (held) a.held_by = p.fault_sets.size();
  if (!a.fault || held || a.fault->kind == fault_kind::reset)
    a.unused = minus(charge, settled_charge(p.spec, call, size));
  a.delay = latency_of(p.spec.latency, p.seed, c.call);
  p.quota.started(hangs || held ? std::nullopt : std::optional(c.now + a.delay));
  p.counters.entered();
  total_.entered();
  return a;
}

verdict world::serve_call(const route& r, const reply_context& context, const call_facts& call,
                          std::string& out) {
  const answer_size size = size_answer(call, context.pool);
  const admission a = admit(r.pool, context, call, size);
  reply_context c = context;
  c.rates = a.rates;
  verdict v;
  v.pool = r.pool;
  switch (a.what) {
    case admission::step::missing_model:
      return refuse(r.pool, c, missing_model_error(c, call.model), out);
    case admission::step::refused:
      append_refusal(c, call, a.quota, out);
      v.status = 429;
      return v;
    case admission::step::down:
      if (!a.fault->close) return refuse(r.pool, c, unavailable(), out);
      v.what = action::close;
      return v;
    case admission::step::accepted: break;
  }
  v.counted = true;
  v.delay = a.delay;
  v.id = call.id;
  v.size = size;
  v.unused = a.unused;
  v.held_by = a.held_by;
  if (a.fault && a.fault->kind == fault_kind::hang) {
    v.what = action::hang;
  } else if (a.fault && a.fault->kind == fault_kind::error) {
    append_error(c, error_of(*a.fault), out);
    v.status = a.fault->status;
  } else {
    append_answer(c, call, size, out);
    v.answer = true;
    v.status = 200;
    if (a.fault && a.fault->kind == fault_kind::reset) v.what = action::reset;
  }
  return v;
}

bool world::may_end(const verdict& v) const {
  if (v.held_by == 0) return true;
  const std::lock_guard lock(mutex_);
  return pools_[v.pool]->fault_sets.size() != v.held_by;
}

void world::finish(const verdict& v, bool delivered) {
  if (v.pool == verdict::no_pool) return;
  const std::lock_guard lock(mutex_);
  pool& p = *pools_[v.pool];
  if (v.counted) {
    p.quota.ended();
    p.quota.give_back(v.unused);
    --p.counters.in_flight;
    --total_.in_flight;
  }
  ending how = ending::dropped;
  if (delivered) how = v.answer ? ending::answered : ending::refused;
  for (pool_counters* counters : {&p.counters, &total_}) {
    counters->ended(how, v.status);
    if (v.no_entry) ++counters->refused_auth;
  }
  if (!v.answer) return;
  const nano_usd cost = bill_of(v.size, p.spec.price);
  const id_register::seen seen = ids_.answer(v.id, v.pool);
  if (seen.here) ++p.counters.repeated_answers;
  if (seen.anywhere) ++total_.repeated_answers;
  for (pool_counters* counters : {&p.counters, &total_}) {
    counters->billed += cost;
    counters->input_tokens += v.size.input;
    counters->output_tokens += v.size.output;
  }
}

std::string world::stats() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string_view, pool_counters>> by_name;
  for (const auto& p : pools_) by_name.emplace_back(p->spec.name, p->counters);
  constexpr std::pair<const char*, identity_service> services[] = {
      {"google", identity_service::google},
      {"entra", identity_service::entra},
      {"aws", identity_service::aws}};
  std::vector<service_counters> by_service;
  for (const auto& [name, kind] : services) {
    if (!identity_.is_configured(kind)) continue;
    const identity_counters c = identity_.counters(kind);
    by_service.push_back({name, c.requests, c.issued, c.refused, c.failed});
  }
  return stats_json(total_, by_name, by_service);
}

}  // namespace spillway::simulated
