#include "orchestrator/cli/progress.hpp"
#include "orchestrator/cli/format.hpp"
#include "orchestrator/engine/progress_json.hpp"
#include "orchestrator/engine/run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <numeric>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

lane_progress lane(std::string pool, std::string name) {
  lane_progress out;
  out.pool = std::move(pool);
  out.lane = std::move(name);
  out.model = "gpt-5.4-mini";
  return out;
}

run_progress halfway() {
  run_progress p;
  p.state = run_state::running;
  p.input_read = true;
  p.input_share = 1;
  p.prompts = 10'000;
  p.answered = 4'620;
  p.in_flight = 48;
  p.rate = 312.4;
  p.settled = from_usd(1.2345);
  p.budget = from_usd(200);
  p.eta = 17s;
  p.started_at = time_point(1'790'000'000s);
  p.now = p.started_at + 15s;
  auto a = lane("azure", "mini");
  a.rpm_used = 0.3;
  a.tpm_used = 0.8;
  a.totals.spilled_out = 120;
  auto b = lane("openai", "gpt");
  b.health = lane_health::held;
  b.resumes_in = 12s;
  b.reason = "quota used up";
  b.totals.refused_429 = 3;
  b.totals.spilled_in = 120;
  p.lanes = {a, b};
  return p;
}

TEST(progress_block, shows_the_run_and_each_lane) {
  EXPECT_THAT(
      render_block(halfway(), {.columns = 110}),
      ElementsAre(
          "[#################--------------------]  46%  4,620 / 10,000  312/s  in flight 48  "
          "$1.2345 of $200.00  ETA 17s",
          "  azure/mini  [######--]  80%  up          spill in 0 out 120    429 0    done 0",
          "  openai/gpt  no quota         held 12s    spill in 120 out 0    429 3    done 0"
          "      quota used up"));
}

TEST(progress_block, never_exceeds_the_terminal) {
  auto p = halfway();
  p.state = run_state::draining;
  p.stop_reason = std::string(300, 'x');
  p.lanes[1].reason = std::string(300, 'y');
  p.lanes[0].pool = std::string(100, 'z');
  for (std::size_t columns : {20, 40, 60, 80, 100, 200}) {
    for (const auto& line : render_block(p, {.columns = columns, .unicode = true}))
      EXPECT_LE(columns_of(line), columns) << line;
  }
}

TEST(progress_block, is_shorter_than_the_screen) {
  auto p = halfway();
  for (int i = 0; i < 50; ++i) p.lanes.push_back(lane("pool" + std::to_string(i), "m"));
  const auto block = render_block(p, {.columns = 80, .rows = 10});
  EXPECT_LT(block.size(), 10u);
  EXPECT_THAT(block.back(), HasSubstr("more lanes"));
}

TEST(progress_block, colours_take_no_columns_and_can_be_left_out) {
  auto p = halfway();
  EXPECT_THAT(render_block(p, {.columns = 80, .color = true})[1], HasSubstr("\x1b[32mup"));
  for (const auto& line : render_block(p, {.columns = 80}))
    EXPECT_THAT(line, Not(HasSubstr("\x1b")));
}

TEST(progress_block, a_lane_that_is_down_says_why) {
  auto p = halfway();
  p.lanes[0].health = lane_health::down_auth;
  p.lanes[0].reason = "401 wrong\x1b[2J key";
  const auto line = render_block(p, {.columns = 80})[1];
  EXPECT_THAT(line,
              HasSubstr("down: auth  401 wrong [2J key"));  // and sends nothing to the terminal
}

TEST(progress_block, expects_more_prompts_while_the_input_is_read) {
  auto p = halfway();
  p.input_read = false;
  p.input_share = 0.5;
  EXPECT_THAT(render_block(p, {.columns = 110})[0], HasSubstr("23%  4,620 / 10,000+"));
}

TEST(progress_line, says_the_same_on_one_line) {
  EXPECT_EQ(render_line(halfway()),
            "running 46%: 4,620 / 10,000, 312/s, in flight 48, errors 0, cost $1.2345 of $200.00, "
            "ETA 17s; azure/mini up 80%; openai/gpt held 12s");
}

TEST(progress_json, reads_back_what_it_wrote) {
  auto p = halfway();
  p.stop_reason = "a \"quoted\"\nreason";
  p.errors = 7;
  p.invalid = 2;
  p.resumed = 5;
  p.reserved = from_usd(0.000000001);
  auto& totals = p.lanes[0].totals;
  totals.calls = 99;
  totals.input = tokens(1'000'000'007);
  totals.settled = nano_usd(1'234'567'891);
  totals.latency.add(250ms);
  totals.latency.add(3s);
  totals.day = 20'000;
  totals.by_day.add({19'999, 98, nano_usd(1'234'567'000)});
  totals.by_day.add({20'000, 1, nano_usd(891)});
  const auto line = status_text({4242, p.now, p});
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  const auto back = parse_status(line);
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(back->pid, 4242);
  EXPECT_EQ(back->updated_at, p.now);
  const auto& q = back->progress;
  EXPECT_EQ(q.state, p.state);
  EXPECT_EQ(q.stop_reason, p.stop_reason);
  EXPECT_EQ(q.answered, p.answered);
  EXPECT_EQ(q.invalid, p.invalid);
  EXPECT_EQ(q.reserved, p.reserved);
  EXPECT_EQ(q.budget, p.budget);
  EXPECT_EQ(q.eta, p.eta);
  EXPECT_EQ(q.started_at, p.started_at);
  ASSERT_EQ(q.lanes.size(), 2u);
  EXPECT_EQ(q.lanes[0].tpm_used, 0.8);
  EXPECT_EQ(q.lanes[0].totals.calls, 99);
  EXPECT_EQ(q.lanes[0].totals.by_day, totals.by_day);
  EXPECT_EQ(q.lanes[0].totals.input, totals.input);
  EXPECT_EQ(q.lanes[0].totals.settled, totals.settled);
  EXPECT_EQ(q.lanes[0].totals.latency.count, totals.latency.count);
  EXPECT_EQ(q.lanes[1].health, lane_health::held);
  EXPECT_EQ(q.lanes[1].resumes_in, p.lanes[1].resumes_in);
  EXPECT_FALSE(q.lanes[1].concurrency);
}

TEST(progress_json, writes_decimals_not_exponents) {
  EXPECT_EQ(json_line(boost::json::parse(R"({"a":0.000001,"b":[1,2.5,"x"],"c":{},"d":200.0})")),
            R"({"a":0.000001,"b":[1,2.5,"x"],"c":{},"d":200})");
  EXPECT_THAT(json_line(to_json(halfway())), HasSubstr(R"("cost_usd":1.2345,)"));
}

TEST(progress_json, damaged_status_is_a_storage_fault) {
  for (const char* text :
       {"", "{", "[]", "{}", R"({"pid":"x","progress":{}})",
        R"({"pid":1,"progress":{"state":"flying"}})", R"({"pid":1,"progress":{"prompts":"many"}})",
        R"({"pid":1,"progress":{"lanes":[3]}})"}) {
    const auto status = parse_status(text);
    ASSERT_FALSE(status.has_value()) << text;
    EXPECT_EQ(status.error().kind, failure_kind::storage);
  }
}

TEST(exit_code, tells_how_a_run_ended) {
  run_progress p;
  p.state = run_state::finished;
  EXPECT_EQ(exit_code(p), 0);
  p.errors = 1;
  EXPECT_EQ(exit_code(p), 1);
  p.state = run_state::stopped;
  EXPECT_EQ(exit_code(p), 3);
  p.state = run_state::failed;
  EXPECT_EQ(exit_code(p), 4);
}

TEST(latency_histogram, quantiles_are_upper_bounds_of_buckets) {
  latency_histogram h;
  EXPECT_FALSE(h.quantile(0.5));
  for (int i = 0; i < 95; ++i) h.add(100ms);
  for (int i = 0; i < 5; ++i) h.add(10s);
  EXPECT_GT(*h.quantile(0.5), duration(100ms));
  EXPECT_LT(*h.quantile(0.5), duration(120ms));
  EXPECT_LT(*h.quantile(0.95), duration(120ms));
  EXPECT_GT(*h.quantile(0.951), duration(10s));
  EXPECT_LT(*h.quantile(1), duration(12s));
  h = {};
  h.add(0ms);
  h.add(1000h);  // beyond both ends
  EXPECT_EQ(h.count.front(), 1);
  EXPECT_LT(*h.quantile(0), duration(2ms));
  EXPECT_EQ(std::accumulate(h.count.begin(), h.count.end(), std::int64_t{0}), 2);
}

}  // namespace
}  // namespace spillway
