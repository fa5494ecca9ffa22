#include "orchestrator/runtime/fresh_id.hpp"

#include <cstdio>
#include <random>

namespace spillway {

std::string fresh_id() {
  std::random_device device;
  char text[17];
  std::snprintf(text, sizeof text, "%08x%08x", device(), device());
  return text;
}

}  // namespace spillway
