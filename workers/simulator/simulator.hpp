// Provider stubs on loopback: listens, answers as the configuration says, and counts.
#pragma once

#include "schemas/result.hpp"
#include "workers/simulator/sim_config.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace spillway {

/// Runs on threads of its own from `start` until it is stopped or destroyed.
class simulator {
 public:
  /// Fails when the address can't be listened on or the TLS files can't be used.
  [[nodiscard]] static result<simulator> start(simulator_config);
  simulator(simulator&&) noexcept;
  simulator& operator=(simulator&&) noexcept;
  ~simulator();

  /// "http://127.0.0.1:PORT", or https.
  [[nodiscard]] std::string url() const;
  /// Base URL of a pool by its name, as a pool's `endpoint` wants it.
  [[nodiscard]] std::string endpoint(const std::string& pool) const;
  /// Every pool's name and base URL, in configuration order.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> endpoints() const;
  /// What GET /_sim/stats answers; also after a stop. README.md defines the counters.
  [[nodiscard]] std::string stats_json() const;
  /// Closes the listener and all connections (calls under way are cut) and joins the threads.
  void stop();

 private:
  class impl;
  explicit simulator(std::unique_ptr<impl>);
  std::unique_ptr<impl> impl_;
};

}  // namespace spillway
