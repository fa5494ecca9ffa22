#include "workers/providers/adapter.hpp"

namespace spillway {

std::unique_ptr<provider> make_anthropic(const pool_config&) {
  ensure(false, "no adapter for anthropic yet");
  return nullptr;
}

}  // namespace spillway
