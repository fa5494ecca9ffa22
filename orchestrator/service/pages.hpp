// The pages of a member: /metrics, /healthz, /readyz, /status.
#pragma once

#include "orchestrator/runtime/time_source.hpp"
#include "orchestrator/service/health.hpp"
#include "orchestrator/service/http_server.hpp"

namespace spillway::service {

struct page_sources {
  const member_board& board;
  const heartbeat& engine;                           ///< beaten by the engine's loop
  const time_source& clock;                          ///< the one that gives the heartbeat its times
  duration tick_age_max = std::chrono::seconds(10);  ///< longer without a beat: not alive
};

/// What is referred to must outlive the server.
[[nodiscard]] handler member_pages(page_sources);

}  // namespace spillway::service
