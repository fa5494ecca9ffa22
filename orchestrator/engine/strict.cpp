#include "orchestrator/engine/strict.hpp"

#include "connectors/files/input.hpp"

namespace spillway {

result<void> check_all_lines(const std::vector<std::string>& inputs, class_lookup classes,
                             parallel_runner& runner, std::size_t line_bytes_max,
                             const stop_flag& stop) {
  constexpr std::size_t shown_max = 20;
  auto input = input_reader::open(inputs, line_bytes_max);
  if (!input) return input.error();
  const auto same = [&](job_number) { return classes; };
  intake lines(*input, same, runner, line_bytes_max, {});
  std::size_t bad = 0;
  std::string shown;
  for (;;) {
    if (stop.load() > 0)
      return failure{failure_kind::stopped, "stopped while checking the input; nothing was sent"};
    auto shard = lines.next();
    if (!shard) return shard.error();
    if (!*shard) break;
    for (const auto& line : (*shard)->invalid) {
      if (++bad > shown_max) continue;
      shown += inputs[line.file.value()] + ":" + std::to_string(line.line) + ": " + line.code +
               ": " + line.message + " (byte " + std::to_string(line.offset) + ")\n";
    }
  }
  if (bad == 0) return {};
  if (bad > shown_max) shown += "… and " + std::to_string(bad - shown_max) + " more\n";
  return failure{failure_kind::usage,
                 shown + "spillway: " + std::to_string(bad) +
                     " bad lines; nothing was sent (--strict). Correct them, or run without "
                     "--strict to get them as error rows"};
}

}  // namespace spillway
