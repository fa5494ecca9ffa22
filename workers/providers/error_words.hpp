// Short words for the rows of the error tables, so that a row fits a line.
#pragma once

#include "workers/providers/errors.hpp"

namespace spillway::error_words {

inline constexpr unsigned R = act_retry, S = act_spill, Q = act_quota, D = act_reject,
                          H = act_unhealthy, A = act_stop_auth, B = act_stop_billing,
                          C = act_stop_model;
inline constexpr unsigned counts = trait_counts, doubt = trait_in_doubt, halve = trait_halve_rate,
                          firm = trait_firm, over_limit = trait_over_limit, stale = trait_stale,
                          once = trait_once, form = trait_form;
inline constexpr unsigned any = from_any, azure = from_azure, local = from_compatible,
                          aws = from_bedrock, google = from_vertex, anthropic = from_anthropic;

}  // namespace spillway::error_words
