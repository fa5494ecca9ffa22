#include "connectors/kafka/submit.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <functional>
#include <map>
#include <queue>

namespace spillway::kafka {

namespace {

failure usage(std::string message) { return {failure_kind::usage, std::move(message)}; }

/// True when what an earlier submission counted is what packing this content again comes to.
bool fits(const submission_record& written, const submission_content& content,
          std::uint32_t partitions) {
  if (written.shards > content.shards.size()) return false;
  const auto places = place_shards(content.shards, partitions);
  std::map<std::uint32_t, std::pair<std::uint64_t, std::uint64_t>> counts;
  std::uint64_t prompts = 0;
  for (std::uint64_t i = 0; i < written.shards; ++i) {
    auto& [shards, in_partition] = counts[places[i]];
    ++shards;
    in_partition += content.shards[i].count;
    prompts += content.shards[i].count;
  }
  if (prompts != written.prompts || counts.size() != written.partitions.size()) return false;
  return std::all_of(written.partitions.begin(), written.partitions.end(), [&](const auto& p) {
    const auto at = counts.find(p.partition);
    return at != counts.end() && at->second == std::pair(p.shards, p.prompts);
  });
}

}  // namespace

std::vector<std::uint32_t> place_shards(const std::vector<shard_descriptor>& shards,
                                        std::uint32_t partitions) {
  using filled = std::pair<std::uint64_t, std::uint32_t>;  // prompts, partition
  std::priority_queue<filled, std::vector<filled>, std::greater<>> emptiest;
  for (std::uint32_t p = 0; p < partitions; ++p) emptiest.emplace(0, p);
  std::vector<std::uint32_t> out;
  out.reserve(shards.size());
  for (const auto& shard : shards) {
    const auto [prompts, partition] = emptiest.top();
    emptiest.pop();
    emptiest.emplace(prompts + shard.count, partition);
    out.push_back(partition);
  }
  return out;
}

void content_checksum::add(std::uint64_t shard_hash, std::uint64_t bytes) {
  const std::uint64_t words[] = {value_, shard_hash, bytes};
  value_ = XXH3_64bits(words, sizeof words);
}

std::uint64_t hash_of_bytes(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

result<submission_plan> plan_submission(const job_entry* existing, const std::string& job,
                                        const submission_content& content, std::uint32_t partitions,
                                        const std::string& fresh_id, time_point now) {
  submission_plan plan;
  if (existing && existing->manifest && existing->manifest->open) {
    return usage("job " + job +
                 " is an open one that takes lines from the topic `shards`; submit under another "
                 "name with --job");
  }
  if (existing && existing->manifest) {
    if (existing->manifest->checksum != content.checksum) {
      return usage("job " + job +
                   " exists with other content; a job's prompts never change: submit these under "
                   "another name with --job");
    }
    plan.step = submission_step::complete;
    plan.written.submission = existing->manifest->submission;
    plan.written.shards = existing->manifest->shards;
    plan.written.prompts = existing->manifest->prompts;
    return plan;
  }
  if (existing && existing->state == job_phase::damaged)
    return usage("job " + job + " can't be read: " + existing->reason);
  const bool interrupted = existing && existing->submission && !existing->submission->abandoned;
  if (interrupted && existing->submission->checksum != content.checksum) {
    return usage("job " + job +
                 " was being submitted with other content; repeat that command with the same files "
                 "to finish it, or drop it with `spillway cancel " +
                 job + "`");
  }
  if (interrupted && fits(*existing->submission, content, partitions)) {
    plan.step = submission_step::go_on;
    plan.written = *existing->submission;
    return plan;
  }
  plan.written.job = job;
  plan.written.submission = fresh_id;
  plan.written.checksum = content.checksum;
  plan.written.started = now;
  return plan;
}

void count_stored(submission_record& written, std::uint32_t partition, std::int64_t offset,
                  std::uint32_t prompts) {
  ++written.shards;
  written.prompts += prompts;
  auto at = std::find_if(written.partitions.begin(), written.partitions.end(),
                         [&](const auto& p) { return p.partition == partition; });
  if (at == written.partitions.end()) {
    written.partitions.push_back({partition, 0, 0, offset, 0});
    at = std::prev(written.partitions.end());
  }
  ++at->shards;
  at->prompts += prompts;
  at->end_offset = offset + 1;
}

manifest_record manifest_of(const submission_record& written, const submission_content& content,
                            const job_policy& policy, time_point now) {
  ensure(written.shards == content.shards.size() && written.prompts == content.prompts,
         "a manifest counts what was written");
  manifest_record out;
  out.job = written.job;
  out.submission = written.submission;
  out.policy = policy;
  out.shards = written.shards;
  out.prompts = written.prompts;
  out.checksum = written.checksum;
  out.partitions = written.partitions;
  out.files = content.files;
  out.created = now;
  return out;
}

}  // namespace spillway::kafka
