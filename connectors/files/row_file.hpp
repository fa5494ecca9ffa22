// An output file that only ever grows by whole rows, locked against other processes.
#pragma once

#include "schemas/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace spillway {

/// What the state records of a row file.
struct row_file_mark {
  std::uint64_t length = 0;
  std::uint32_t last_length = 0;  ///< bytes of the last row
  std::uint32_t last_crc = 0;
};

class row_file {
 public:
  row_file() = default;
  ~row_file();
  row_file(row_file&&) noexcept;
  row_file& operator=(row_file&&) noexcept;

  /// Opens (and creates, if allowed) and locks the file. Usage failure when another process has it.
  [[nodiscard]] static result<row_file> open(const std::string& path, bool create);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const row_file_mark& mark() const { return mark_; }

  /// Checks the file against its mark: storage failure when it is shorter or its last row differs.
  /// Returns what stands behind the mark.
  [[nodiscard]] result<std::string> check(const row_file_mark&);
  /// Writes rows behind the mark, over whatever is there; durable after `sync`. With `region`
  /// larger than the rows, the rest of the region becomes blank lines in the same write.
  [[nodiscard]] result<void> append(std::string_view rows, std::size_t region = 0);
  /// Cuts what stands behind the mark.
  [[nodiscard]] result<void> cut();
  [[nodiscard]] result<void> sync();

 private:
  [[nodiscard]] failure fault(const char* doing) const;
  std::string path_;
  int fd_ = -1;
  row_file_mark mark_;
};

/// Makes the creation of an entry in the folder of `path` durable.
[[nodiscard]] result<void> sync_folder_of(const std::string& path);

}  // namespace spillway
