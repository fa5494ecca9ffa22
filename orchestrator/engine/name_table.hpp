// Names by small numbers.
#pragma once

#include "schemas/ids.hpp"

#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace spillway {

/// Files that shards come from. Thread-safe; a name is never forgotten.
class name_table {
 public:
  file_id intern(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const auto it = ids_.find(std::string(name));
    if (it != ids_.end()) return it->second;
    const file_id id(static_cast<std::uint32_t>(names_.size()));
    names_.emplace_back(name);
    ids_.emplace(names_.back(), id);
    return id;
  }
  [[nodiscard]] std::string name(file_id id) const {
    const std::lock_guard lock(mutex_);
    return names_.at(id.value());
  }

 private:
  mutable std::mutex mutex_;
  std::deque<std::string> names_;
  std::unordered_map<std::string, file_id> ids_;
};

}  // namespace spillway
