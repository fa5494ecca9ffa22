// Decides what submitting a content under a job's name comes to, and keeps count of what is
// written. Pure: reading files and writing to the broker is done elsewhere.
#pragma once

#include "connectors/kafka/job_table.hpp"
#include "schemas/prompt.hpp"
#include "schemas/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::kafka {

/// One number for the content of all files, from the hashes of their shards in order.
class content_checksum {
 public:
  void add(std::uint64_t shard_hash, std::uint64_t bytes);
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0x9E3779B97F4A7C15ull;
};
[[nodiscard]] std::uint64_t hash_of_bytes(std::string_view);

/// What is to be submitted, read and found good.
struct submission_content {
  std::vector<std::string> files;
  std::vector<shard_descriptor> shards;
  std::uint64_t prompts = 0;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
};

enum class submission_step {
  begin,     ///< write all shards
  go_on,     ///< an earlier one was interrupted: write the shards behind `written`
  complete,  ///< everything is there already
};

struct submission_plan {
  submission_step step = submission_step::begin;
  submission_record written;  ///< so far; what was counted and under which id
};

/// `existing`: the job of this name, if any. `fresh_id` names a new submission. Fails (usage) when
/// the name stands for something else.
[[nodiscard]] result<submission_plan> plan_submission(const job_entry* existing,
                                                      const std::string& job,
                                                      const submission_content&,
                                                      std::uint32_t partitions,
                                                      const std::string& fresh_id, time_point now);

/// The partition of each shard: the one with the fewest prompts before it. Quotas and budgets are
/// divided over the partitions, and a repeated submission finds its shards again.
[[nodiscard]] std::vector<std::uint32_t> place_shards(const std::vector<shard_descriptor>&,
                                                      std::uint32_t partitions);

/// Counts a shard that is stored at `offset`.
void count_stored(submission_record&, std::uint32_t partition, std::int64_t offset,
                  std::uint32_t prompts);

[[nodiscard]] manifest_record manifest_of(const submission_record&, const submission_content&,
                                          const job_policy&, time_point now);

}  // namespace spillway::kafka
