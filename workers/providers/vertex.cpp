#include "workers/providers/adapter.hpp"

namespace spillway {

std::unique_ptr<provider> make_vertex(const pool_config&) {
  ensure(false, "no adapter for vertex yet");
  return nullptr;
}

}  // namespace spillway
