// Between the engine's words for a partition (positions, job numbers) and the log's (places,
// names).
#pragma once

#include "connectors/kafka/owner_types.hpp"
#include "connectors/kafka/shard_intake.hpp"
#include "connectors/kafka/shard_table.hpp"
#include "connectors/log.hpp"

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>
#include <variant>

namespace spillway::kafka {

/// Knows what was recovered until the shards that it belongs to are read. Not thread-safe.
class partition_map {
 public:
  explicit partition_map(partition_id partition) : partition_(partition), table_(partition) {}

  /// Returns the log as the engine is to take it on; its totals count sends in doubt as charged.
  [[nodiscard]] recovered_log recovered(
      const recovered_partition&,
      const std::function<std::optional<job_number>(const std::string& job)>& number_of);
  /// Numbers a shard and gives it what is known of its prompts. From then on news of it are the
  /// engine's.
  void admit(shard_data&, const std::string& job);
  /// Counts a record of `shards` for its job's progress.
  void count(const seen_record&);

  [[nodiscard]] owner_group to_group(commit_group&&);
  /// The engine has taken the shard in: what was kept for it.
  [[nodiscard]] log_news taken(shard_id);
  /// What of it concerns shards that the engine has; the rest is kept, or asks for a refetch.
  [[nodiscard]] log_news to_news(const std::vector<settled_place>&,
                                 const std::vector<reopened_place>&);
  /// Records to be read again for prompts that are to be sent and whose shard is gone.
  [[nodiscard]] std::set<std::int64_t> take_refetch() { return std::exchange(refetch_, {}); }
  /// Prompts to be sent again that no job counts yet: their records are being read.
  [[nodiscard]] std::size_t uncounted() const { return uncounted_.size(); }
  /// Prompts read so far, by job.
  [[nodiscard]] const std::map<std::string, std::int64_t>& prompts() const { return prompts_; }
  /// Everything below is done. Returns the first shard that is kept.
  shard_id forget_below(std::int64_t offset,
                        const std::function<void(const shard_descriptor&)>& forgotten);
  void forget_job(const std::string& job);
  [[nodiscard]] const shard_table& table() const { return table_; }

 private:
  using piece = std::variant<settled_place, reopened_place>;
  [[nodiscard]] place with_generation(place) const;
  [[nodiscard]] fleet_attempt to_attempt(const attempt_record&) const;
  [[nodiscard]] finished_row to_row(finished_prompt&&) const;
  [[nodiscard]] static attempt_record to_record(const fleet_attempt&, position);
  void tell(log_news&, position, const piece&);
  void take_piece(log_news&, const place&, piece);

  [[nodiscard]] std::int64_t done_in(const seen_record&) const;
  [[nodiscard]] bool is_done(const place&) const;

  partition_id partition_;
  shard_table table_;
  std::map<job_number, std::string> names_;
  std::int64_t watermark_ = 0;  ///< below it everything is done but what is in reopened_
  std::map<std::pair<bool, std::int64_t>, shard_bits> done_;  ///< as recovered, by base
  std::set<place> uncounted_;  ///< reopened, without a record that names their job
  std::set<place> reopened_;   ///< to be sent, whatever bits say
  // Of prompts whose shard was not admitted yet, as recovered.
  std::unordered_map<place, fleet_attempt, place_hash> attempts_;
  std::set<place> held_;
  std::map<place, std::vector<piece>> kept_;  ///< news of shards that the engine does not have yet
  std::unordered_map<place, nano_usd, place_hash> held_reserved_;
  std::unordered_map<place, std::uint32_t, place_hash> generations_;
  std::set<std::int64_t> refetch_;
  std::map<std::string, std::int64_t> prompts_;
  struct counted_record {
    std::string job;
    std::int64_t prompts = 0;
  };
  std::map<std::int64_t, counted_record> counted_;  ///< at or above the watermark
};

/// `<job>/<custom_id>`, or `<job>/@<partition>-<offset>-<index>` for a line without one.
[[nodiscard]] std::string result_key(const std::string& job, const std::string& custom_id_token,
                                     partition_id, const place&);

}  // namespace spillway::kafka
