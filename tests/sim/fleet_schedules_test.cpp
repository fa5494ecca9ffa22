// Owners of one partition on a faulty broker. A failing seed is replayed alone by
//   SPILLWAY_SIM_SEED=<seed> build/release/tests/spillway_sim --gtest_filter='*fleet*'
#include "tests/sim/fleet_world.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace spillway::sim {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

void run_range(std::uint64_t first, std::uint64_t count) {
  fleet_report sum;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const auto r = run_fleet_schedule(draw_fleet_schedule(seed));
    ASSERT_EQ(r.problem, "") << "replay: SPILLWAY_SIM_SEED=" << seed << " spillway_sim";
    sum.calls += r.calls;
    sum.sent_again += r.sent_again;
    sum.deaths += r.deaths;
    sum.owners += r.owners;
    for (auto field : {&kafka::owner_counters::commits, &kafka::owner_counters::fences,
                       &kafka::owner_counters::reopenings, &kafka::owner_counters::salvaged,
                       &kafka::owner_counters::late, &kafka::owner_counters::ignored,
                       &kafka::owner_counters::duplicates, &kafka::owner_counters::snapshots,
                       &kafka::owner_counters::trims, &kafka::owner_counters::rebuilt})
      sum.counters.*field += r.counters.*field;
  }
  if (std::getenv("SPILLWAY_SIM_VERBOSE"))
    std::printf(
        "calls %ld again %ld deaths %ld owners %ld commits %lu fences %lu reopenings "
        "%lu salvaged %lu late %lu ignored %lu duplicates %lu snapshots %lu trims %lu rebuilt "
        "%lu\n",
        sum.calls, sum.sent_again, sum.deaths, sum.owners, sum.counters.commits,
        sum.counters.fences, sum.counters.reopenings, sum.counters.salvaged, sum.counters.late,
        sum.counters.ignored, sum.counters.duplicates, sum.counters.snapshots, sum.counters.trims,
        sum.counters.rebuilt);
  // The schedules must reach the cases they are there for.
  if (count < 100) return;
  EXPECT_GT(sum.deaths, 0);
  EXPECT_GT(sum.sent_again, 0) << "no death hit a call";
  EXPECT_GT(sum.counters.salvaged, 0u);
  EXPECT_GT(sum.counters.late, 0u);
  EXPECT_GT(sum.counters.fences, 0u);
  EXPECT_GT(sum.counters.reopenings, 0u);
  EXPECT_GT(sum.counters.trims, 0u);
  EXPECT_GT(sum.counters.rebuilt, 0u);
}

class fleet_schedules : public testing::TestWithParam<int> {};

TEST_P(fleet_schedules, hold_every_invariant) {
  if (const char* one = std::getenv("SPILLWAY_SIM_SEED")) {
    if (GetParam() == 0) run_range(std::strtoull(one, nullptr, 10), 1);
    return;
  }
  const auto count = from_environment("SPILLWAY_SIM_COUNT", 1'250);
  run_range(1 + static_cast<std::uint64_t>(GetParam()) * count, count);
}
INSTANTIATE_TEST_SUITE_P(seeds, fleet_schedules, testing::Range(0, 8));

/// Outside of the ranges above, and once they found something: 24000 an index of a sleeper that led
/// past its dead successor's answers.
TEST(fleet_schedule_seeds, that_found_something_hold) {
  for (const std::uint64_t seed : {24'000}) run_range(seed, 1);
}

}  // namespace
}  // namespace spillway::sim
