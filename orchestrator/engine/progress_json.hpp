// Progress as JSON: for `--json` events, and for status.json, which `spillway status` reads back.
// Money is in USD, durations in seconds (keys end in _s), times in UTC as 2026-01-31T12:00:00.000Z.
#pragma once

#include "orchestrator/engine/progress.hpp"
#include "schemas/result.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <string_view>

namespace spillway {

/// Absent values are left out. Besides the fields themselves: `elapsed_s`, and per lane
/// `latency_p50_s` and `latency_p95_s`.
[[nodiscard]] boost::json::object to_json(const run_progress&);

/// Reads what `to_json` wrote; unknown keys are skipped, absent ones keep their defaults.
[[nodiscard]] result<run_progress> progress_from_json(const boost::json::value&);

/// One line, with decimals where Boost.JSON itself would write 1.5E0.
[[nodiscard]] std::string json_line(const boost::json::value&);

/// What status.json holds.
struct status_file {
  std::int64_t pid = 0;
  time_point updated_at;
  run_progress progress;
};
[[nodiscard]] std::string status_text(const status_file&);
[[nodiscard]] result<status_file> parse_status(std::string_view text);


}  // namespace spillway
