// A world for credentials without threads, network or machine: what is due happens within calls.
#pragma once

#include "workers/auth/world.hpp"

#include <functional>
#include <map>
#include <vector>

namespace spillway {

struct fake_auth_world final : auth_world {
  time_point at = std::chrono::sys_days(std::chrono::year(2026) / 1 / 15) + std::chrono::hours(12);
  duration wall_ahead{};  ///< of the time the engine counts
  std::map<std::string, std::string> variables;
  /// Answers by the first part of the URL that is known; nothing known: no connection.
  std::map<std::string, std::function<token_response(const token_request&)>> servers;
  std::vector<token_request> asked;
  int changes = 0;

  [[nodiscard]] time_point now() const override { return at; }
  [[nodiscard]] time_point wall() const override { return at + wall_ahead; }
  [[nodiscard]] bool has_threads() const override { return false; }
  [[nodiscard]] std::optional<std::string> environment(const std::string& name) const override {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] result<token_response> fetch(const token_request& request,
                                             const std::stop_token&) override {
    asked.push_back(request);
    for (auto found = servers.rbegin(); found != servers.rend(); ++found)
      if (request.url.starts_with(found->first)) return found->second(request);
    return failure{failure_kind::stopped, "no connection"};
  }
  void changed() override { ++changes; }
};

}  // namespace spillway
