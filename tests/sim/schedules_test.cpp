// Whole runs in simulated time. A failing seed is replayed alone by
//   SPILLWAY_SIM_SEED=<seed> build/release/tests/spillway_sim
#include "tests/sim/world.hpp"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdlib>

namespace spillway::sim {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::string replay(std::uint64_t seed) {
  return "replay: SPILLWAY_SIM_SEED=" + std::to_string(seed) + " spillway_sim";
}

void run_range(std::uint64_t first, std::uint64_t count) {
  std::size_t adopted = 0, processes = 0, turned_away = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const auto report = run_schedule(draw_schedule(seed), 1);
    adopted += report.adopted;
    turned_away += report.turned_away;
    processes += static_cast<std::size_t>(report.processes);
    ASSERT_EQ(report.problem, "") << replay(seed);
  }
  // The schedules must reach the cases they are there for.
  if (count < 100) return;
  EXPECT_GT(adopted, 0u) << "no kill hit between writing a row and recording it";
  EXPECT_GT(processes, count) << "hardly any kills";
  EXPECT_GT(turned_away, 0u) << "no token ended under way";
}

class schedules : public testing::TestWithParam<int> {
 protected:
  static void SetUpTestSuite() { spdlog::set_level(spdlog::level::off); }
};

TEST_P(schedules, hold_every_invariant) {
  if (const char* one = std::getenv("SPILLWAY_SIM_SEED")) {
    if (GetParam() == 0) run_range(std::strtoull(one, nullptr, 10), 1);
    return;
  }
  const auto count = from_environment("SPILLWAY_SIM_COUNT", 250);
  run_range(1 + static_cast<std::uint64_t>(GetParam()) * count, count);
}
INSTANTIATE_TEST_SUITE_P(seeds, schedules, testing::Range(0, 8));

TEST(determinism, same_result_for_any_number_of_threads) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto s = draw_schedule(seed);
    const auto one = run_schedule(s, 1);
    const auto again = run_schedule(s, 1);
    const auto four = run_schedule(s, 4);
    EXPECT_EQ(one.fingerprint, again.fingerprint) << replay(seed);
    EXPECT_EQ(one.fingerprint, four.fingerprint) << replay(seed);
  }
}

}  // namespace
}  // namespace spillway::sim
