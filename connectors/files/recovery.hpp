// What to do with rows that were written but not recorded before a crash. Pure.
#pragma once

#include "connectors/log.hpp"
#include "connectors/rows.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

struct adopted_row {
  attempt_record attempt;  ///< the open send that the row answers
  row_summary row;
};

struct surplus_plan {
  std::string keep;                  ///< rows to write again and record
  std::vector<adopted_row> adopted;  ///< one for each kept row
  bool moved = false;                ///< kept rows don't stand at the beginning of the surplus
};

/// `surplus` is what stands behind the recorded length of a row file. Whole rows that answer an
/// open send are kept: they are paid for. A torn last row is dropped. In the errors file, rows of
/// lines that were never sent, or that would be written again from the ledger, are dropped: they
/// are rebuilt. Any other whole row is not ours to cut: storage failure.
[[nodiscard]] result<surplus_plan> plan_surplus(std::string_view surplus, bool errors_file,
                                                const std::string& path,
                                                std::span<const attempt_record> attempts,
                                                std::span<const std::string> file_names);

}  // namespace spillway
