#include "orchestrator/runtime/failpoint.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>

namespace spillway::failpoints {
namespace {

struct settings {
  std::string name, poison;
  long at = 0;
};

const settings& chosen() {
  static const settings s = [] {
    settings out;
    if (const char* text = std::getenv("SPILLWAY_FAILPOINT")) {
      const std::string_view all(text);
      const auto colon = all.rfind(':');
      out.name = all.substr(0, colon);
      out.at = colon == std::string_view::npos
                   ? 1
                   : std::strtol(std::string(all.substr(colon + 1)).c_str(), nullptr, 10);
    }
    if (const char* text = std::getenv("SPILLWAY_POISON")) out.poison = text;
    return out;
  }();
  return s;
}

}  // namespace

const bool armed =
    std::getenv("SPILLWAY_FAILPOINT") != nullptr || std::getenv("SPILLWAY_POISON") != nullptr;

void pass(std::string_view name) {
  static std::atomic<long> passes{0};
  if (name == chosen().name && ++passes == chosen().at) std::raise(SIGKILL);
}

void look(std::string_view request) {
  if (!chosen().poison.empty() && request.find(chosen().poison) != std::string_view::npos)
    std::raise(SIGKILL);
}

}  // namespace spillway::failpoints
