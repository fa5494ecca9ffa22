// A log in memory that loses what was not synced.
#pragma once

#include "connectors/log.hpp"

#include <deque>
#include <map>
#include <random>

namespace spillway::sim {

using random_engine = std::mt19937_64;

/// Outlives the processes that open it: `crash` is what a kill leaves behind.
class fake_log {
 public:
  /// `lines` are the input; each shard holds up to `shard_lines` of them.
  fake_log(std::vector<std::string> lines, std::size_t shard_lines);

  /// A process's view of it; at most one at a time.
  class session final : public partition_log {
   public:
    explicit session(fake_log& log) : log_(log) {}
    result<recovered_log> take_over() override;
    result<std::optional<shard_data>> read_next() override;
    result<shard_data> read(const shard_descriptor&) override;
    void append(commit_seq, commit_group) override;
    result<void> close() override { return {}; }

   private:
    fake_log& log_;
    std::size_t next_shard_ = 0;
  };

  /// Makes everything appended durable, as one commit; returns the last number.
  [[nodiscard]] std::optional<commit_seq> sync();
  [[nodiscard]] bool unsynced() const { return !pending_.empty(); }
  /// A kill: what was not synced is lost, but rows of the commit under way may be in the files.
  void crash(random_engine&);

  [[nodiscard]] const std::map<std::uint64_t, finished_prompt>& finished() const {
    return finished_;
  }
  /// Prompts whose send is durable and whose result is not.
  [[nodiscard]] std::vector<position> in_flight() const;
  [[nodiscard]] std::size_t adopted() const { return adopted_; }
  [[nodiscard]] nano_usd settled() const;
  /// Problems only the log can see; empty when all is well.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  void apply(commit_group&&);
  void adopt();

  std::vector<shard_data> input_;
  std::vector<shard_record> shards_;
  std::map<std::uint64_t, finished_prompt> finished_;
  std::map<std::uint64_t, attempt_record> attempts_;
  std::vector<job_totals> totals_;
  std::deque<std::pair<commit_seq, commit_group>> pending_;
  std::vector<finished_prompt> surplus_;
  std::size_t adopted_ = 0;
  std::string complaint_;
};

}  // namespace spillway::sim
