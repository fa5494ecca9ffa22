// What a member keeps on its own disk: a copy of each partition's state, and prompt bodies. All of
// it can be had again from Kafka.
#pragma once

#include "orchestrator/runtime/index_store.hpp"
#include "schemas/ids.hpp"
#include "schemas/result.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>

namespace spillway::kafka {

/// Thread-safe. Damage is met by beginning anew: then everything is missing, which its users take
/// for granted. A full disk is reported by `full` until there is room and a write succeeds.
class member_index {
 public:
  /// The bytes that can still be written in a folder; nothing if that is unknown.
  using room_source = std::function<std::optional<std::uintmax_t>(const std::string& folder)>;
  /// Opens what is in `folder`, made if need be. Fails (usage) when another process has it, and
  /// (storage) when the folder can't be used at all.
  [[nodiscard]] static result<std::unique_ptr<member_index>> open(const std::string& folder,
                                                                  room_source = {});

  /// The last state put for a partition.
  [[nodiscard]] std::optional<std::string> state(partition_id);
  void put_state(partition_id, std::string blob);
  /// The lines of the shard that begins at `offset`.
  [[nodiscard]] std::optional<std::string> body(partition_id, std::int64_t offset);
  void put_body(partition_id, std::int64_t offset, std::string lines);
  void remove_body(partition_id, std::int64_t offset);
  /// Forgets a partition: another member has it.
  void remove_bodies(partition_id);

  [[nodiscard]] bool full() const { return full_.load(); }
  /// Looks whether room is about to end, or is there again. To be called often.
  void probe();
  [[nodiscard]] std::int64_t rebuilds() const { return rebuilds_.load(); }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] index_usage usage();
  [[nodiscard]] std::int64_t disk_bytes() const;

 private:
  member_index(std::string folder, room_source room)
      : folder_(std::move(folder)), room_(std::move(room)) {}
  void write(const std::vector<index_write>&, write_safety);
  [[nodiscard]] std::optional<std::string> get(const std::string& key);
  [[nodiscard]] result<void> begin();
  void recover(const failure&, const index_store* seen);

  void ran_out();

  std::string folder_;
  room_source room_;
  std::shared_mutex mutex_;  ///< of store_ itself: exclusive while it is replaced
  std::unique_ptr<index_store> store_;
  std::atomic<bool> full_{false};
  std::atomic<std::int64_t> rebuilds_{0};
};

}  // namespace spillway::kafka
