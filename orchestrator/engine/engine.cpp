#include "orchestrator/engine/engine.hpp"

#include "orchestrator/engine/lane_setups.hpp"

#include "orchestrator/engine/for_items.hpp"

#include <algorithm>

namespace spillway {

prompt_view view_of(const prompt& p) {
  return {url_of(p.endpoint), p.view(p.body), p.model.offset - p.body.offset, p.model.length,
          p.max_output > tokens{}};
}

struct engine::stripes_adapter final : stripe_runner {
  explicit stripes_adapter(parallel_runner& r) : runner(r) {}
  void for_each_stripe(std::size_t items, const std::function<void(std::size_t)>& work) override {
    if (items >= parallel_from) return runner.for_each(stripe_count, work);
    for (std::size_t s = 0; s < stripe_count; ++s) work(s);
  }
  parallel_runner& runner;
};

engine::engine(time_point now)
    : directory_(std::make_shared<class_directory>()), started_at_(now), recent_answers_(now) {}
engine::~engine() = default;

result<std::unique_ptr<engine>> engine::make(engine_setup setup,
                                             const std::vector<std::int64_t>& slots,
                                             time_point now) {
  std::unique_ptr<engine> e(new engine(now));
  e->setup_ = std::move(setup);
  auto made = e->make_pools(e->setup_.pools, slots);
  if (!made) return made.error();
  e->scheduler_ = std::make_unique<scheduler>(
      scheduler_settings{.seed = e->setup_.seed,
                         .window_bytes = e->setup_.window_bytes,
                         .gives_up = !e->setup_.endless,
                         .features_of = [](const prompt& p) { return features_of(view_of(p)); }},
      made->lanes, now);
  e->nets_.emplace_back();
  e->take_pools(*std::move(made), 0);
  return e;
}

result<engine::new_pools> engine::make_pools(const std::vector<pool_config>& pools,
                                             const std::vector<std::int64_t>& slots) {
  new_pools made;
  for (std::size_t p = 0; p < pools.size(); ++p) {
    auto credentials =
        setup_.authenticators ? setup_.authenticators(pools[p]) : make_authenticator(pools[p]);
    if (!credentials) return credentials.error();
    const auto named = std::find(pool_names_.begin(), pool_names_.end(), pools[p].name);
    const auto index = static_cast<std::uint32_t>(named - pool_names_.begin());
    if (named == pool_names_.end()) pool_names_.push_back(pools[p].name);
    const std::shared_ptr<const provider> adapter = make_provider(pools[p]);
    auto& parts = *made.parts.emplace_back(std::make_unique<pool_parts>());
    parts.id = pool_id(index);
    parts.adapter = adapter;
    parts.credentials = *std::move(credentials);
    for (const auto& lane : pools[p].lanes) {
      auto s = make_lane_setup(pools[p], lane, adapter, slots[p]);
      s.pool_index = parts.id;
      const auto there = lane_id(static_cast<std::uint32_t>(made.lanes.size()));
      made.routes.push_back({&parts, 0, there});
      made.lanes.push_back(std::move(s));
    }
  }
  return made;
}

/// The scheduler has the lanes already.
void engine::take_pools(new_pools&& made, std::size_t net) {
  routes_.assign(scheduler_->lane_count(), lane_route{});
  for (const auto& pool : pools_) {
    former_pools_ += pool->former ? 0 : 1;
    pool->former = true;
  }
  for (std::size_t i = 0; i < made.routes.size(); ++i) {
    const auto id = scheduler_->find_lane(made.lanes[i].pool, made.lanes[i].config.name());
    made.routes[i].net = net;
    routes_[id->value()] = made.routes[i];
  }
  std::move(made.parts.begin(), made.parts.end(), std::back_inserter(pools_));
}

result<void> engine::reconfigure(std::vector<pool_config> pools,
                                 const std::vector<std::int64_t>& slots, transport& net,
                                 time_point now) {
  auto made = make_pools(pools, slots);
  if (!made) return made.error();
  setup_.pools = std::move(pools);
  scheduler_->set_lanes(made->lanes, now);
  nets_.push_back({&net, 0});
  for (const auto& parts : made->parts) scheduler_->hold_pool(parts->id, std::nullopt, now);
  take_pools(*std::move(made), nets_.size() - 1);
  drop_former_pools();
  for (const auto id : scheduler_->jobs()) {
    directory_->put(id, *scheduler_);
    audit_job(id, now);
  }
  return {};
}

job_lookup engine::lookup() const {
  return [directory = directory_](job_number job) { return directory->of(job); };
}

void engine::connect(transport& net, shard_reader& reader, parallel_runner& runner) {
  nets_.front().net = &net;
  reader_ = &reader;
  runner_ = &runner;
  stripes_ = std::make_unique<stripes_adapter>(runner);
}

bool engine::uses(const transport& net) const {
  return std::any_of(nets_.begin(), nets_.end(),
                     [&](const net_use& use) { return use.net == &net && use.open > 0; });
}

void engine::put_job(job_number id, job_setup setup, time_point now) {
  scheduler_->put_job(id, std::move(setup));
  directory_->put(id, *scheduler_);
  audit_job(id, now);
}

bool engine::idle(job_number id) const { return scheduler_->idle(id); }

void engine::drop_job(job_number id) {
  scheduler_->drop_job(id);
  directory_->drop(id);
  audited_.erase(id);
  std::erase_if(refused_prompts_, [&](const auto& entry) { return entry.first.first == id; });
  each_partition([&](partition_work& work) { work.counts.erase(id); });
}

void engine::set_share(quota_share share, time_point now) {
  scheduler_->set_share(std::move(share), now);
}

time_point engine::step(time_point now, engine_events events) {
  for (auto& p : events.partitions) note_log(p, events);
  each_partition([&](partition_work& work) { note_suspects(work, false); });
  if (done_) return time_never;
  if (events.drain && !draining_)
    for (auto& use : nets_)
      if (use.open > 0) use.net->cancel_queued();
  draining_ = draining_ || events.drain || events.abort;
  if (events.abort && !aborting_)
    for (auto& use : nets_)
      if (use.open > 0) use.net->cancel_all();
  aborting_ = aborting_ || events.abort;
  each_partition([&](partition_work& work) { release_sends(work, &events.calls); });

  for (auto& back : std::exchange(given_back_, {})) events.calls.push_back(std::move(back));

  tick_events tick;
  tick.calls = decode(std::move(events.calls), now);
  drop_former_pools();
  tick.input_read = !setup_.endless;
  for (auto& p : events.partitions) {
    auto* work = find(p.partition);
    if (work == nullptr) continue;
    take_news(*work, p.news, now);
    for (auto& shard : p.shards) take_shard(*work, std::move(shard), tick, now);
    if (!p.input_end) continue;
    work->input_read = true;
    work->next_out = false;
    --work->first_readings_out;
  }
  // A shard whose lines are all invalid never reaches the scheduler: the end is known only here.
  for (const auto& [id, work] : partitions_)
    tick.input_read = tick.input_read && work->all_queued();
  tick.drain = draining_;
  const auto look = look_at_credentials(now);
  auto actions = scheduler_->tick(now, std::move(tick), *stripes_);

  for (auto& ended : actions.ended)
    if (auto* work = find(ended.owner)) {
      work->group.attempts.push_back(std::move(ended));
      work->changed = true;
    }
  for (const auto owner : actions.charged)
    if (auto* work = find(owner)) work->changed = true;
  for (const auto owner : actions.suspects) {
    auto* work = find(owner);
    if (work == nullptr) {
      scheduler_->suspect_recorded();
      continue;
    }
    work->group.firm = work->changed = true;
    ++work->suspects_ended;
  }
  encode_sends(now, actions);
  write_rows(actions.finishes, now);
  for (const auto& load : actions.load)
    read_again(*find(load.partition), load.shard, reading::load);
  each_partition([&](partition_work& work) { commit(work); });
  for (const auto& [id, work] : partitions_) request_shards(*work);
  forget_left();
  note_stop(actions);
  log_lane_changes(now);
  if (!given_back_.empty()) return now;
  return std::min(actions.wake, look);
}

void engine::note_stop(const tick_actions& actions) {
  if (actions.stop != stop_cause::none && stopped_ == stop_cause::none) {
    stopped_ = actions.stop;
    stop_reason_ = actions.stop_reason;
    if (stopped_ == stop_cause::drained) stop_reason_ = "asked to stop";
    if (broken_) stop_reason_ = broken_->message;
    draining_ = true;
  }
  if (stopped_ == stop_cause::none) return;
  bool durable = true;
  each_partition(
      [&](const partition_work& work) { durable = durable && work.commits_open() == 0; });
  if (durable) done_ = true;
}

}  // namespace spillway
