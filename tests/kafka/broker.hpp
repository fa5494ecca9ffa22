// The real broker that run.sh started for this program.
#pragma once

#include "connectors/kafka/settings.hpp"

#include <memory>
#include <string>

namespace spillway::kafka {

class fleet_clients;
class link_world;

/// Settings of a fleet nobody else uses.
[[nodiscard]] kafka_settings fresh_fleet();
/// The same, with its topics made.
[[nodiscard]] kafka_settings fresh_fleet_with_topics(int partitions = 2);

/// Of the broker: SIGKILL, start again on its data, SIGSTOP, SIGCONT.
void kill_broker();
void restart_broker();
void pause_broker();
void continue_broker();

/// Partition 0 of a fresh fleet.
[[nodiscard]] std::unique_ptr<link_world> real_link_world();
/// Over clients of the test's own.
[[nodiscard]] std::unique_ptr<link_world> link_world_over(fleet_clients&, int partition = 0);

}  // namespace spillway::kafka
