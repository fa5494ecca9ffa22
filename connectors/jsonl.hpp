// OpenAI Batch lines: splitting, validating, and finding the parts adapters need.
#pragma once

#include "schemas/prompt.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

struct line_view {
  std::size_t offset = 0, length = 0;  ///< without line feed and carriage return
  std::uint64_t number = 0;            ///< 1-based in the file
};

/// The lines of a shard that are not blank. `first_line` is the number of its first line.
[[nodiscard]] std::vector<line_view> split_lines(std::string_view bytes, std::uint64_t first_line);

/// What a line holds: a prompt without its place and class, or the reason why it can't be sent.
struct parsed_line {
  std::string code;  ///< empty when valid
  std::string message;
  std::string custom_id_token;  ///< JSON string token; "null" when there is none
  std::string custom_id;        ///< unescaped; empty when there is none
  std::string model;            ///< unescaped
  prompt value;                 ///< `text` is not set: spans are relative to the line
};

/// Validates lines. Keeps buffers between calls; one per thread.
class line_parser {
 public:
  line_parser();
  ~line_parser();
  line_parser(line_parser&&) noexcept;
  line_parser& operator=(line_parser&&) noexcept;
  /// `read_padding` bytes after the line must be readable.
  [[nodiscard]] parsed_line parse(std::string_view line);

 private:
  struct parsers;
  std::unique_ptr<parsers> parsers_;
};

/// What a JSON string token stands for; nothing when it is none, or empty.
[[nodiscard]] std::optional<std::string> unquoted(std::string_view token);

/// 64-bit hash of a custom_id; never 0.
[[nodiscard]] std::uint64_t hash_custom_id(std::string_view);

}  // namespace spillway
