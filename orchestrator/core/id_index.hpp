// Finds repeated custom_ids among tens of millions of prompts in 12 bytes each (plus slack).
#pragma once

#include "schemas/ids.hpp"

#include <array>
#include <vector>

namespace spillway {

/// Maps 64-bit hashes to the position that came first, of one partition: candidates come as if of
/// partition 0. Equal hashes of different ids are told apart
/// by the caller, who can read the earlier line again: `find` yields every candidate.
/// 256 open-addressing tables that grow one by one, so that growing never needs twice the memory.
class id_index {
 public:
  void insert(std::uint64_t hash, position where) {
    auto& t = tables_[hash >> 56];
    if ((t.used + 1) * 8 > t.slots.size() * 7) grow(t);
    put(t, hash, where.local());
    ++t.used;
  }

  /// Calls `candidate(position)` for each entry with this hash until it returns true.
  template <class Predicate>
  [[nodiscard]] bool find(std::uint64_t hash, Predicate candidate) const {
    const auto& t = tables_[hash >> 56];
    if (t.slots.empty()) return false;
    for (std::size_t i = home(t, hash);; i = next(t, i)) {
      const slot& s = t.slots[i];
      if (s.where == empty) return false;
      if (s.low == static_cast<std::uint32_t>(hash) &&
          s.high == static_cast<std::uint32_t>(hash >> 32) &&
          candidate(position::from_value(s.where)))
        return true;
    }
  }

  [[nodiscard]] std::size_t bytes() const {
    std::size_t n = 0;
    for (const auto& t : tables_) n += t.slots.capacity() * sizeof(slot);
    return n;
  }

 private:
  static constexpr std::uint32_t empty = UINT32_MAX;
  struct slot {
    std::uint32_t low = 0, high = 0, where = empty;
  };
  static_assert(sizeof(slot) == 12);
  struct table {
    std::vector<slot> slots;
    std::size_t used = 0;
  };

  static std::size_t home(const table& t, std::uint64_t hash) {
    return static_cast<std::size_t>(
        (static_cast<unsigned long long>(hash & 0xffffffff) * t.slots.size()) >> 32);
  }
  static std::size_t next(const table& t, std::size_t i) {
    return i + 1 == t.slots.size() ? 0 : i + 1;
  }
  static void put(table& t, std::uint64_t hash, std::uint32_t where) {
    std::size_t i = home(t, hash);
    while (t.slots[i].where != empty) i = next(t, i);
    t.slots[i] = {static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(hash >> 32), where};
  }
  static void grow(table& t) {
    std::vector<slot> old(t.slots.empty() ? 16 : t.slots.size() + t.slots.size() / 3);
    old.swap(t.slots);
    for (const slot& s : old)
      if (s.where != empty) put(t, std::uint64_t{s.high} << 32 | s.low, s.where);
  }

  std::array<table, 256> tables_;
};

}  // namespace spillway
