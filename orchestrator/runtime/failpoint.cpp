#include "orchestrator/runtime/failpoint.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>

#include <unistd.h>

namespace spillway::failpoints {
namespace {

struct settings {
  std::string name, poison;
  std::string when;  // counts while this file is there; empty: always
  long at = 0;
};

const settings& chosen() {
  static const settings s = [] {
    settings out;
    if (const char* text = std::getenv("SPILLWAY_FAILPOINT")) {
      std::string_view all(text);
      if (const auto file = all.find('@'); file != std::string_view::npos) {
        out.when = all.substr(file + 1);
        all = all.substr(0, file);
      }
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
  const auto& s = chosen();
  if (name != s.name || (!s.when.empty() && access(s.when.c_str(), F_OK) != 0)) return;
  if (++passes == s.at) std::raise(SIGKILL);
}

void look(std::string_view request) {
  if (!chosen().poison.empty() && request.find(chosen().poison) != std::string_view::npos)
    std::raise(SIGKILL);
}

}  // namespace spillway::failpoints
