#include "workers/simulator/world.hpp"

#include "workers/simulator/hash.hpp"

#include <algorithm>
#include <optional>

namespace spillway::simulated {
namespace {

struct named_call {
  std::string_view path;
  call_kind kind;
};
constexpr named_call calls[] = {{"chat/completions", call_kind::chat},
                                {"responses", call_kind::responses},
                                {"embeddings", call_kind::embeddings}};

bool is_key(std::string_view authorization, std::string_view key) {
  constexpr std::string_view bearer = "Bearer ";
  return authorization.starts_with(bearer) && authorization.substr(bearer.size()) == key;
}

bool may_call(const pool_spec& pool, const request_head& head) {
  if (pool.api_key.empty() || is_key(head.authorization, pool.api_key)) return true;
  return pool.provider == provider_kind::azure_openai && head.api_key == pool.api_key;
}

bool serves(const pool_spec& pool, std::string_view model) {
  return pool.models.empty() ||
         std::find(pool.models.begin(), pool.models.end(), model) != pool.models.end();
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
  std::string_view rest;          ///< below the pool's base path; empty when outside of it
  std::optional<call_kind> call;  ///< an inference call
  bool health = false;
};

/// What is decided about a call while the world is locked.
struct world::admission {
  enum class step { missing_model, down, refused, accepted } what = step::accepted;
  const fault_config* fault = nullptr;  ///< for down and accepted
  grant quota;
  rate_state rates;
  duration delay{};
};

world::pool::pool(const pool_spec& s, std::uint64_t own_seed, time_point start)
    : spec(s), seed(own_seed), faults(spec, own_seed), quota(spec, start) {}

world::world(const simulator_config& config, time_point start) : start_(start), seed_(config.seed) {
  for (const auto& spec : config.pools)
    pools_.push_back(std::make_unique<pool>(spec, mix(config.seed, pools_.size()), start));
}

world::route world::find_route(std::string_view path) const {
  route r;
  const std::string_view below = path.substr(1);
  const std::string_view name = below.substr(0, below.find('/'));
  const auto found = std::find_if(pools_.begin(), pools_.end(),
                                  [&](const auto& p) { return p->spec.name == name; });
  if (found == pools_.end()) return r;
  r.pool = static_cast<std::size_t>(found - pools_.begin());
  std::string_view rest = below.substr(name.size());
  r.health = rest == "/health";
  const bool azure = (*found)->spec.provider == provider_kind::azure_openai;
  const std::string_view prefix = azure ? "/openai/v1/" : "/v1/";
  if (!rest.starts_with(prefix)) return r;
  r.rest = rest.substr(prefix.size());
  for (const auto& c : calls)
    if (r.rest == c.path) r.call = c.kind;
  return r;
}

verdict world::arrive(time_point now, const request_head& head, std::string_view body,
                      call_reader& reader, std::string& out) {
  verdict v;
  const route r = head.path.starts_with("/_sim/") ? route{} : find_route(head.path);
  if (r.pool == verdict::no_pool) {
    v = control(head, out);
  } else {
    reply_context c{pools_[r.pool]->spec, 0, now, {}, head.keep_alive};
    if (head.method == "POST") {
      c.call = begin_call(r.pool);
      const call_facts* facts = nullptr;
      if (!may_call(c.pool, head))
        v = refuse(
            r.pool, c,
            bad_key_error(c.pool.provider, !head.authorization.empty() || !head.api_key.empty()),
            out);
      else if (!r.call)
        v = refuse(r.pool, c, unknown_path_error(c.pool.provider, head.method, head.path), out);
      else if (facts = reader.read(*r.call, body); !facts)
        v = refuse(r.pool, c, bad_call_error(reader.problem()), out);
      else
        v = serve_call(r, c, *facts, out);
    } else {
      v = serve_get(r, head, c, out);
    }
  }
  v.keep_alive = head.keep_alive;
  return v;
}

verdict world::control(const request_head& head, std::string& out) const {
  if (head.path == "/_sim/stats" && head.method == "GET") {
    append_plain(200, "application/json", stats(), head.keep_alive, out);
  } else {
    append_plain(404, "application/json",
                 R"({"error":{"message":"No pool of the simulator has this path.","type":)"
                 R"("invalid_request_error","param":null,"code":"unknown_url"}})",
                 head.keep_alive, out);
  }
  return {};
}

verdict world::serve_get(const route& r, const request_head& head, const reply_context& c,
                         std::string& out) const {
  const fault_config* down = pools_[r.pool]->faults.down(c.now - start_);
  const bool known = head.method == "GET" && (r.health || r.rest == "models");
  if (!known) {
    append_error(c, unknown_path_error(c.pool.provider, head.method, head.path), out);
  } else if (down && down->close) {
    verdict v;
    v.what = action::close;
    return v;
  } else if (down) {
    append_error(c, unavailable(), out);
  } else if (r.health) {
    append_plain(200, "application/json", "", head.keep_alive, out);
  } else if (!may_call(c.pool, head)) {
    append_error(c, bad_key_error(c.pool.provider, !head.authorization.empty()), out);
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
  a.quota = p.quota.arrive(
      c.now, factor,
      charge_of(p.spec.provider, size.input, call.max_output * call.choices, size.output));
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

  a.delay = latency_of(p.spec.latency, p.seed, c.call);
  const bool ends = !a.fault || a.fault->kind != fault_kind::hang;
  p.quota.started(ends ? std::optional(c.now + a.delay) : std::nullopt);
  p.counters.entered();
  total_.entered();
  return a;
}

verdict world::serve_call(const route& r, const reply_context& context, const call_facts& call,
                          std::string& out) {
  const answer_size size = size_answer(call, context.pool);
  const admission a = admit(r.pool, context, call, size);
  reply_context c{context.pool, context.call, context.now, a.rates, context.keep_alive};
  verdict v;
  v.pool = r.pool;
  switch (a.what) {
    case admission::step::missing_model:
      return refuse(r.pool, c, missing_model_error(c.pool.provider, call.model), out);
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
  if (a.fault && a.fault->kind == fault_kind::hang) {
    v.what = action::hang;
  } else if (a.fault && a.fault->kind == fault_kind::error) {
    append_error(c, error_of(*a.fault), out);
    v.status = a.fault->status;
  } else {
    append_answer(c, call, size, out);
    v.answer = true;
    v.status = 200;
    if (a.fault) v.what = action::reset;
  }
  return v;
}

void world::finish(const verdict& v, bool delivered) {
  if (v.pool == verdict::no_pool) return;
  const std::lock_guard lock(mutex_);
  pool& p = *pools_[v.pool];
  if (v.counted) {
    p.quota.ended();
    --p.counters.in_flight;
    --total_.in_flight;
  }
  ending how = ending::dropped;
  if (delivered) how = v.answer ? ending::answered : ending::refused;
  p.counters.ended(how, v.status);
  total_.ended(how, v.status);
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
  return stats_json(total_, by_name);
}

}  // namespace spillway::simulated
