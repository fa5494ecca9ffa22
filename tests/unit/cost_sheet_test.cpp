#include "orchestrator/cli/cost_sheet.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway {
namespace {

using testing::HasSubstr;

named_totals lane(std::string pool, std::string name, std::vector<day_cost> days) {
  named_totals out{std::move(pool), std::move(name), "m", {}};
  for (const auto& d : days) {
    out.totals.by_day.add(d);
    out.totals.calls += d.calls;
    out.totals.settled += d.settled;
    out.totals.answered += d.calls;
  }
  return out;
}

std::vector<job_costs> sample() {
  // 2026-09-20 and 2026-09-21.
  std::vector<job_costs> jobs{
      {"nightly",
       "acme",
       {lane("azure", "mini", {{20'716, 2, from_usd(3)}, {20'717, 1, from_usd(1)}})}},
      {"eval",
       "acme",
       {lane("azure", "mini", {{20'717, 4, from_usd(8)}}),
        lane("b", "x", {{20'717, 1, from_usd(0.5)}})}},
      {"other", "", {lane("b", "x", {{20'716, 1, from_usd(2)}})}}};
  // Counted before there were days.
  jobs[2].lanes[0].totals.calls += 5;
  jobs[2].lanes[0].totals.settled += from_usd(10);
  return jobs;
}

std::vector<std::pair<std::string, double>> amounts(cost_view view) {
  std::vector<std::pair<std::string, double>> out;
  for (const auto& row : cost_rows(sample(), view)) out.emplace_back(row.key, to_usd(row.settled));
  return out;
}

TEST(cost_sheet, adds_up_the_same_whatever_it_is_ordered_by) {
  using rows = std::vector<std::pair<std::string, double>>;
  EXPECT_EQ(amounts(cost_view::tenant), (rows{{"", 12}, {"acme", 12.5}}));
  EXPECT_EQ(amounts(cost_view::job), (rows{{"eval", 8.5}, {"nightly", 4}, {"other", 12}}));
  EXPECT_EQ(amounts(cost_view::lane), (rows{{"azure/mini", 12}, {"b/x", 12.5}}));
  EXPECT_EQ(amounts(cost_view::day),
            (rows{{"earlier", 10}, {"2026-09-20", 5}, {"2026-09-21", 9.5}}));
}

TEST(cost_sheet, shows_what_a_prompt_costs) {
  const auto table = cost_table(sample(), cost_view::tenant);
  EXPECT_THAT(table, HasSubstr("(none)"));
  EXPECT_THAT(table, HasSubstr("A PROMPT"));
  EXPECT_THAT(table, HasSubstr("$1.56")) << table;
  EXPECT_THAT(cost_table(sample(), cost_view::day), HasSubstr("2026-09-21"));
}

TEST(cost_sheet, as_json_has_a_list_for_each_view) {
  const auto out = cost_json(sample(), {cost_view::job, cost_view::day});
  EXPECT_DOUBLE_EQ(out.at("cost_usd").as_double(), 24.5);
  EXPECT_EQ(out.at("jobs").as_array().size(), 3u);
  EXPECT_EQ(out.at("jobs").as_array()[0].at("job").as_string(), "eval");
  EXPECT_EQ(out.at("days").as_array()[0].at("day").as_string(), "earlier");
  EXPECT_FALSE(out.contains("lanes"));
}

}  // namespace
}  // namespace spillway
