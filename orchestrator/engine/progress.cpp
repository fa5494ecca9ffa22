#include "orchestrator/engine/progress.hpp"

#include "orchestrator/engine/run.hpp"

namespace spillway {

const char* name_of(lane_health health) {
  switch (health) {
    case lane_health::up: return "up";
    case lane_health::held: return "held";
    case lane_health::broken: return "broken";
    case lane_health::probing: return "probing";
    case lane_health::down_auth: return "down-auth";
    case lane_health::down_billing: return "down-billing";
    case lane_health::down_model: return "down-model";
    case lane_health::day_spent: return "day-spent";
    case lane_health::no_credentials: return "no-credentials";
  }
  return "unknown";
}

const char* name_of(run_state state) {
  switch (state) {
    case run_state::starting: return "starting";
    case run_state::running: return "running";
    case run_state::draining: return "draining";
    case run_state::finished: return "finished";
    case run_state::stopped: return "stopped";
    case run_state::failed: return "failed";
  }
  return "unknown";
}

int exit_code(const run_progress& p) {
  switch (p.state) {
    case run_state::finished: return p.errors == 0 ? 0 : 1;
    case run_state::failed: return exit_code(failure_kind::storage);
    case run_state::starting:
    case run_state::running:
    case run_state::draining:
    case run_state::stopped: break;
  }
  return exit_code(failure_kind::stopped);
}

}  // namespace spillway
