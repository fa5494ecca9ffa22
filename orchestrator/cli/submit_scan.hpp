// First pass of a submission: every line of every file is read and checked,
// nothing is written.
#pragma once

#include "connectors/jsonl.hpp"
#include "connectors/kafka/submit.hpp"
#include "orchestrator/engine/stop_flag.hpp"
#include "orchestrator/runtime/stripes_parallel.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace spillway {

struct scan_rules {
  std::size_t line_bytes_max = 16u << 20;
  /// Bad lines are taken, to become error rows; repeated custom_ids and lines
  /// that are too long never are.
  bool allow_invalid = false;
  /// Bad lines make no failure: they are told in `scanned_content`.
  bool tell_only = false;
  /// Called for every good line, repeated custom_ids among them: by several
  /// threads at once, never twice at once with the same `slot`, which is below
  /// `slots`.
  static constexpr std::size_t slots = 16;
  std::function<void(std::size_t slot, const parsed_line&, std::string_view line)> each;
};

struct scanned_content {
  kafka::submission_content content;
  std::uint64_t invalid = 0;                    ///< lines taken that will become error rows
  std::map<std::string, std::uint64_t> models;  ///< prompts by logical model
  std::uint64_t bad = 0;                        ///< with `tell_only`: lines that can't be sent
  std::vector<std::string> bad_shown;           ///< the first of them: "file:line: code: message"
};

/// Called now and then with the bytes read so far and their number in all.
using scan_progress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Usage failure that lists the first bad lines, when there are any; stopped
/// when asked to stop.
[[nodiscard]] result<scanned_content> scan_inputs(const std::vector<std::string>& inputs,
                                                  const scan_rules&, parallel_runner&,
                                                  const stop_flag&, const scan_progress&);

}  // namespace spillway
