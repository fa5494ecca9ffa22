// What was paid, by tenant, job, lane and UTC day. Pure.
#pragma once

#include "schemas/totals.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

/// What one job paid.
struct job_costs {
  std::string job, tenant;
  std::vector<named_totals> lanes;
};

enum class cost_view { tenant, job, lane, day };
[[nodiscard]] const char* name_of(cost_view);

struct cost_row {
  std::string key;  ///< of a day 2026-01-31; "earlier" for what no kept day counts
  std::int64_t calls = 0;
  std::int64_t answered = 0;  ///< prompts; not known by day, as are the tokens
  tokens input, cached, output;
  nano_usd settled;  ///< billed, or charged in doubt
};

/// Sorted by key; days in order, what is older than they are first.
[[nodiscard]] std::vector<cost_row> cost_rows(const std::vector<job_costs>&, cost_view);

[[nodiscard]] std::string cost_table(const std::vector<job_costs>&, cost_view);
/// { "cost_usd": total, "<view>s": [...] } with a list for each view.
[[nodiscard]] boost::json::object cost_json(const std::vector<job_costs>&,
                                            const std::vector<cost_view>&);

}  // namespace spillway
