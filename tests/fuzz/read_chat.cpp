// Chat bodies as lanes of another form read them: without the line parser before them.
#include "tests/fuzz/fuzz.hpp"
#include "workers/providers/chat.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spillway;
  const auto read = read_chat({reinterpret_cast<const char*>(data), size});
  if (!read) return 0;
  for (const auto& tool : read->tools)
    fuzz::must(tool.parameters_json.empty() || fuzz::is_json(tool.parameters_json),
               "parameters are JSON");
  fuzz::must(read->schema_json.empty() || fuzz::is_json(read->schema_json), "a schema is JSON");
  return 0;
}
