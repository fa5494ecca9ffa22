// A small durable key-value store behind a seam.
#pragma once

#include "schemas/result.hpp"

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

/// Not thread-safe, except that `write` may run on another thread than reads made before it.
class index_store {
 public:
  virtual ~index_store() = default;
  /// All or nothing, and on disk when it returns.
  [[nodiscard]] virtual result<void> write(const std::vector<index_write>&) = 0;
  [[nodiscard]] virtual result<std::optional<std::string>> get(std::string_view key) = 0;
  /// Calls `visit(key, value)` for every key with the prefix, in order, until it returns false.
  [[nodiscard]] virtual result<void> scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;
};

/// Opens a RocksDB under `path`; the folder must exist. Fails (storage) when it is damaged or can't
/// be written, and (usage) when another process has it open.
[[nodiscard]] result<std::unique_ptr<index_store>> open_rocksdb(const std::string& path,
                                                                bool create);

}  // namespace spillway
