// Cuts input files into shards and reads them again by place.
#pragma once

#include "connectors/log.hpp"

#include <string>
#include <vector>

namespace spillway {

inline constexpr std::size_t shard_bytes_max = 512u << 10;

struct input_file {
  std::string name;        ///< as the user gave it
  std::uint64_t size = 0;  ///< bytes to read; the file may not be shorter
};

/// Reads files of any size in order. Not thread-safe.
class input_reader final : public shard_source {
 public:
  /// Opens all files and notes their sizes: what is appended later is not read.
  [[nodiscard]] static result<input_reader> open(const std::vector<std::string>& names,
                                                 std::size_t line_bytes_max);
  ~input_reader() override;
  input_reader(input_reader&&) noexcept;
  input_reader& operator=(input_reader&&) noexcept;

  [[nodiscard]] const std::vector<input_file>& files() const { return files_; }
  [[nodiscard]] std::uint64_t total_bytes() const;
  /// True if `fd` (an output) is one of the inputs.
  [[nodiscard]] bool has_inode_of(int fd) const;

  /// Goes on behind this shard; to be called before `read_next` when shards are known already.
  void resume_after(const shard_descriptor&);
  /// Next shard; nothing at the end of the last file.
  [[nodiscard]] result<std::optional<shard_data>> read_next() override;
  /// Reads a known shard again and checks its CRC.
  [[nodiscard]] result<shard_data> read(const shard_descriptor&) override;

 private:
  input_reader() = default;
  [[nodiscard]] result<std::size_t> fill(std::uint64_t offset, std::size_t want, std::string& into);
  [[nodiscard]] result<shard_data> cut(std::uint64_t offset);
  [[nodiscard]] result<shard_data> long_line(std::uint64_t offset, std::string bytes);
  [[nodiscard]] result<std::uint64_t> find_line_end(std::uint64_t from, std::uint32_t& crc);
  void finish(shard_data&, std::string bytes, std::size_t size) const;

  std::vector<input_file> files_;
  std::vector<int> fds_;
  std::size_t line_bytes_max_ = 0;
  std::uint32_t file_ = 0;    ///< being read
  std::uint64_t offset_ = 0;  ///< of the next byte
  std::uint64_t line_ = 1;    ///< number of the next line
  std::uint32_t next_shard_ = 0;
};

}  // namespace spillway
