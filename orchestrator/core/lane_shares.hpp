// Whose turn it is among lanes that share prompts by weight.
#pragma once

#include "schemas/ids.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace spillway {

/// Stride scheduling: a lane's turn moves on by the inverse of its weight with each prompt, and the
/// lowest turn is due. What a lane could not take is not kept for it beyond `credit` prompts.
class lane_shares {
 public:
  [[nodiscard]] bool empty() const { return lanes_.empty(); }

  /// The lanes that share and their weights, above 0. Those that stay keep their turn.
  void set(const std::vector<std::pair<lane_id, std::int64_t>>& weights) {
    std::vector<entry> next;
    for (const auto& [lane, weight] : weights) {
      const auto known = find(lane);
      if (known != lanes_.end() && known->weight == weight)
        next.push_back(*known);
      else
        next.push_back({lane, weight, least() + scale / weight / 2});
    }
    lanes_ = std::move(next);
  }

  /// The lane took a prompt, whether it was due or not.
  void took(lane_id lane) {
    const auto it = find(lane);
    if (it == lanes_.end()) return;
    const auto now = it->turn;
    it->turn += scale / it->weight;
    for (auto& e : lanes_) e.turn = std::max(e.turn, now - credit * (scale / e.weight));
    const auto passed = least();
    for (auto& e : lanes_) e.turn -= passed;
  }

  /// Puts the lanes that share first, by turn; otherwise `lanes` stays as it is.
  void order(std::vector<lane_id>& lanes) const {
    const auto turn = [&](lane_id lane) {
      const auto it = find(lane);
      return it == lanes_.end() ? INT64_MAX : it->turn;
    };
    std::stable_sort(lanes.begin(), lanes.end(),
                     [&](lane_id a, lane_id b) { return turn(a) < turn(b); });
  }

 private:
  struct entry {
    lane_id lane;
    std::int64_t weight = 1, turn = 0;
  };
  static constexpr std::int64_t scale = std::int64_t{1} << 40;
  static constexpr std::int64_t credit = 4;

  [[nodiscard]] std::vector<entry>::iterator find(lane_id lane) {
    return std::find_if(lanes_.begin(), lanes_.end(),
                        [&](const entry& e) { return e.lane == lane; });
  }
  [[nodiscard]] std::vector<entry>::const_iterator find(lane_id lane) const {
    return std::find_if(lanes_.begin(), lanes_.end(),
                        [&](const entry& e) { return e.lane == lane; });
  }
  [[nodiscard]] std::int64_t least() const {
    if (lanes_.empty()) return 0;
    return std::min_element(lanes_.begin(), lanes_.end(),
                            [](const entry& a, const entry& b) { return a.turn < b.turn; })
        ->turn;
  }

  std::vector<entry> lanes_;
};

}  // namespace spillway
