// A prompt as it travels from the input line to the result row.
#pragma once

#include "schemas/features.hpp"
#include "schemas/ids.hpp"
#include "schemas/units.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace spillway {

enum class endpoint_kind : std::uint8_t { chat_completions, responses, embeddings, completions };
inline constexpr std::size_t endpoint_kinds = 4;

/// "/v1/chat/completions" and so on.
[[nodiscard]] std::string_view url_of(endpoint_kind);

/// A byte range of a line.
struct text_span {
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
};

/// What a prompt may ask for where nobody looked.
inline constexpr prompt_features all_features = [] {
  prompt_features all;
  for (unsigned f = 0; f < static_cast<unsigned>(prompt_feature::count); ++f)
    all |= static_cast<prompt_feature>(f);
  return all;
}();

/// One sendable prompt. Spans point into `text`, the raw input line without its line end.
struct prompt {
  position where;
  job_number job;
  class_id cls;
  endpoint_kind endpoint = endpoint_kind::chat_completions;
  std::uint64_t line = 0;  ///< 1-based in its file
  file_id file;
  std::string text;
  text_span custom_id;       ///< the JSON string token, quotes included
  text_span body;            ///< the JSON object
  text_span model;           ///< the JSON string token within the body, quotes included
  tokens max_output;         ///< choices x max output tokens; 0 = the prompt does not say
  std::int64_t choices = 1;  ///< n
  std::int64_t images = 0;   ///< upper bound of image parts
  prompt_features features = all_features;  ///< what it asks of a lane; all, where nobody looked

  [[nodiscard]] std::string_view view(text_span s) const {
    return std::string_view(text).substr(s.offset, s.length);
  }
};

/// A line that can't be sent: it becomes an error row.
struct invalid_line {
  position where;
  file_id file;
  std::uint64_t line = 0;
  std::uint64_t offset = 0;     ///< byte offset of the line in its file
  std::string custom_id_token;  ///< JSON string token, or "null"
  std::string code;             ///< "invalid_json", "duplicate_custom_id", …
  std::string message;
  job_number job{};
  bool refused = false;  ///< a good line that no configured lane may take
};

/// Where a shard lies in the input. `crc` is CRC-32 of its bytes.
struct shard_descriptor {
  shard_id id;
  file_id file;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t first_line = 0;  ///< 1-based number of its first line, blank lines counted
  std::uint64_t next_line = 0;   ///< number of the line behind it
  std::uint32_t count = 0;       ///< prompts and invalid lines; blank lines are none
  std::uint32_t crc = 0;
  partition_id partition{};
  job_number job{};           ///< of all its lines
  bool ids_checked = false;   ///< whoever wrote it looked for repeated custom_ids
  bool line_records = false;  ///< each line was a record of its own, at `offset` + its index
};

/// One bit a prompt of a shard.
class shard_bits {
 public:
  [[nodiscard]] bool test(std::uint32_t i) const { return (words_[i / 64] >> (i % 64)) & 1; }
  void set(std::uint32_t i) { words_[i / 64] |= std::uint64_t{1} << (i % 64); }
  void clear(std::uint32_t i) { words_[i / 64] &= ~(std::uint64_t{1} << (i % 64)); }
  [[nodiscard]] std::uint32_t count() const {
    std::uint32_t n = 0;
    for (const auto w : words_) n += static_cast<std::uint32_t>(__builtin_popcountll(w));
    return n;
  }
  [[nodiscard]] std::string bytes() const;
  static shard_bits from_bytes(std::string_view);

 private:
  std::uint64_t words_[shard_prompts_max / 64] = {};
};

}  // namespace spillway
