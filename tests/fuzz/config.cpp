// Configuration files: read whole or refused with every problem named, never anything else.
#include "orchestrator/cli/config.hpp"
#include "connectors/kafka/settings.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace spillway::kafka {

// In place of connectors/kafka, which needs a broker's client for everything else in that file.
std::optional<std::string_view> why_reserved(std::string_view property) {
  if (property == "bootstrap.servers") return "brokers say it";
  return std::nullopt;
}

}  // namespace spillway::kafka

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spillway;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto read = parse_run_config(text, "f.yaml"))
    fuzz::must(!read->pools.empty(), "a configuration has pools");
  else
    fuzz::must(read.error().message.starts_with("f.yaml"), "a problem says where it is");
  static_cast<void>(parse_fleet_config(text, "f.yaml"));
  return 0;
}
