// Runs one job over local files from start to end: what `spillway run` does once flags and
// configuration are read.
#pragma once

#include "orchestrator/engine/progress.hpp"
#include "orchestrator/engine/stop_flag.hpp"
#include "schemas/config.hpp"
#include "schemas/result.hpp"

#include <functional>
#include <string>
#include <vector>

namespace spillway {

struct run_request {
  run_config config;
  std::string job_name;             ///< default: stem of the output
  std::vector<std::string> inputs;  ///< as the user gave them; rows name them this way
  std::string output, errors, state;
  std::string audit;  ///< file for what the job may do and did; empty: none is kept
  bool overwrite = false;
  bool strict = false;
  std::size_t line_bytes_max = 16u << 20;
  duration drain_timeout = std::chrono::minutes(10);
  unsigned threads = 0;    ///< 0: by the machine's cores
  std::uint64_t seed = 0;  ///< of the retry jitter; 0: random
};

/// Calls `on_progress` from one thread about five times a second, and a last time with the final
/// numbers before it returns. Returns the final progress: its state tells finished, stopped or
/// failed. Fails when the run could not start (usage) or the state is unusable (storage).
[[nodiscard]] result<run_progress> run_job(
    const run_request&, const stop_flag&,
    const std::function<void(const run_progress&)>& on_progress);

/// Exit code of `spillway run`: 0 all answered, 1 finished with error rows, 3 stopped before the
/// end, 4 storage fault. `storage_fault` is set in run_progress::state == failed.
[[nodiscard]] int exit_code(const run_progress&);

}  // namespace spillway
