#include "workers/providers/adapter.hpp"

namespace spillway {

std::unique_ptr<provider> make_bedrock(const pool_config&) {
  ensure(false, "no adapter for bedrock yet");
  return nullptr;
}

}  // namespace spillway
