// Classes of prompts: who may take them, and in which order.
#include "orchestrator/core/scheduler.hpp"

#include <algorithm>
#include <limits>

namespace spillway {
namespace {

constexpr std::int64_t class_sets_max = 64;  // of a job's prompts of one model and endpoint

endpoint_kind endpoint_of(class_id id) {
  return static_cast<endpoint_kind>(id.value() % endpoint_kinds);
}

}  // namespace

bool scheduler::may_use(const job_setup& job, const lane_entry& entry) const {
  return !entry.gone && refusal_of(job.policy, entry.state->setup()) == route_refusal::none;
}

route_refusal scheduler::refusal_for(const class_state& cls, const lane_entry& entry) const {
  const auto& lane = entry.state->setup();
  const auto endpoint = endpoint_of(cls.id);
  const auto why = refusal_of(cls.job->setup.policy, lane, endpoint, cls.features);
  if (why != route_refusal::none || endpoint != endpoint_kind::embeddings) return why;
  const bool other =
      !cls.embedding_model.empty() && embedding_identity(lane.config) != cls.embedding_model;
  return other ? route_refusal::embedding_model : route_refusal::none;
}

/// What tells the lanes of each model and endpoint apart.
void scheduler::note_limits() {
  limits_.assign(models_.size() * endpoint_kinds, {});
  for (const auto& entry : lanes_) {
    if (entry.gone) continue;
    const auto& setup = entry.state->setup();
    const auto model = model_index_.at(setup.config.model);
    for (std::size_t e = 0; e < endpoint_kinds; ++e)
      if (setup.takes[e].serves) add_limits(setup.takes[e], limits_[model * endpoint_kinds + e]);
  }
}

/// Prompts that the same lanes take share a class.
prompt_features scheduler::class_features(const job_state& job, class_id id,
                                          prompt_features asked) const {
  const auto& limits = limits_.at(id.value());
  if (limits.empty()) return all_features;
  const auto features = closure(asked, limits);
  const auto first = job.classes.lower_bound({id, {}});
  const auto last = job.classes.lower_bound({class_id(id.value() + 1), {}});
  if (job.classes.contains({id, features}) || std::distance(first, last) < class_sets_max)
    return features;
  // Too many kinds: this one goes with whatever else its first lane takes.
  for (const auto& entry : lanes_) {
    const auto& setup = entry.state->setup();
    const auto& policy = job.setup.policy;
    if (entry.gone || setup.config.model != models_.at(id.value() / endpoint_kinds) ||
        refusal_of(policy, setup, endpoint_of(id), features) != route_refusal::none)
      continue;
    const auto& fit = setup.takes[id.value() % endpoint_kinds];
    return all_features.without(kept_off_by(
        fit, all_features, policy.routes.unmappable.value_or(unmappable_policy::restrict)));
  }
  return all_features;
}

class_state& scheduler::class_of(job_state& job, class_id id, prompt_features features) {
  auto& cls = job.classes[{id, features}];
  if (!cls) {
    cls = std::make_unique<class_state>();
    cls->job = &job;
    cls->id = id;
    cls->features = features;
    cls->model = models_.at(id.value() / endpoint_kinds);
    rank(*cls);
  }
  return *cls;
}

void scheduler::rank(class_state& cls) {
  const auto& job = *cls.job;
  cls.ranked.clear();
  for (std::uint32_t i = 0; i < lanes_.size(); ++i) {
    const auto& entry = lanes_[i];
    const auto& config = entry.state->setup().config;
    if (entry.gone || config.model != cls.model || refusal_for(cls, entry) != route_refusal::none)
      continue;
    if (endpoint_of(cls.id) == endpoint_kind::embeddings && cls.embedding_model.empty())
      cls.embedding_model = embedding_identity(config);
    cls.ranked.push_back(lane_id(i));
  }
  const auto order = job.setup.policy.order;
  const auto key = [&](lane_id id) -> std::pair<std::int64_t, double> {
    const auto& l = lane_at(id);
    if (order == lane_order::latency)
      return {0, l.mean_latency() ? seconds_of(*l.mean_latency()) : 0.0};
    if (order == lane_order::as_listed) return {};
    const auto cost = l.typical_cost(tokens(static_cast<std::int64_t>(cls.input_mean)),
                                     tokens(static_cast<std::int64_t>(cls.output_mean)));
    const auto weight =
        order == lane_order::weights ? weight_of(job.setup.policy.routes, l.setup()) : 0;
    return {-weight, cost.value_or(std::numeric_limits<double>::infinity())};
  };
  std::sort(cls.ranked.begin(), cls.ranked.end(),
            [&](lane_id a, lane_id b) { return std::pair(key(a), a) < std::pair(key(b), b); });
  std::vector<std::pair<lane_id, std::int64_t>> weights;
  if (order == lane_order::weights)
    for (const auto id : cls.ranked)
      if (const auto n = weight_of(job.setup.policy.routes, lane_at(id).setup()); n > 0)
        weights.emplace_back(id, n);
  cls.shares.set(weights);
  cls.shares.order(cls.ranked);
}

void scheduler::rank_lanes(time_point now) {
  if (ranked_at_ != time_point{} && now - ranked_at_ < std::chrono::seconds(1)) return;
  ranked_at_ = now;
  for (auto* job : working_)
    for (auto* cls : job->work) rank(*cls);
}

std::optional<class_id> scheduler::class_for(job_number id, std::string_view model,
                                             endpoint_kind kind) const {
  const auto it = model_index_.find(std::string(model));
  const auto job = jobs_.find(id);
  if (it == model_index_.end() || job == jobs_.end()) return std::nullopt;
  const bool some = std::any_of(lanes_.begin(), lanes_.end(), [&](const lane_entry& l) {
    return l.state->setup().config.model == model && may_use(job->second->setup, l);
  });
  if (!some) return std::nullopt;
  return class_id(
      static_cast<std::uint32_t>(it->second * endpoint_kinds + static_cast<std::size_t>(kind)));
}

bool scheduler::offers(std::string_view model) const {
  return std::any_of(lanes_.begin(), lanes_.end(), [&](const lane_entry& l) {
    return !l.gone && l.state->setup().config.model == model;
  });
}

std::vector<std::string> scheduler::models() const {
  std::vector<std::string> offered;
  for (const auto& model : models_)
    if (offers(model)) offered.push_back(model);
  return offered;
}

std::vector<lane_id> scheduler::lanes_of(std::string_view model) const {
  std::vector<lane_id> found;
  for (std::uint32_t i = 0; i < lanes_.size(); ++i)
    if (!lanes_[i].gone && lanes_[i].state->setup().config.model == model)
      found.push_back(lane_id(i));
  return found;
}

std::vector<refused_route> scheduler::refused_routes(job_number id) const {
  std::vector<refused_route> out;
  const auto job = jobs_.find(id);
  if (job == jobs_.end()) return out;
  for (const auto& [key, cls] : job->second->classes) {
    if (cls->prompts == 0) continue;
    for (const auto& entry : lanes_) {
      const auto& lane = entry.state->setup();
      if (entry.gone || lane.config.model != cls->model) continue;
      const auto why = refusal_for(*cls, entry);
      if (why == route_refusal::none) continue;
      const auto endpoint = endpoint_of(cls->id);
      prompt_features features;
      if (why == route_refusal::unmappable)
        features = kept_off_by(
            lane.takes[static_cast<std::size_t>(endpoint)], cls->asked,
            job->second->setup.policy.routes.unmappable.value_or(unmappable_policy::restrict));
      out.push_back(
          {cls->model, lane.pool, lane.config.name(), endpoint, why, features, cls->prompts});
    }
  }
  return out;
}

}  // namespace spillway
