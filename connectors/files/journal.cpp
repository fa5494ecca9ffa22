#include "connectors/files/journal.hpp"

#include <algorithm>
#include <unordered_set>

namespace spillway {

void journal::restore(std::uint64_t sequence, std::span<const attempt_record> attempts) {
  if (attempts.empty())
    stale_.push_back(sequence);
  else
    put(sequence, attempts, stale_);
  next_ = std::max(next_, sequence + 1);
}

std::vector<attempt_record> journal::open() const {
  std::vector<attempt_record> out;
  out.reserve(last_.size());
  for (const auto& [where, e] : last_) out.push_back(e.record);
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.where < b.where; });
  return out;
}

void journal::release(std::uint64_t sequence, std::vector<std::uint64_t>& removed) {
  const auto it = live_.find(sequence);
  if (it == live_.end() || --it->second > 0) return;
  live_.erase(it);
  removed.push_back(sequence);
}

void journal::put(std::uint64_t sequence, std::span<const attempt_record> attempts,
                  std::vector<std::uint64_t>& removed) {
  live_[sequence] = attempts.size();
  for (const auto& a : attempts) {
    const auto it = last_.find(a.where);
    if (it != last_.end()) release(it->second.sequence, removed);
    last_[a.where] = {sequence, a};
  }
}

journal::step journal::commit(std::vector<attempt_record> attempts,
                              std::span<const position> finished) {
  step s;
  s.sequence = next_;
  s.remove.swap(stale_);
  for (const auto where : finished) {
    const auto it = last_.find(where);
    if (it == last_.end()) continue;
    release(it->second.sequence, s.remove);
    last_.erase(it);
  }
  // Of each prompt only the last record counts, and none once it is finished.
  std::unordered_set<position> covered(finished.begin(), finished.end());
  for (auto it = attempts.rbegin(); it != attempts.rend(); ++it)
    if (covered.insert(it->where).second) s.write.push_back(std::move(*it));
  if (!live_.empty() && live_.begin()->first + groups_max < next_)
    for (const auto& [where, e] : last_)
      if (e.sequence + groups_max / 2 < next_ && !covered.contains(where))
        s.write.push_back(e.record);
  if (s.write.empty()) return s;
  ++next_;
  put(s.sequence, s.write, s.remove);
  return s;
}

}  // namespace spillway
