// What stands on the topics `jobs`, `progress`, `ctl`, `shards` and `dead`, as plain values.
#pragma once

#include "connectors/kafka/record.hpp"
#include "schemas/job.hpp"
#include "schemas/totals.hpp"
#include "schemas/units.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace spillway::kafka {

struct partition_count {
  std::uint32_t partition = 0;
  std::uint64_t shards = 0;
  std::uint64_t prompts = 0;
  std::int64_t first_offset = 0;
  std::int64_t end_offset = 0;  ///< behind the last shard

  bool operator==(const partition_count&) const = default;
};

/// How far a submission is; its manifest ends it.
struct submission_record {
  std::string job;
  std::string submission;      ///< unique: shards and manifest carry it
  std::uint64_t checksum = 0;  ///< of the whole content
  std::uint64_t shards = 0;    ///< written so far
  std::uint64_t prompts = 0;   ///< written so far
  std::vector<partition_count> partitions;
  time_point started{};
  bool abandoned = false;  ///< cancelled before its manifest: its shards are skipped
};

/// The commit of a submission, or the opening of an open job.
struct manifest_record {
  std::string job;
  std::string submission;
  job_policy policy;
  bool open = false;
  std::uint64_t shards = 0;
  std::uint64_t prompts = 0;
  std::uint64_t checksum = 0;
  std::vector<partition_count> partitions;
  std::vector<std::string> files;
  time_point created{};
};

enum class command_kind { pause, resume, cancel, retry, close, policy };
[[nodiscard]] const char* name_of(command_kind);

struct command_record {
  std::string job;
  std::string id;  ///< unique: applied once in each partition
  command_kind kind = command_kind::pause;
  bool in_doubt_only = false;             ///< of a retry
  std::vector<std::string> codes;         ///< of a retry: only these; empty = all
  std::vector<std::int64_t> end_offsets;  ///< of a close, by partition
  std::optional<job_policy> policy;       ///< of a new policy
  time_point at{};
};

enum class job_outcome { completed, cancelled };
[[nodiscard]] const char* name_of(job_outcome);

struct final_record {
  std::string job;
  job_outcome outcome = job_outcome::completed;
  std::uint64_t prompts = 0;
  std::uint64_t answered = 0;
  std::uint64_t errors = 0;   ///< error rows
  std::uint64_t invalid = 0;  ///< those of the error rows that were never sendable lines
  std::uint64_t maybe_billed = 0;
  nano_usd settled;
  std::vector<named_totals> lanes;
  time_point created{}, finished{};
};

/// Of one job in one partition.
struct progress_record {
  std::string job;
  std::uint32_t partition = 0;
  std::string member;
  time_point updated{};
  std::int64_t read_to = 0;  ///< every record of `shards` below it is counted
  std::int64_t jobs_to = 0;  ///< every command on `jobs` below it took effect
  std::int64_t prompts = 0;
  std::int64_t answered = 0;
  std::int64_t errors = 0;   ///< error rows
  std::int64_t invalid = 0;  ///< those of the error rows that were never sendable lines
  std::int64_t in_flight = 0;
  std::int64_t in_doubt = 0;
  std::int64_t maybe_billed = 0;
  nano_usd settled, reserved;
  std::string condition;  ///< "running", "paused", "budget", "stalled", ...
  std::string reason;     ///< for people, empty when running
  std::vector<named_totals> lanes;
};

struct fleet_identity {
  std::string uuid;
  std::uint32_t partitions = 0;
  time_point created{};
};

/// Lines of one file, as they stand in one record.
struct shard_lines {
  std::string job;
  std::string submission;
  std::string file;
  std::uint64_t first_line = 0;  ///< 1-based, blank lines counted
  std::uint64_t next_line = 0;
  std::uint32_t count = 0;  ///< lines that are not blank
  std::string lines;        ///< each ending in a line feed
};

/// Something a user sent that can't be worked on.
struct dead_letter {
  topic from = topic::shards;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  record what;
  std::string code;
  std::string message;  ///< what is wrong and what to do
  time_point at{};
  std::string member;
};

/// Why bytes are not a record of ours: a short code, and a sentence with the remedy.
struct record_fault {
  std::string code;  ///< "unparsable", "unknown_version", "too_large", "unknown_key", ...
  std::string message;
};

}  // namespace spillway::kafka
