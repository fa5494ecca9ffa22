// The books of one job on one partition: its part of the budget, and what each lane did for it.
#pragma once

#include "orchestrator/core/lane.hpp"
#include "schemas/totals.hpp"

#include <vector>

namespace spillway {

class account {
 public:
  budget money;
  std::int64_t open = 0;      ///< calls
  std::int64_t in_doubt = 0;  ///< unfinished prompts one of whose sends may have been billed

  /// The lane's totals here, to be changed: they are part of the next commit.
  lane_totals& of(lane_id id, const lane_setup& lane) {
    if (id.value() >= slots_.size()) slots_.resize(id.value() + 1, none);
    auto& slot = slots_[id.value()];
    if (slot == none) slot = slot_of(lane.pool, lane.config.name(), lane.config.model);
    return touch(slot);
  }
  /// The same for a lane that may not be configured any more.
  lane_totals& of(const std::string& pool, const std::string& lane) {
    return touch(slot_of(pool, lane, {}));
  }
  void restore(named_totals t) { entries_.push_back({std::move(t), false}); }
  /// Appends what changed since the last time.
  void take_changed(job_number job, std::vector<job_totals>& out) {
    for (const auto slot : changed_) {
      entries_[slot].changed = false;
      out.push_back({job, entries_[slot].totals});
    }
    changed_.clear();
  }
  [[nodiscard]] std::vector<named_totals> totals() const {
    std::vector<named_totals> all;
    for (const auto& e : entries_) all.push_back(e.totals);
    return all;
  }

 private:
  static constexpr std::uint32_t none = UINT32_MAX;
  struct entry {
    named_totals totals;
    bool changed = false;
  };
  std::uint32_t slot_of(const std::string& pool, const std::string& lane,
                        const std::string& model) {
    for (std::uint32_t i = 0; i < entries_.size(); ++i)
      if (entries_[i].totals.pool == pool && entries_[i].totals.lane == lane) return i;
    entries_.push_back({{pool, lane, model, {}}, false});
    return static_cast<std::uint32_t>(entries_.size() - 1);
  }
  lane_totals& touch(std::uint32_t slot) {
    auto& e = entries_[slot];
    if (!e.changed) changed_.push_back(slot);
    e.changed = true;
    return e.totals.totals;
  }

  std::vector<entry> entries_;
  std::vector<std::uint32_t> slots_;  ///< by lane id
  std::vector<std::uint32_t> changed_;
};

}  // namespace spillway
