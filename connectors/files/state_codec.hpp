// State records as bytes of schemas/state.proto, and the keys they stand under.
#pragma once

#include "connectors/files/row_file.hpp"
#include "connectors/log.hpp"
#include "schemas/config.hpp"

#include <span>
#include <string>
#include <vector>

namespace spillway::state {

inline constexpr std::uint32_t format_version = 1;

struct header {
  std::uint32_t version = format_version;
  std::string job;
  in_doubt_policy in_doubt = in_doubt_policy::resend;
  std::vector<std::pair<std::string, std::uint64_t>> inputs;  ///< name, size
  std::optional<std::vector<std::string>> residency;
};

struct progress {
  row_file_mark results, errors;
  std::int64_t answered = 0, failed = 0, invalid = 0;
  std::vector<named_totals> totals;
};

inline constexpr const char* header_key = "h";
inline constexpr const char* progress_key = "p";
[[nodiscard]] std::string shard_key(shard_id);
[[nodiscard]] std::string done_key(shard_id);
[[nodiscard]] std::string journal_key(std::uint64_t sequence);
[[nodiscard]] std::uint64_t journal_sequence(std::string_view key);

[[nodiscard]] std::string encode(const header&);
[[nodiscard]] std::string encode(const progress&);
[[nodiscard]] std::string encode(const shard_record&);
[[nodiscard]] std::string encode(const shard_bits&);
[[nodiscard]] std::string encode(std::span<const attempt_record>);

// Each fails (storage) on bytes that are not such a record.
[[nodiscard]] result<header> decode_header(std::string_view);
[[nodiscard]] result<progress> decode_progress(std::string_view);
[[nodiscard]] result<shard_record> decode_shard(shard_id, std::string_view);
[[nodiscard]] result<shard_bits> decode_done(std::string_view);
[[nodiscard]] result<std::vector<attempt_record>> decode_journal(std::string_view);

}  // namespace spillway::state
