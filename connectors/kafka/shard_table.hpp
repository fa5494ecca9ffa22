// Which offsets of the shards topic the engine's shards of a partition stand for.
#pragma once

#include "connectors/kafka/place.hpp"
#include "schemas/ids.hpp"
#include "schemas/prompt.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace spillway::kafka {

/// Not thread-safe.
class shard_table {
 public:
  explicit shard_table(partition_id partition) : partition_(partition) {}

  /// Numbers the shard; its descriptor gets the number.
  shard_id add(shard_descriptor&, std::string job);
  [[nodiscard]] place place_of(position) const;
  /// Nothing when the record has not become a shard here, or was forgotten.
  [[nodiscard]] std::optional<position> position_of(const place&) const;
  [[nodiscard]] const std::string& job_of(shard_id) const;
  [[nodiscard]] const shard_descriptor& at(shard_id) const;
  [[nodiscard]] bool knows(shard_id) const;
  /// The place of a shard's prompt.
  [[nodiscard]] static place place_in(const shard_descriptor&, std::uint32_t index);
  /// The engine has it.
  void take(shard_id);
  [[nodiscard]] bool is_taken(shard_id id) const { return entry_of(id).taken; }
  /// How many prompts of a shard the engine still has to finish.
  void add_open(shard_id, std::int64_t change);
  /// Forgets the shards in front that stand wholly below the offset and have nothing open; returns
  /// the first one kept.
  shard_id forget_below(std::int64_t offset,
                        const std::function<void(const shard_descriptor&)>& forgotten);

 private:
  struct entry {
    shard_descriptor where;
    std::string job;
    std::int64_t open = 0;
    bool taken = false;
  };
  [[nodiscard]] const entry& entry_of(shard_id) const;
  partition_id partition_;
  std::uint32_t first_ = 0;  ///< number of shards_.front()
  std::deque<entry> shards_;
  std::map<std::int64_t, shard_id> by_offset_;
};

}  // namespace spillway::kafka
