// Heads of HTTP requests as the simulator reads them: whole, and in growing pieces.
#include "workers/simulator/request_head.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spillway;
  using simulated::head_state;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = simulated::parse_head(bytes);
  if (whole.state != head_state::complete) return 0;
  fuzz::must(whole.size <= size, "a head lies within its bytes");
  fuzz::must(whole.head.content_length <= simulated::body_bytes_max, "a body is bounded");
  const auto again = simulated::parse_head(bytes.substr(0, whole.size));
  fuzz::must(again.state == head_state::complete && again.size == whole.size,
             "what follows a head does not change it");
  if (whole.size > 1)
    fuzz::must(simulated::parse_head(bytes.substr(0, whole.size - 1)).state != head_state::complete,
               "a head that is cut is not complete");
  return 0;
}
