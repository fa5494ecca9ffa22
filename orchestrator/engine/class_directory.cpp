#include "orchestrator/engine/class_directory.hpp"

#include "workers/input_bound.hpp"

#include <algorithm>

namespace spillway {
namespace {

std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

std::string listed(const std::vector<std::string_view>& names) {
  std::string out;
  for (const auto name : names) out.append(out.empty() ? "" : ", ").append(name);
  return out;
}

/// None of the lanes of a model may take the job's prompts: why not.
class_refusal no_route(const job_setup& job, const std::string& model,
                       const std::vector<const lane_setup*>& lanes) {
  const bool by_residency = std::all_of(lanes.begin(), lanes.end(), [&](const lane_setup* lane) {
    return refusal_of(job.policy, *lane) == route_refusal::residency;
  });
  if (!by_residency)
    return {"no_eligible_lane",
            "none of the lanes the job may use takes the model " + quoted(model)};
  const auto places = job.policy.residency.value_or(std::vector<std::string>{});
  return {"no_eligible_lane", "no lane of the model " + quoted(model) +
                                  " stays within the job's residency (" +
                                  listed({places.begin(), places.end()}) + ")"};
}

/// Lanes whose vectors are not known to be the same model's must not stand in for each other.
std::optional<class_refusal> mixed_vectors(const std::string& model,
                                           const std::vector<const lane_setup*>& lanes) {
  const auto& first = *lanes.front();
  for (const auto* lane : lanes) {
    if (embedding_identity(lane->config) == embedding_identity(first.config)) continue;
    return class_refusal{
        "ambiguous_embedding_model",
        "lanes " + first.pool + "/" + first.config.name() + " and " + lane->pool + "/" +
            lane->config.name() + " both offer " + quoted(model) +
            " under different names: give them the same embedding_model if their vectors are the "
            "same model's, or other models' names"};
  }
  return std::nullopt;
}

class_refusal unmappable(std::string_view model, prompt_features kept_off,
                         const prompt_view& prompt) {
  const auto keys = parameters_of(prompt, kept_off);
  return {"unmappable", "no lane the job may use takes all of this for the model " + quoted(model) +
                            ": " + listed(names_of(kept_off)) + " (" +
                            listed({keys.begin(), keys.end()}) + ")"};
}

}  // namespace

class_lookup class_directory::of(job_number job) const {
  std::shared_ptr<const entry> known;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = jobs_.find(job); it != jobs_.end()) known = it->second;
  }
  ensure(known != nullptr, "lines of an unknown job");
  return [known](std::string_view model, endpoint_kind kind, const prompt_view& view) {
    return look_up(*known, model, kind, view);
  };
}

class_verdict class_directory::look_up(const entry& job, std::string_view model, endpoint_kind kind,
                                       const prompt_view& view) {
  const auto it = job.models.find(std::string(model));
  if (it == job.models.end())
    return class_refusal{"unknown_model", "no configured lane offers the model " + quoted(model)};
  const auto& to = it->second[static_cast<std::size_t>(kind)];
  if (to.refusal) return *to.refusal;
  if (job.capped)
    if (const auto key = unbounded_input(view); !key.empty())
      return class_refusal{"unbounded_input",
                           "what " + key +
                               " brings in is billed and not in the body: a job with a budget "
                               "cannot reserve for it"};
  return route(to, model, view);
}

class_verdict class_directory::route(const target& to, std::string_view model,
                                     const prompt_view& view) {
  if (!to.look) return class_choice{to.cls};
  const auto asked = features_of(view);
  prompt_features kept_off;
  for (const auto limit : to.limits) {
    if ((asked & limit).empty()) return class_choice{to.cls, asked};
    kept_off |= asked & limit;
  }
  return unmappable(model, kept_off, view);
}

class_directory::targets class_directory::targets_of(const job_setup& job, job_number id,
                                                     const std::string& model, const scheduler& s) {
  targets out;
  std::vector<const lane_setup*> all, usable;
  for (const auto lane : s.lanes_of(model)) {
    all.push_back(&s.lane_at(lane).setup());
    if (refusal_of(job.policy, *all.back()) == route_refusal::none) usable.push_back(all.back());
  }
  const auto policy = job.policy.routes.unmappable.value_or(unmappable_policy::restrict);
  for (std::size_t e = 0; e < endpoint_kinds; ++e) {
    auto& to = out[e];
    const auto kind = static_cast<endpoint_kind>(e);
    const auto cls = s.class_for(id, model, kind);
    if (!cls) {
      to.refusal = no_route(job, model, all);
      continue;
    }
    to.cls = *cls;
    std::vector<const lane_setup*> serving;
    for (const auto* lane : usable) {
      if (!lane->takes[e].serves) continue;
      serving.push_back(lane);
      to.limits.push_back(kept_off_by(lane->takes[e], all_features, policy));
    }
    // With a budget, more is reserved for some of what a prompt may ask for.
    to.look = job.policy.budget || std::any_of(all.begin(), all.end(), [&](const lane_setup* lane) {
                return lane->takes[e].serves && !lane->takes[e].unmappable.empty();
              });
    if (serving.empty())
      to.refusal =
          class_refusal{"unmappable", "no lane the job may use takes " + std::string(url_of(kind)) +
                                          " for the model " + quoted(model)};
    else if (kind == endpoint_kind::embeddings)
      to.refusal = mixed_vectors(model, serving);
  }
  return out;
}

void class_directory::put(job_number id, const scheduler& s) {
  const auto* job = s.job(id);
  ensure(job != nullptr, "an unknown job");
  entry made;
  for (const auto& model : s.models()) made.models.emplace(model, targets_of(*job, id, model, s));
  std::vector<std::pair<std::string, targets>> aliases;
  for (const auto& [alias, model] : job->policy.routes.models)
    if (const auto it = made.models.find(model); it != made.models.end())
      aliases.emplace_back(alias, it->second);
  made.capped = job->policy.budget.has_value();
  for (auto& [alias, to] : aliases) made.models.insert_or_assign(alias, std::move(to));
  const std::lock_guard lock(mutex_);
  jobs_[id] = std::make_shared<const entry>(std::move(made));
}

void class_directory::drop(job_number id) {
  const std::lock_guard lock(mutex_);
  jobs_.erase(id);
}

}  // namespace spillway
