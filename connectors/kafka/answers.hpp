// Answers that were published, or are about to be, and were not read back as committed yet.
#pragma once

#include "connectors/kafka/values.hpp"

#include <map>
#include <optional>
#include <unordered_map>

namespace spillway::kafka {

struct answer {
  finished_row row;
  std::optional<std::int64_t> stored;  ///< newest offset on `results` that it is known to have
  std::optional<std::int64_t> late;    ///< where it stands on `late`
  std::uint64_t transaction = 0;       ///< that it was produced in; 0: not produced by this link
};

struct unread_answers {
  std::int64_t records = 0, bytes = 0;
};

/// In the order of their publication. At most one answer a prompt: that is the published bit.
class answer_store {
 public:
  /// Returns its number. The prompt has none yet.
  std::uint64_t add(finished_row row, std::optional<std::int64_t> stored,
                    std::optional<std::int64_t> late) {
    const auto number = next_++;
    bytes_ += size_of(row);
    by_prompt_[row.facts.where.prompt()] = number;
    all_.emplace(number, answer{std::move(row), stored, late, 0});
    return number;
  }
  [[nodiscard]] bool contains(const place& p) const { return by_prompt_.contains(p.prompt()); }
  /// False when there was none.
  bool erase(const place& p) {
    const auto at = by_prompt_.find(p.prompt());
    if (at == by_prompt_.end()) return false;
    const auto found = all_.find(at->second);
    bytes_ -= size_of(found->second.row);
    all_.erase(found);
    by_prompt_.erase(at);
    return true;
  }
  [[nodiscard]] answer* find(std::uint64_t number) {
    const auto at = all_.find(number);
    return at == all_.end() ? nullptr : &at->second;
  }
  [[nodiscard]] const answer* of(const place& p) const {
    const auto at = by_prompt_.find(p.prompt());
    return at == by_prompt_.end() ? nullptr : &all_.at(at->second);
  }
  void stored_at(const place& p, std::int64_t offset) {
    all_.at(by_prompt_.at(p.prompt())).stored = offset;
  }
  /// The lowest offset on `results` (or `late`) that an answer still needs, at most `otherwise`.
  [[nodiscard]] std::int64_t floor(std::optional<std::int64_t> answer::*where,
                                   std::int64_t otherwise) const {
    for (const auto& [number, a] : all_)
      if (a.*where && *(a.*where) < otherwise) otherwise = *(a.*where);
    return otherwise;
  }
  [[nodiscard]] std::map<std::uint64_t, answer>& all() { return all_; }
  [[nodiscard]] const std::map<std::uint64_t, answer>& all() const { return all_; }
  [[nodiscard]] std::uint64_t next_number() const { return next_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Those that were produced in a transaction up to this one.
  [[nodiscard]] unread_answers produced_until(std::uint64_t transaction) const {
    unread_answers out;
    for (const auto& [number, a] : all_) {
      if (a.transaction == 0 || a.transaction > transaction) continue;
      ++out.records;
      out.bytes += static_cast<std::int64_t>(a.row.key.size() + a.row.row.size());
    }
    return out;
  }
  void clear() {
    all_.clear();
    by_prompt_.clear();
    bytes_ = 0;
  }

 private:
  static std::size_t size_of(const finished_row& r) {
    return r.key.size() + r.row.size() + sizeof(answer);
  }
  std::map<std::uint64_t, answer> all_;
  std::unordered_map<place, std::uint64_t, place_hash> by_prompt_;
  std::uint64_t next_ = 1;
  std::size_t bytes_ = 0;
};

}  // namespace spillway::kafka
