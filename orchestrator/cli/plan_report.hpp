// A plan as values: what a batch would cost and how long it would take, lane by
// lane. Pure.
#pragma once

#include "orchestrator/cli/plan_scan.hpp"
#include "schemas/config.hpp"

#include <boost/json/object.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace spillway {

struct planned_model {
  std::int64_t prompts = 0;
  double input = 0;                             ///< estimated tokens
  tokens max_output;                            ///< of the prompts that say one
  std::int64_t unbounded = 0;                   ///< prompts that say none
  std::map<std::string, std::int64_t> refused;  ///< prompts no lane takes, by reason
};

struct planned_lane {
  std::string pool, lane, model;
  std::int64_t eligible = 0;                    ///< prompts it may take
  std::map<std::string, std::int64_t> refused;  ///< prompts of its model it may not, by reason
  bool priced = false;
  nano_usd bound, expected;       ///< of all it may take
  std::optional<duration> alone;  ///< until it has answered all it may take; nothing: never
  std::int64_t split = 0;         ///< prompts that are expected to go there
  nano_usd split_cost;            ///< of those, expected
};

struct plan_report {
  std::int64_t prompts = 0, bad = 0;
  std::vector<std::string> bad_shown;
  std::map<std::string, planned_model> models;
  std::vector<planned_lane> lanes;
  std::int64_t sent = 0;  ///< prompts that some lane takes
  bool priced = true;     ///< every lane that takes some has a price
  nano_usd bound;         ///< of the job, whichever lanes its prompts take
  nano_usd expected;
  std::optional<nano_usd> budget;
  std::optional<duration> finish;  ///< nothing: some wait for ever
};

struct plan_assumptions {
  std::optional<duration> latency;  ///< of a call; absent: by its expected output
};

[[nodiscard]] plan_report make_report(const planned_batch&, const std::vector<lane_setup>&,
                                      const job_config&, const plan_assumptions&, time_point now);

[[nodiscard]] std::string render(const plan_report&);
[[nodiscard]] boost::json::object to_json(const plan_report&);

}  // namespace spillway
