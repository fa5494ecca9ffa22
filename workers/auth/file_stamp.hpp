// Whether a file is still the one that was read.
#pragma once

#include <cstdint>
#include <string>

namespace spillway {

struct file_stamp {
  std::string path;
  bool exists = false;
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t modified_ns = 0;
  bool operator==(const file_stamp&) const = default;

  /// Of the file as it is now. Taken before the file is read, so that no change goes unseen.
  [[nodiscard]] static file_stamp of(std::string path);
};

}  // namespace spillway
