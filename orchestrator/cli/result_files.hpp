// Where the rows that `results` and `errors` read from the log go: files as they come, or sorted.
#pragma once

#include "connectors/kafka/row_tracker.hpp"
#include "connectors/kafka/values.hpp"
#include "schemas/result.hpp"

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

/// A row as it was read, with its place.
struct fetched_row {
  std::uint32_t partition = 0;
  kafka::place where;
  row_kind kind = row_kind::answered;
  std::string row;  ///< ends in a line feed
};

struct row_counts {
  std::uint64_t answered = 0;
  std::uint64_t errors = 0;
};

/// A file that is written from the front and perhaps read again.
class spool_file {
 public:
  /// Replaces what is there.
  [[nodiscard]] static result<spool_file> create(const std::string& path);
  /// Without a name: gone with the process.
  [[nodiscard]] static result<spool_file> nameless(const std::string& folder);
  [[nodiscard]] result<void> write(std::string_view bytes);
  [[nodiscard]] result<void> flush();
  [[nodiscard]] result<void> rewind();
  /// Bytes up to and with the next line feed; empty at the end.
  [[nodiscard]] result<std::string> read_line();
  /// Exactly so many bytes; false at the end.
  [[nodiscard]] result<bool> read(void* into, std::size_t size);

 private:
  struct closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  spool_file(std::FILE* file, std::string name) : file_(file), name_(std::move(name)) {}
  [[nodiscard]] failure broken(const char* doing) const;

  std::unique_ptr<std::FILE, closer> file_;
  std::string name_;
};

/// What takes the rows of a job. Rows that a later one of the same prompt replaces are left out.
class row_sink {
 public:
  virtual ~row_sink() = default;
  [[nodiscard]] virtual result<void> add(fetched_row) = 0;
  /// Makes what was added visible, as far as that is possible before the end.
  [[nodiscard]] virtual result<void> flush() = 0;
  /// Nothing more comes.
  [[nodiscard]] virtual result<row_counts> finish() = 0;
};

/// Rows as they come. An empty `output` leaves the answers out. Error rows that a retry replaced
/// are taken out of `errors` at the end.
[[nodiscard]] result<std::unique_ptr<row_sink>> make_row_files(const std::string& output,
                                                               const std::string& errors);

/// Rows by input file and line, written at the end. Sorts in runs that lie in `folder` meanwhile.
/// `files` gives the order of the input files; others follow by name, then rows without a line.
[[nodiscard]] result<std::unique_ptr<row_sink>> make_sorted_row_files(
    const std::string& output, const std::string& errors, const std::string& folder,
    std::vector<std::string> files, std::size_t run_bytes = 64u << 20);

}  // namespace spillway
