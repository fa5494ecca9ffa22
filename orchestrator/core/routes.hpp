// Which lanes a job's prompts may take: policy and what a prompt asks for. Fails closed: a lane
// that does not declare what is asked for is refused.
#pragma once

#include "orchestrator/core/lane.hpp"
#include "schemas/config.hpp"
#include "schemas/features.hpp"
#include "schemas/prompt.hpp"

#include <span>
#include <string>
#include <vector>

namespace spillway {

enum class route_refusal {
  none,
  not_allowed,  ///< the job names the lanes or pools it may use, and not this one
  denied,       ///< the job names it among those it may not use
  provider,
  region,
  residency,
  data_class,
  endpoint,         ///< it does not serve prompts of this url
  unmappable,       ///< the prompt asks for what it can't pass on
  embedding_model,  ///< its vectors are another model's
};
[[nodiscard]] const char* name_of(route_refusal);

/// Whether the job may use the lane, whatever the prompt.
[[nodiscard]] route_refusal refusal_of(const job_config&, const lane_setup&);
/// … and whether the lane takes prompts of this endpoint that ask for these features.
[[nodiscard]] route_refusal refusal_of(const job_config&, const lane_setup&, endpoint_kind,
                                       prompt_features);

/// What of these features keeps a prompt from the lane.
[[nodiscard]] prompt_features kept_off_by(const endpoint_fit&, prompt_features, unmappable_policy);

/// What the vectors of a lane come from: lanes that differ in it never stand in for each other.
[[nodiscard]] const std::string& embedding_identity(const lane_config&);

/// A job's weight for a lane: of its full name, else of its pool, else 0.
[[nodiscard]] std::int64_t weight_of(const route_policy&, const lane_setup&);

/// The largest set that exactly the same lanes take as take `asked`: prompts that differ only in
/// what no lane minds are alike. `limits` are sets that some lane or policy can't take any of.
[[nodiscard]] prompt_features closure(prompt_features asked,
                                      std::span<const prompt_features> limits);
/// The sets that tell lanes apart, each once: what a lane can't map, with and without what may be
/// dropped.
void add_limits(const endpoint_fit&, std::vector<prompt_features>& limits);

/// A lane that a job's prompts of a class can't use.
struct refused_route {
  std::string model, pool, lane;
  endpoint_kind endpoint{};
  route_refusal why = route_refusal::none;
  prompt_features features;  ///< that kept them off, of `unmappable`
  std::int64_t prompts = 0;  ///< queued so far
};

}  // namespace spillway
