// A small durable key-value store behind a seam.
#pragma once

#include "schemas/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

struct index_write {
  std::string key;
  std::optional<std::string> value;  ///< nothing: delete the key
};

/// Estimates, for those who watch.
struct index_usage {
  std::int64_t keys = 0;
  std::int64_t memtable_bytes = 0;
};

/// What a write survives.
enum class write_safety {
  power_loss,  ///< on disk when it returns
  kill,        ///< handed to the system: survives the process
  nothing,     ///< in memory until it is flushed: for what can be had again from elsewhere
};

/// Thread-safe, but a scan sees the keys as they were when it began.
class index_store {
 public:
  virtual ~index_store() = default;
  /// All or nothing.
  [[nodiscard]] virtual result<void> write(const std::vector<index_write>&,
                                           write_safety = write_safety::power_loss) = 0;
  [[nodiscard]] virtual result<std::optional<std::string>> get(std::string_view key) = 0;
  /// Calls `visit(key, value)` for every key with the prefix, in order, until it returns false.
  [[nodiscard]] virtual result<void> scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;
  [[nodiscard]] virtual index_usage usage() const { return {}; }
};

/// Opens a RocksDB under `path`; the folder must exist. Fails (storage) when it is damaged or can't
/// be written, and (usage) when another process has it open.
[[nodiscard]] result<std::unique_ptr<index_store>> open_rocksdb(const std::string& path,
                                                                bool create);

/// Opens or creates a RocksDB for what can be rebuilt from elsewhere. Usage failure when another
/// process has it; any other failure means that `destroy_rocksdb` and a new one are in order, or
/// room on the disk.
[[nodiscard]] result<std::unique_ptr<index_store>> open_rocksdb_cache(const std::string& path);
/// Deletes the files of a RocksDB that is not open.
[[nodiscard]] result<void> destroy_rocksdb(const std::string& path);
/// True for the failure of a write or open for want of disk space.
[[nodiscard]] bool is_disk_full(const failure&);

}  // namespace spillway
