// The table that a run and `spillway status` end with: one row a lane, and what it came to.
#pragma once

#include "orchestrator/engine/progress.hpp"

#include <string>

namespace spillway {

inline constexpr std::size_t table_columns_max = 120;

/// Two header lines, a row a lane, a total. At most `columns` wide: gaps shrink first, then big
/// numbers are shortened, then lane names are cut.
[[nodiscard]] std::string render_table(const run_progress&,
                                       std::size_t columns = table_columns_max);

/// What the run came to, in one to three lines: prompts, error rows, cost, time, what was resumed.
[[nodiscard]] std::string render_summary(const run_progress&);

}  // namespace spillway
