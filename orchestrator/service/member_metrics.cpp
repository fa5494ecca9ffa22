#include "orchestrator/service/member_metrics.hpp"

namespace spillway::service {

const char* name_of(member_state state) {
  switch (state) {
    case member_state::starting: return "starting";
    case member_state::running: return "running";
    case member_state::draining: return "draining";
    case member_state::stopped: return "stopped";
  }
  return "unknown";
}

const char* name_of(partition_state state) {
  switch (state) {
    case partition_state::taking_over: return "taking-over";
    case partition_state::active: return "active";
    case partition_state::blocked: return "blocked";
    case partition_state::suspended: return "suspended";
    case partition_state::leaving: return "leaving";
  }
  return "unknown";
}

}  // namespace spillway::service
