#include "orchestrator/engine/engine.hpp"

#include "connectors/rows.hpp"

#include <algorithm>

namespace spillway {
namespace {

// First readings asked for ahead of what was taken in.
constexpr std::size_t first_readings_out_max = 8;
constexpr std::uint64_t commits_open_max = 64;
constexpr std::size_t parallel_from = 256;  // items below which threads cost more than they save

/// Runs `work` on all items, in chunks, in parallel when there are enough of them.
template <class Work>
void for_items(parallel_runner& runner, std::size_t count, Work work) {
  if (count < parallel_from) {
    for (std::size_t i = 0; i < count; ++i) work(i);
    return;
  }
  constexpr std::size_t chunk = 64;
  runner.for_each((count + chunk - 1) / chunk, [&](std::size_t c) {
    for (std::size_t i = c * chunk; i < std::min(count, (c + 1) * chunk); ++i) work(i);
  });
}

}  // namespace

struct engine::stripes_adapter final : stripe_runner {
  explicit stripes_adapter(parallel_runner& r) : runner(r) {}
  void for_each_stripe(std::size_t items, const std::function<void(std::size_t)>& work) override {
    if (items >= parallel_from) return runner.for_each(stripe_count, work);
    for (std::size_t s = 0; s < stripe_count; ++s) work(s);
  }
  parallel_runner& runner;
};

engine::engine(time_point now) : started_at_(now), recent_answers_(now) {}
engine::~engine() = default;

result<std::unique_ptr<engine>> engine::make(engine_setup setup,
                                             const std::vector<std::int64_t>& slots,
                                             recovered_log log, time_point now) {
  std::unique_ptr<engine> e(new engine(now));
  e->setup_ = std::move(setup);
  std::vector<lane_setup> lanes;
  const auto& pools = e->setup_.config.pools;
  for (std::uint32_t p = 0; p < pools.size(); ++p) {
    auto credentials = make_authenticator(pools[p]);
    if (!credentials) return credentials.error();
    e->pools_.push_back({make_provider(pools[p]), *std::move(credentials)});
    const provider* adapter = e->pools_.back().adapter.get();
    for (const auto& lane : pools[p].lanes) {
      lane_setup s;
      s.pool = pools[p].name;
      s.pool_index = pool_id(p);
      s.config = lane;
      s.slots = slots[p];
      s.sliced = pools[p].provider == provider_kind::azure_openai;
      s.rate_charge = [adapter](tokens input, tokens max_output, tokens expected) {
        return adapter->rate_charge({input, max_output, expected});
      };
      const bool known = std::any_of(log.totals.begin(), log.totals.end(), [&](const auto& t) {
        return t.pool == s.pool && t.lane == lane.name();
      });
      if (!known) log.totals.push_back({s.pool, lane.name(), lane.model, {}});
      lanes.push_back(std::move(s));
    }
  }
  e->first_group_.attempts = end_open_sends(log.attempts, log.totals);
  e->in_doubt_at_start_ = static_cast<std::int64_t>(e->first_group_.attempts.size());
  e->scheduler_ = std::make_unique<scheduler>(
      scheduler_settings{e->setup_.config.job, e->setup_.seed, e->setup_.window_bytes},
      std::move(lanes), log.totals, log.attempts, now);
  for (auto& t : log.totals) {
    bool configured = false;
    for (std::uint32_t i = 0; i < e->scheduler_->lane_count(); ++i) {
      const auto& s = e->scheduler_->lane_at(lane_id(i)).setup();
      configured = configured || (s.pool == t.pool && s.config.name() == t.lane);
    }
    if (!configured) e->retired_.push_back(std::move(t));
  }
  for (const auto& shard : log.shards) {
    e->ledger_.add(shard.where, shard.done);
    e->indexed_bytes_ += shard.where.length;
    e->classified_.push_back(false);
  }
  for (const auto id : e->ledger_.unfinished()) e->unclassified_.push_back(id);
  e->resumed_ = e->ledger_.finished();
  e->answered_ = log.answered;
  e->errors_ = log.errors;
  e->invalid_ = log.invalid;
  e->adopted_ = log.adopted;
  e->input_bytes_ = log.input_bytes;
  return e;
}

class_lookup engine::lookup() const {
  const scheduler* s = scheduler_.get();
  const auto residency = setup_.config.job.residency;
  return [s, residency](std::string_view model,
                        endpoint_kind kind) -> std::variant<class_id, class_refusal> {
    if (const auto cls = s->class_for(model, kind)) return *cls;
    if (!s->offers(model))
      return class_refusal{"unknown_model",
                           "no configured lane offers the model '" + std::string(model) + "'"};
    std::string places;
    for (const auto& place : residency.value_or(std::vector<std::string>{}))
      places += (places.empty() ? "" : ", ") + place;
    return class_refusal{"no_eligible_lane", "no lane of the model '" + std::string(model) +
                                                 "' stays within the job's residency (" + places +
                                                 ")"};
  };
}

void engine::connect(partition_log& log, transport& net, shard_reader& reader,
                     parallel_runner& runner) {
  log_ = &log;
  net_ = &net;
  reader_ = &reader;
  runner_ = &runner;
  stripes_ = std::make_unique<stripes_adapter>(runner);
}

time_point engine::step(time_point now, engine_events events) {
  if (events.broken && !broken_) {
    broken_ = events.broken;
    stop_reason_ = broken_->message;
    net_->cancel_all();
    done_ = true;
  }
  if (done_) return time_never;
  if (events.input_failed && !broken_) {
    broken_ = events.input_failed;
    events.drain = true;
  }
  if (events.durable) durable_ = std::max(durable_, *events.durable);
  if (events.drain && !draining_) net_->cancel_queued();
  draining_ = draining_ || events.drain || events.abort;
  if (events.abort && !aborting_) net_->cancel_all();
  aborting_ = aborting_ || events.abort;
  for (auto& back : release_sends()) events.calls.push_back(std::move(back));

  tick_events tick;
  commit_group group = std::move(first_group_);
  first_group_ = {};
  tick.calls = decode(std::move(events.calls));
  for (auto& shard : events.shards) take_shard(std::move(shard), tick, group);
  if (events.input_end) {
    input_read_ = true;
    next_out_ = false;
    --first_readings_out_;
  }
  // A shard whose lines are all invalid never reaches the scheduler: the end is known only here.
  tick.input_read = input_read_ && unclassified_.empty() && first_readings_out_ == 0;
  tick.drain = draining_;
  auto actions = scheduler_->tick(now, std::move(tick), *stripes_);

  for (auto& record : actions.ended) group.attempts.push_back(std::move(record));
  std::vector<waiting_send> sends;
  encode_sends(now, actions, group, sends);
  write_rows(actions.finishes, group);
  for (const auto& finish : actions.finishes)
    if (finish.outcome.kind == outcome_kind::answered) recent_answers_.add(now, 1);
  commit(std::move(group), std::move(sends));
  for (const auto id : actions.load) reader_->read_again(ledger_.at(id));
  request_shards();
  note_stop(actions);
  log_lane_changes(now);
  return actions.wake;
}

void engine::release(commit_seq durable) {
  durable_ = std::max(durable_, durable);
  if (!draining_ && !done_) release_sends();
}

/// Sends what is durable; when draining, gives it back unsent instead.
std::vector<call_result> engine::release_sends() {
  std::vector<call_result> unsent;
  std::unordered_map<lane_id, std::vector<outgoing_call>> ready;
  for (; !waiting_sends_.empty() && waiting_sends_.front().intent <= durable_;
       waiting_sends_.pop_front()) {
    auto& send = waiting_sends_.front();
    if (!draining_) {
      ready[send.lane].push_back(std::move(send.call));
      continue;
    }
    unsent.emplace_back();
    unsent.back().id = send.call.id;
    unsent.back().error = transport_error::cancelled;
  }
  for (auto& [lane, calls] : ready) net_->submit(lane, std::move(calls));
  return unsent;
}

std::vector<call_ended> engine::decode(std::vector<call_result>&& calls) {
  std::vector<call_ended> ended(calls.size());
  std::vector<open_call> opened(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto it = calls_.find(calls[i].id);
    ensure(it != calls_.end(), "an answer to an unknown call");
    opened[i] = it->second;
    calls_.erase(it);
  }
  for_items(*runner_, calls.size(), [&](std::size_t i) {
    const auto& open = opened[i];
    const auto pool = scheduler_->lane_at(open.lane).setup().pool_index.value();
    ended[i] = {open.where, calls[i].id,
                pools_[pool].adapter->decode(url_of(open.endpoint), calls[i]), calls[i].sent_at,
                calls[i].done_at};
  });
  return ended;
}

void engine::take_shard(parsed_shard&& shard, tick_events& tick, commit_group& group) {
  const auto id = shard.record.where.id;
  const bool fresh = !ledger_.knows(id);
  if (fresh) {
    ledger_.add(shard.record.where);
    classified_.push_back(false);
    indexed_bytes_ += shard.record.where.length;
    group.shards.push_back(std::move(shard.record));
    next_out_ = false;
  }
  shard_loaded loaded{id, !classified_[id.value()], std::move(shard.prompts)};
  std::erase_if(loaded.prompts, [&](const prompt& p) { return ledger_.done(p.where); });
  if (loaded.first_reading) {
    classified_[id.value()] = true;
    --first_readings_out_;
    for (const auto& line : shard.invalid) {
      if (ledger_.done(line.where)) continue;
      ledger_.finish(line.where);
      ++errors_;
      ++invalid_;
      group.finished.push_back({line.where, row_kind::invalid, row_for(line)});
    }
  }
  tick.shards.push_back(std::move(loaded));
}

void engine::request_shards() {
  // Rows and records that wait for the disk are kept in memory: the disk sets the pace.
  if (draining_ || next_commit_.value() - durable_.value() > commits_open_max) return;
  while (first_readings_out_ < first_readings_out_max) {
    if (!unclassified_.empty()) {
      reader_->read_again(ledger_.at(unclassified_.front()));
      unclassified_.pop_front();
    } else if (!input_read_ && !next_out_) {
      reader_->read_next();
      next_out_ = true;
    } else {
      return;
    }
    ++first_readings_out_;
  }
}

void engine::encode_sends(time_point now, const tick_actions& actions, commit_group& group,
                          std::vector<waiting_send>& sends) {
  sends.resize(actions.sends.size());
  for_items(*runner_, sends.size(), [&](std::size_t i) {
    const auto& active = *actions.sends[i].prompt;
    const auto& p = active.what;
    const auto& lane = scheduler_->lane_at(active.lane).setup();
    const auto& pool = pools_[lane.pool_index.value()];
    const prompt_view view{url_of(p.endpoint), p.view(p.body), p.model.offset - p.body.offset,
                           p.model.length};
    sends[i].lane = active.lane;
    sends[i].call = {actions.sends[i].call, pool.adapter->encode(view, lane.config)};
    pool.credentials->authenticate(sends[i].call.request);
  });
  for (const auto& send : actions.sends) {
    group.attempts.push_back(scheduler_->record_of(*send.prompt, now));
    calls_.emplace(send.call, open_call{send.prompt->what.where, send.prompt->lane,
                                        send.prompt->what.endpoint});
  }
}

void engine::write_rows(std::vector<finish_action>& finishes, commit_group& group) {
  const auto first = group.finished.size();
  group.finished.resize(first + finishes.size());
  for_items(*runner_, finishes.size(), [&](std::size_t i) {
    const auto& f = finishes[i];
    const bool answered = f.outcome.kind == outcome_kind::answered;
    group.finished[first + i] = {f.prompt.what.where,
                                 answered ? row_kind::answered : row_kind::failed, row_for(f)};
  });
  for (const auto& f : finishes) {
    ledger_.finish(f.prompt.what.where);
    ++(f.outcome.kind == outcome_kind::answered ? answered_ : errors_);
  }
}

std::string engine::row_for(const finish_action& f) const {
  const auto& p = f.prompt.what;
  row_facts facts;
  facts.job = setup_.job_name;
  facts.file = setup_.file_names[p.file.value()];
  facts.line = p.line;
  facts.custom_id_token = p.view(p.custom_id);
  if (f.prompt.lane != no_lane) {
    const auto& lane = scheduler_->lane_at(f.prompt.lane).setup();
    facts.origin = {lane.pool, lane.config.name(),
                    setup_.config.pools[lane.pool_index.value()].region, lane.config.model};
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
  facts.cost = f.cost;
  if (f.sent_at != time_point{}) facts.sent_at = f.sent_at;
  if (f.done_at != time_point{}) facts.done_at = f.done_at;
  return make_row(facts);
}

std::string engine::row_for(const invalid_line& line) const {
  row_facts facts;
  facts.job = setup_.job_name;
  facts.file = setup_.file_names[line.file.value()];
  facts.line = line.line;
  facts.custom_id_token = line.custom_id_token;
  facts.error_code = line.code;
  const auto message = std::string(facts.file) + ", line " + std::to_string(line.line) + ", byte " +
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

void engine::commit(commit_group&& group, std::vector<waiting_send>&& sends) {
  if (group.empty()) return;
  group.totals = totals();
  for (auto& send : sends) {
    send.intent = next_commit_;
    waiting_sends_.push_back(std::move(send));
  }
  log_->append(next_commit_, std::move(group));
  next_commit_ = commit_seq(next_commit_.value() + 1);
}

void engine::note_stop(const tick_actions& actions) {
  if (actions.stop != stop_cause::none && stopped_ == stop_cause::none) {
    stopped_ = actions.stop;
    stop_reason_ = actions.stop_reason;
    if (stopped_ == stop_cause::drained) stop_reason_ = "asked to stop";
    if (broken_) stop_reason_ = broken_->message;
    draining_ = true;
  }
  if (stopped_ != stop_cause::none && durable_.value() + 1 == next_commit_.value()) done_ = true;
}

std::vector<named_totals> engine::totals() const {
  auto all = retired_;
  for (std::uint32_t i = 0; i < scheduler_->lane_count(); ++i) {
    const auto& lane = scheduler_->lane_at(lane_id(i));
    all.push_back(
        {lane.setup().pool, lane.setup().config.name(), lane.setup().config.model, lane.totals()});
  }
  return all;
}

}  // namespace spillway
