// Calls on their way out and in, and the rows of finished prompts.
#include "connectors/rows.hpp"
#include "orchestrator/engine/engine.hpp"
#include "orchestrator/engine/for_items.hpp"
#include "orchestrator/engine/told_failure.hpp"
#include "orchestrator/engine/unsent.hpp"
#include "orchestrator/runtime/masking.hpp"
#include "workers/providers/answer_parts.hpp"

namespace spillway {
namespace {

/// Nobody looks where no lane minds; then an adapter does not either.
prompt_features asked_by(const prompt& p) {
  return p.features == all_features ? prompt_features() : p.features;
}

/// What lanes may say of a failure. Its code, which all may say, is left without secrets, too.
std::string tell(outcome& out, std::string_view body, const authenticator& credentials) {
  // Of refusals, of which there may be thousands a second, lanes say the code only.
  if (!out.unhealthy && out.kind != outcome_kind::lane_down) {
    out.error_code = masked_lookalikes(std::move(out.error_code));
    return {};
  }
  std::vector<std::string> secrets;
  // Those of now: nearly always those it was sent with.
  if (http_request request; out.status != 0 && credentials.authenticate(request))
    secrets = secrets_in(request.headers);
  auto told = tell_failure(out, body, secrets);
  out.error_code = std::move(told.code);
  return std::move(told.text);
}

/// Names of the parameters that the lane left out.
std::vector<std::string> dropped_by(const prompt& p, const endpoint_fit& fit) {
  const auto view = view_of(p);
  const auto asked = p.features == all_features ? features_of(view) : p.features;
  return parameters_of(view, asked & fit.unmappable);
}

}  // namespace

std::vector<call_ended> engine::decode(std::vector<call_result>&& calls, time_point now) {
  std::vector<call_ended> ended(calls.size());
  std::vector<open_call> opened(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto it = calls_.find(calls[i].id);
    ensure(it != calls_.end(), "an answer to an unknown call");
    opened[i] = it->second;
    --nets_[it->second.net].open;
    --it->second.pool->open;
    calls_.erase(it);
  }
  for_items(*runner_, calls.size(), [&](std::size_t i) {
    const auto& open = opened[i];
    const auto& lane = scheduler_->lane_at(open.lane).setup().config;
    auto out = open.pool->adapter->decode(url_of(open.endpoint), calls[i], lane, open.asked);
    std::string told;
    if (const auto* asked = scheduler_->prompt_of(open.where, calls[i].id)) {
      const auto prompt = view_of(*asked);
      require_parts(prompt, scheduler_->lane_at(open.lane).setup().provider, out);
      if (out.kind != outcome_kind::answered)
        told = tell(out, prompt.body, *open.pool->credentials);
    }
    ended[i] = {open.where,       calls[i].id,      std::move(out),
                calls[i].sent_at, calls[i].done_at, std::move(told)};
  });
  for (std::size_t i = 0; i < ended.size(); ++i) {
    auto& out = ended[i].outcome;
    if (out.stale_credentials) note_refused(opened[i], out, now);
    if (out.down == down_cause::auth) opened[i].pool->auth_down = true;
  }
  return ended;
}

void engine::encode_sends(time_point now, const tick_actions& actions) {
  std::vector<waiting_send> sends(actions.sends.size());
  std::vector<result<credential_use>> uses(sends.size(), credential_use{});
  for_items(*runner_, sends.size(), [&](std::size_t i) {
    const auto& active = *actions.sends[i].prompt;
    const auto& pool = *routes_[active.lane.value()].pool;
    sends[i].net = routes_[active.lane.value()].net;
    sends[i].there = routes_[active.lane.value()].there;
    sends[i].call = {actions.sends[i].call,
                     pool.adapter->encode(view_of(active.what),
                                          scheduler_->lane_at(active.lane).setup().config)};
    uses[i] = pool.credentials->authenticate(sends[i].call.request);
  });
  for (std::size_t i = 0; i < sends.size(); ++i) {
    const auto& active = *actions.sends[i].prompt;
    const auto& route = routes_[active.lane.value()];
    calls_.emplace(
        sends[i].call.id,
        open_call{active.what.where, route.pool, route.net, active.lane, active.what.endpoint,
                  asked_by(active.what), uses[i] ? uses[i]->generation : 0});
    ++nets_[route.net].open;
    ++route.pool->open;
    if (!uses[i]) {
      // Never sent, so without an intent: the next step gives its permit back.
      note_unusable(*route.pool, uses[i].error().message, now);
      given_back_.push_back(unsent_result(sends[i].call.id));
      continue;
    }
    auto& work = *find(active.what.where.partition());
    auto record = scheduler_->record_of(active, now);
    if (const auto valid = work.log->intent_validity()) {
      sends[i].call.send_before = now + *valid;
      record.deadline =
          sends[i].call.send_before + scheduler_->lane_at(active.lane).setup().config.timeout;
    }
    if (uses[i]->send_before)
      sends[i].call.send_before = std::min(sends[i].call.send_before, *uses[i]->send_before);
    work.group.attempts.push_back(std::move(record));
    work.changed = true;
    sends[i].intent = work.next_commit;
    work.waiting_sends.push_back(std::move(sends[i]));
  }
}

void engine::write_rows(std::vector<finish_action>& finishes, time_point now) {
  std::vector<finished_prompt> rows(finishes.size());
  for_items(*runner_, finishes.size(), [&](std::size_t i) {
    const auto& f = finishes[i];
    const auto& p = f.prompt.what;
    auto& row = rows[i];
    row.where = p.where;
    row.kind = f.outcome.kind == outcome_kind::answered ? row_kind::answered : row_kind::failed;
    row.row = row_for(f);
    row.job = p.job;
    row.custom_id_token = p.view(p.custom_id);
    if (f.prompt.lane != no_lane) {
      row.pool = scheduler_->lane_at(f.prompt.lane).setup().pool;
      row.lane = scheduler_->lane_at(f.prompt.lane).setup().config.name();
      row.model = scheduler_->lane_at(f.prompt.lane).setup().config.model;
    }
    if (row.kind != row_kind::answered) row.error_code = f.outcome.error_code;
    row.done_at = now;
    row.usage = f.outcome.usage;
    row.charged = f.cost;
    row.sends = f.prompt.sends;
    row.maybe_billed = f.prompt.maybe_billed;
  });
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto* work = find(finishes[i].owner);
    if (work == nullptr) continue;
    auto& counts = work->counts[rows[i].job];
    const bool answered = rows[i].kind == row_kind::answered;
    ++(answered ? counts.answered : counts.errors);
    if (answered) recent_answers_.add(now, 1);
    work->done.finish(rows[i].where);
    work->group.finished.push_back(std::move(rows[i]));
    work->changed = true;
  }
}

std::string engine::job_name(job_number id) const {
  const auto* job = scheduler_->job(id);
  return job == nullptr ? std::string{} : job->name;
}

std::string engine::row_for(const finish_action& f) const {
  const auto& p = f.prompt.what;
  row_facts facts;
  const auto job = job_name(p.job);
  const auto file = setup_.file_name(p.file);
  facts.job = job;
  facts.file = file;
  facts.line = p.line;
  facts.custom_id_token = p.view(p.custom_id);
  if (f.prompt.lane != no_lane) {
    const auto& lane = scheduler_->lane_at(f.prompt.lane).setup();
    facts.origin = {lane.pool,         lane.config.name(),     lane.region,
                    lane.config.model, name_of(lane.provider), lane.config.residency};
    const auto& fit = lane.takes[static_cast<std::size_t>(p.endpoint)];
    if (f.prompt.sends > 0 && !(p.features & fit.unmappable).empty())
      facts.dropped = dropped_by(p, fit);
  }
  facts.status = f.outcome.status;
  facts.request_id = f.outcome.request_id;
  facts.body = f.outcome.body;
  if (f.outcome.kind != outcome_kind::answered) {
    facts.error_code = f.outcome.error_code;
    facts.error_message = f.outcome.error_message;
  }
  facts.attempts = f.prompt.sends;
  facts.maybe_billed = f.prompt.maybe_billed;
  facts.usage = f.outcome.usage;
  const bool unpriced = f.prompt.sends > 0 && f.prompt.lane != no_lane &&
                        !scheduler_->lane_at(f.prompt.lane).setup().config.price;
  facts.cost = f.cost;
  if (unpriced && f.cost == nano_usd{}) facts.cost.reset();
  facts.service_tier = f.outcome.service_tier;
  if (f.sent_at != time_point{}) facts.sent_at = f.sent_at;
  if (f.done_at != time_point{}) facts.done_at = f.done_at;
  return make_row(facts);
}

std::string engine::row_for(const invalid_line& line) const {
  row_facts facts;
  const auto job = job_name(line.job);
  const auto file = setup_.file_name(line.file);
  facts.job = job;
  facts.file = file;
  facts.line = line.line;
  facts.custom_id_token = line.custom_id_token;
  facts.error_code = line.code;
  const auto message = file + ", line " + std::to_string(line.line) + ", byte " +
                       std::to_string(line.offset) + ": " + line.message;
  facts.error_message = message;
  if (const auto* past = scheduler_->history_of(line.where)) {
    facts.origin.pool = past->pool;
    facts.origin.lane = past->lane;
    facts.attempts = past->sends;
    facts.maybe_billed = past->maybe_billed;
    facts.cost = past->charged;
  }
  return make_row(facts);
}

}  // namespace spillway
