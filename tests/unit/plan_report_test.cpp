#include "orchestrator/cli/plan_report.hpp"

#include "orchestrator/core/money.hpp"
#include "tests/support/temp_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr time_point noon = std::chrono::sys_days(std::chrono::year(2026) / 9 / 20) + 12h;

lane_setup lane(std::string pool, std::int64_t input_usd, std::int64_t rpm) {
  lane_setup s;
  s.pool = std::move(pool);
  s.config.model = s.config.as = "m";
  s.config.quota.rpm = rpm;
  s.config.price = price_config{};
  s.config.price->input = pico_usd_per_token(input_usd * 1'000'000);
  s.slots = 100;
  s.rate_charge = [](tokens input, tokens, tokens) { return input; };
  return s;
}

/// `n` prompts of 100 input tokens at each lane's price.
planned_batch batch(const std::vector<lane_setup>& lanes, std::int64_t n,
                    prompt_features features = {}) {
  planned_batch out;
  prompt_kind kind;
  kind.model = "m";
  kind.features = features;
  auto& sums = out.kinds[kind];
  sums.prompts = n;
  sums.input = 100.0 * static_cast<double>(n);
  sums.max_output = tokens(10 * n);
  for (const auto& l : lanes) {
    lane_sums one;
    one.lane = sums.lanes.size();
    one.expected = cost_of(tokens(100 * n), l.config.price->input);
    one.bound = one.expected * 4;
    one.charge = sums.input;
    sums.lanes.push_back(one);
  }
  return out;
}

TEST(plan_report, splits_by_quota_and_adds_up) {
  const std::vector<lane_setup> lanes{lane("dear", 3, 600), lane("cheap", 1, 1'800)};
  const auto r = make_report(batch(lanes, 4'000), lanes, {}, {1s}, noon);
  EXPECT_EQ(r.sent, 4'000);
  EXPECT_EQ(r.lanes[0].split, 1'000);
  EXPECT_EQ(r.lanes[1].split, 3'000);
  EXPECT_NEAR(seconds_of(*r.finish), 101, 1);
  EXPECT_NEAR(seconds_of(*r.lanes[0].alone), 401, 1);
  EXPECT_EQ(r.lanes[0].expected, from_usd(1.2));
  EXPECT_NEAR(to_usd(r.expected), 0.3 + 0.3, 1e-6);
  EXPECT_EQ(r.bound, from_usd(4.8)) << "the dearest lane may take all of it";
}

TEST(plan_report, lanes_that_may_not_take_a_prompt_say_why) {
  std::vector<lane_setup> lanes{lane("a", 1, 60), lane("b", 1, 60), lane("c", 1, 60)};
  lanes[0].config.residency = {"us"};
  lanes[1].takes[0].unmappable = prompt_feature::tools;
  lanes[2].config.residency = {"eu"};
  lanes[1].config.residency = {"eu"};
  job_config job;
  job.residency = {{"eu"}};
  const auto r = make_report(batch(lanes, 10, prompt_feature::tools), lanes, job, {}, noon);
  EXPECT_EQ(r.lanes[0].refused.begin()->first, "residency");
  EXPECT_EQ(r.lanes[1].refused.begin()->first, "unmappable: tools");
  EXPECT_EQ(r.lanes[2].eligible, 10);
  EXPECT_EQ(r.lanes[2].split, 10);
  job.residency = {{"jp"}};
  const auto none = make_report(batch(lanes, 10), lanes, job, {}, noon);
  EXPECT_EQ(none.sent, 0);
  EXPECT_EQ(none.models.at("m").refused.at("residency"), 10);
  EXPECT_THAT(render(none), HasSubstr("No lane takes any"));
}

TEST(plan_report, judges_the_budget_and_unknown_prices) {
  std::vector<lane_setup> lanes{lane("a", 1, 600)};
  job_config job;
  job.budget = from_usd(100);
  const auto rendered = [&] {
    return render(make_report(batch(lanes, 1'000), lanes, job, {}, noon));
  };
  EXPECT_THAT(rendered(), HasSubstr("enough whatever happens"));
  job.budget = from_usd(0.2);
  EXPECT_THAT(rendered(), HasSubstr("enough if answers are as long as expected"));
  job.budget = from_usd(0.05);
  EXPECT_THAT(rendered(), HasSubstr("not enough"));
  lanes[0].config.price.reset();
  const auto unpriced = make_report(batch({lane("a", 1, 1)}, 10), lanes, {}, {}, noon);
  EXPECT_THAT(render(unpriced), HasSubstr("Cost: unknown"));
  EXPECT_FALSE(to_json(unpriced).contains("cost_usd"));
}

TEST(plan_report, a_day_too_small_for_any_prompt_never_ends) {
  std::vector<lane_setup> lanes{lane("a", 1, 600)};
  lanes[0].config.quota.usd_per_day = nano_usd(1);
  const auto r = make_report(batch(lanes, 10), lanes, {}, {}, noon);
  EXPECT_FALSE(r.finish);
  EXPECT_THAT(render(r), HasSubstr("wait for ever"));
}

TEST(plan_scan, what_is_expected_keeps_within_the_lanes_limit_and_the_worst_case) {
  std::vector<lane_setup> lanes{lane("capped", 1, 600), lane("open", 1, 600)};
  for (auto& l : lanes) l.config.price->output = pico_usd_per_token(10'000'000);
  lanes[0].config.max_output_tokens = tokens(16);
  lanes[0].rate_charge = [](tokens, tokens, tokens expected) { return expected; };
  temp_folder folder;
  const auto file = folder.write(
      "in", R"({"custom_id":"a","method":"POST","url":"/v1/chat/completions",)"
            R"("body":{"model":"m","n":2,"messages":[{"role":"user","content":"Say ok."}]}})"
            "\n");
  parallel_runner runner(1);
  const stop_flag stop{0};
  const auto same = [](const std::string& model) { return model; };
  const auto scanned = scan_for_plan({file}, 1 << 20, lanes, same, {}, runner, stop);
  ASSERT_TRUE(scanned) << scanned.error().message;
  ASSERT_EQ(scanned->kinds.size(), 1u);
  const auto& sums = scanned->kinds.begin()->second;
  EXPECT_EQ(sums.lanes[0].charge, 32) << "two choices of 16 tokens";
  EXPECT_LT(sums.lanes[0].expected, sums.lanes[1].expected);
  for (const auto& one : sums.lanes) EXPECT_LE(one.expected, one.bound);
}

}  // namespace
}  // namespace spillway
