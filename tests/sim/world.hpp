// One seeded schedule: a job, its providers' faults, kills and restarts, all in simulated time.
#pragma once

#include "orchestrator/engine/engine.hpp"
#include "tests/sim/fake_cloud.hpp"
#include "tests/sim/fake_log.hpp"
#include "tests/sim/token_office.hpp"

#include <string>
#include <vector>

namespace spillway::sim {

/// Everything a schedule is made of, drawn from its seed.
struct schedule {
  std::uint64_t seed = 0;
  run_config config;
  std::vector<std::int64_t> slots;
  std::vector<std::string> lines;
  std::size_t shard_lines = 8;
  std::size_t valid = 0;     ///< sendable lines
  int kills = 0, stops = 0;  ///< processes that die, and that are asked to stop
  fault_shares faults;
  token_plan tokens;
  std::vector<trouble> troubles;
  std::string poison;  ///< id of a prompt that always fails
  std::size_t window_bytes = 1 << 20;
  std::optional<std::string> forbidden_pool;  ///< outside the residency
};

[[nodiscard]] schedule draw_schedule(std::uint64_t seed);

struct run_report {
  std::string problem;        ///< empty when every invariant held
  std::uint64_t fingerprint;  ///< of all rows and calls: equal runs have equal ones
  int processes = 0;
  std::size_t adopted = 0, calls = 0, refused = 0;
  std::size_t failed = 0;                                   ///< error rows of valid lines
  std::map<std::string, bill> bills{};                      ///< by prompt
  std::size_t turned_away = 0;                              ///< calls with a token that had ended
  std::map<std::string, std::vector<duration>> accepted{};  ///< when, of each pool
  duration took{};
};

/// Runs the schedule to its end, over as many processes as it takes.
[[nodiscard]] run_report run_schedule(const schedule&, unsigned threads);

}  // namespace spillway::sim
