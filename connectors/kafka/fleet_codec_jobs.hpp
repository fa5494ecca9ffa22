// Records of `jobs`, `progress`, `ctl`, `shards` and `dead` as bytes, and the keys they stand
// under.
#pragma once

#include "connectors/kafka/fleet_records.hpp"

#include <string>
#include <string_view>
#include <variant>

namespace spillway::kafka {

template <class T>
using decoded = std::variant<T, record_fault>;

/// Names the format of a record's value on `shards`.
inline constexpr std::string_view format_header = "spillway-format";
inline constexpr std::string_view shard_format = "shard/1";
/// Names the job of a record on `shards` and on `results`.
inline constexpr std::string_view job_header = "job";

enum class jobs_key_kind { submission, manifest, command, final };
struct jobs_key {
  jobs_key_kind kind = jobs_key_kind::manifest;
  std::string job;
  std::string command;  ///< the command's id
};
[[nodiscard]] std::optional<jobs_key> parse_jobs_key(std::string_view);
[[nodiscard]] std::string key_of(const submission_record&);
[[nodiscard]] std::string key_of(const manifest_record&);
[[nodiscard]] std::string key_of(const command_record&);
[[nodiscard]] std::string key_of(const final_record&);
[[nodiscard]] std::string key_of(const progress_record&);
inline constexpr std::string_view fleet_key = "fleet";

[[nodiscard]] std::string encode(const submission_record&);
[[nodiscard]] std::string encode(const manifest_record&);
[[nodiscard]] std::string encode(const command_record&);
[[nodiscard]] std::string encode(const final_record&);
[[nodiscard]] std::string encode(const progress_record&);
[[nodiscard]] std::string encode(const fleet_identity&);
[[nodiscard]] std::string encode(const dead_letter&);
/// `lines` instead of the record's own, so that a big text is copied once only; `crc` is theirs.
[[nodiscard]] std::string encode(const shard_lines&, std::string_view lines, std::uint32_t crc);

/// Key and value of what is to be written to `jobs`, `progress` or `ctl`.
template <class T>
[[nodiscard]] record record_of(const T& value) {
  return {key_of(value), encode(value), false, {}};
}
[[nodiscard]] record record_of(const fleet_identity&);
[[nodiscard]] record record_of(const shard_lines&, std::string_view lines, std::uint32_t crc);

[[nodiscard]] decoded<submission_record> decode_submission(std::string_view);
[[nodiscard]] decoded<manifest_record> decode_manifest(std::string_view);
[[nodiscard]] decoded<command_record> decode_command(std::string_view);
[[nodiscard]] decoded<final_record> decode_final(std::string_view);
[[nodiscard]] decoded<progress_record> decode_progress(std::string_view);
[[nodiscard]] decoded<fleet_identity> decode_fleet(std::string_view);
[[nodiscard]] decoded<dead_letter> decode_dead_letter(std::string_view);
/// Checks version, sizes and CRC; whether the lines are prompts is for others to find.
[[nodiscard]] decoded<shard_lines> decode_shard(std::string_view);

}  // namespace spillway::kafka
