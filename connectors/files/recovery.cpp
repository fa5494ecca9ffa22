#include "connectors/files/recovery.hpp"

#include <map>
#include <set>

namespace spillway {

result<surplus_plan> plan_surplus(std::string_view surplus, bool errors_file,
                                  const std::string& path, std::span<const attempt_record> attempts,
                                  std::span<const std::string> file_names) {
  surplus_plan plan;
  if (surplus.empty()) return plan;
  std::map<std::pair<std::string_view, std::uint64_t>, const attempt_record*> unfinished;
  for (const auto& a : attempts) unfinished[{file_names[a.file.value()], a.line}] = &a;
  std::set<const attempt_record*> seen;

  for (std::size_t at = 0; at < surplus.size();) {
    const auto feed = surplus.find('\n', at);
    if (feed == std::string_view::npos) break;  // torn
    const auto row = surplus.substr(at, feed + 1 - at);
    at = feed + 1;
    if (row == "\n") continue;  // left by a recovery that was interrupted
    const auto foreign = [&] {
      return failure{failure_kind::storage,
                     path +
                         " has a row behind the last one recorded that no open call explains; "
                         "it was not touched: remove what others appended, or start anew with "
                         "--overwrite"};
    };
    const auto summary = read_row(row);
    if (!summary) return foreign();
    if (errors_file && summary->attempts == 0) continue;  // never sent: rebuilt
    const auto it = unfinished.find({summary->file, summary->line});
    if (it != unfinished.end() && it->second->in_flight) {
      if (!seen.insert(it->second).second) return foreign();
      plan.keep += row;
      plan.adopted.push_back({*it->second, *summary});
      continue;
    }
    if (!errors_file || it == unfinished.end()) return foreign();
  }
  plan.moved = !surplus.starts_with(plan.keep);
  return plan;
}

}  // namespace spillway
