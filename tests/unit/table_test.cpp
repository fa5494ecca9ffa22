#include "orchestrator/cli/table.hpp"
#include "orchestrator/cli/format.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

lane_progress lane(std::string pool, std::string name, std::int64_t scale) {
  lane_progress out;
  out.pool = std::move(pool);
  out.lane = std::move(name);
  auto& t = out.totals;
  t.answered = 10 * scale;
  t.input = tokens(1'000 * scale);
  t.cached = tokens(100 * scale);
  t.output = tokens(500 * scale);
  t.settled = nano_usd(1'000'000 * scale);
  t.refused_429 = scale;
  t.spilled_in = 2 * scale;
  t.spilled_out = 3 * scale;
  t.retries = 4 * scale;
  t.maybe_billed = 5 * scale;
  t.failed = 6 * scale;
  t.latency.add(100ms);
  return out;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

TEST(table, one_row_a_lane_and_a_total) {
  run_progress p;
  p.lanes = {lane("azure", "mini", 100), lane("openai", "gpt", 1)};
  EXPECT_EQ(render_table(p),
            "                                      tokens                latency         spilled   "
            "         maybe\n"
            "pool/lane   prompts       in  cached     out     cost    p50    p95  429s   in  out  "
            "retries  billed  failed\n"
            "--------------------------------------------------------------------------------------"
            "----------------------\n"
            "azure/mini    1,000  100,000  10,000  50,000  $0.1000  107ms  107ms   100  200  300   "
            "   400     500     600\n"
            "openai/gpt       10    1,000     100     500  $0.0010  107ms  107ms     1    2    3   "
            "     4       5       6\n"
            "--------------------------------------------------------------------------------------"
            "----------------------\n"
            "total         1,010  101,000  10,100  50,500  $0.1010  107ms  107ms   101  202  303   "
            "   404     505     606\n");
}

TEST(table, fits_the_columns_whatever_the_numbers) {
  for (const std::int64_t scale : {1LL, 10'000LL, 100'000'000LL}) {
    run_progress p;
    p.lanes = {lane("a-pool-with-a-name-that-never-ends-and-goes-on-and-on", "model", scale),
               lane("b", "m", scale)};
    for (const auto& line : lines_of(render_table(p)))
      EXPECT_LE(columns_of(line), table_columns_max) << line;
  }
}

TEST(table, columns_line_up) {
  run_progress p;
  p.lanes = {lane("a", "m", 123), lane("b", "other", 7)};
  const auto lines = lines_of(render_table(p));
  ASSERT_EQ(lines.size(), 7u);
  for (std::size_t i = 1; i < lines.size(); ++i) EXPECT_EQ(lines[i].size(), lines[1].size());
}

TEST(table, without_answers_there_is_no_latency) {
  run_progress p;
  p.lanes.resize(1);
  EXPECT_THAT(render_table(p), HasSubstr("  -    -"));
}

TEST(summary, tells_what_a_run_came_to) {
  run_progress p;
  p.input_read = true;
  p.prompts = 10'000;
  p.answered = 9'990;
  p.settled = from_usd(1.5);
  p.now = p.started_at + 63s;
  EXPECT_EQ(render_summary(p), "Answered 9,990 of 10,000 prompts; cost $1.5000; took 1m 03s.\n");
  p.errors = 10;
  p.invalid = 3;
  p.budget = from_usd(200);
  p.resumed = 4'000;
  p.in_doubt_at_start = 12;
  EXPECT_EQ(
      render_summary(p),
      "Answered 9,990 of 10,000 prompts, 10 error rows (3 for invalid lines); cost $1.5000 of a "
      "budget of $200.00; took 1m 03s.\n"
      "Resumed: 4,000 were done before, 0 written answers adopted, 12 in flight when the last run "
      "ended.\n");
}

TEST(format, numbers_and_money) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1'234'567), "1,234,567");
  EXPECT_EQ(grouped(-1'234), "-1,234");
  EXPECT_EQ(compact(9'999), "9,999");
  EXPECT_EQ(compact(12'345), "12.3k");
  EXPECT_EQ(compact(999'999), "1.00M");
  EXPECT_EQ(compact(1'234'567'890), "1.23G");
  EXPECT_EQ(percent(0), "0%");
  EXPECT_EQ(percent(0.0001), "0.1%");
  EXPECT_EQ(percent(0.999), "99%");
  EXPECT_EQ(percent(1), "100%");
  EXPECT_EQ(usd(nano_usd(0)), "$0.00");
  EXPECT_EQ(usd(nano_usd(12'345)), "$0.000012");
  EXPECT_EQ(usd(from_usd(1.5)), "$1.5000");
  EXPECT_EQ(usd(from_usd(1234.5)), "$1,234.50");
  EXPECT_EQ(usd(from_usd(-3)), "-$3.0000");
}

TEST(format, times) {
  EXPECT_EQ(brief(0s), "0s");
  EXPECT_EQ(brief(350ms), "350ms");
  EXPECT_EQ(brief(9'990ms), "9.9s");
  EXPECT_EQ(brief(59s), "59s");
  EXPECT_EQ(brief(245s), "4m 05s");
  EXPECT_EQ(brief(2h + 3min), "2h 03m");
  EXPECT_EQ(brief(76h), "3d 4h");
}

TEST(format, clips_by_columns_not_bytes) {
  EXPECT_EQ(clipped("abc", 3), "abc");
  EXPECT_EQ(clipped("abcdef", 4), "ab..");
  EXPECT_EQ(clipped("\u00e9\u00e9\u00e9\u00e9", 4), "\u00e9\u00e9\u00e9\u00e9");
  EXPECT_EQ(clipped("\u00e9\u00e9\u00e9\u00e9\u00e9", 4), "\u00e9\u00e9..");
  EXPECT_EQ(clipped("abc", 1), ".");
  EXPECT_EQ(clipped("abc", 0), "");
}

TEST(format, quotes_for_the_shell) {
  EXPECT_EQ(shell_quoted({"spillway", "run", "a b.jsonl", "it's", ""}),
            "spillway run 'a b.jsonl' 'it'\\''s' ''");
}

}  // namespace
}  // namespace spillway
