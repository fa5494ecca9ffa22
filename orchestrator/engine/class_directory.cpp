#include "orchestrator/engine/class_directory.hpp"

namespace spillway {

class_lookup class_directory::of(job_number job) const {
  std::shared_ptr<const entry> known;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = jobs_.find(job); it != jobs_.end()) known = it->second;
  }
  ensure(known != nullptr, "lines of an unknown job");
  return
      [known](std::string_view model, endpoint_kind kind) { return look_up(*known, model, kind); };
}

std::variant<class_id, class_refusal> class_directory::look_up(const entry& job,
                                                               std::string_view model,
                                                               endpoint_kind kind) {
  const std::string name(model);
  const auto it = job.models.find(name);
  if (it == job.models.end())
    return class_refusal{"unknown_model", "no configured lane offers the model '" + name + "'"};
  if (it->second) return class_id(it->second->value() + static_cast<std::uint32_t>(kind));
  return class_refusal{"no_eligible_lane",
                       job.restricted
                           ? "none of the lanes the job may use takes the model '" + name + "'"
                           : "no lane of the model '" + name +
                                 "' stays within the job's residency (" + job.places + ")"};
}

void class_directory::put(job_number id, const scheduler& s) {
  const auto* job = s.job(id);
  ensure(job != nullptr, "an unknown job");
  entry made;
  made.restricted = !job->lanes.empty();
  for (const auto& place : job->policy.residency.value_or(std::vector<std::string>{}))
    made.places += (made.places.empty() ? "" : ", ") + place;
  for (const auto& model : s.models())
    made.models.emplace(model, s.class_for(id, model, static_cast<endpoint_kind>(0)));
  const std::lock_guard lock(mutex_);
  jobs_[id] = std::make_shared<const entry>(std::move(made));
}

void class_directory::drop(job_number id) {
  const std::lock_guard lock(mutex_);
  jobs_.erase(id);
}

}  // namespace spillway
