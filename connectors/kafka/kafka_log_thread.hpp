// The inside of a partition's log: its thread, its owner, its intake.
#pragma once

#include "connectors/kafka/kafka_log.hpp"
#include "connectors/kafka/partition_map.hpp"
#include "connectors/kafka/shard_fetcher.hpp"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace spillway::kafka {

class kafka_log_thread final : public kafka_log {
 public:
  kafka_log_thread(kafka_log_options, kafka_log_callbacks, fleet_clients&, member_index&,
                   const time_source&);
  ~kafka_log_thread() override;

  result<recovered_log> take_over() override;
  void append(commit_seq, commit_group) override;
  result<void> close() override;
  std::optional<duration> intent_validity() const override;
  void suspend() override;
  void resume() override;
  void leave() override;
  result<std::optional<shard_data>> read_next() override;
  result<shard_data> read(const shard_descriptor&) override;
  bool endless() const override { return true; }

  void set_assigned(bool) override;
  bool wait_handed_over(duration patience) override;
  void give_up() override;
  void jobs_changed(std::int64_t jobs_read_to, std::vector<owner_command>) override;
  void jobs_confirmed(std::uint64_t question) override;
  void forget_job(const std::string& job) override;
  kafka_log_view view() const override;

 private:
  /// What other threads leave for the log's thread.
  struct input {
    std::vector<link_message> messages;
    std::vector<std::pair<std::uint64_t, link_event>> shards;  ///< with the link's number
    std::vector<std::pair<commit_seq, commit_group>> groups;
    std::vector<owner_command> commands;
    std::optional<std::int64_t> jobs_read_to;
    std::vector<std::uint64_t> confirmed;
    std::vector<std::pair<dead_record, bool>> buried;  ///< stored, or to be tried again
    std::vector<std::function<void(owner&)>> orders;   ///< suspend, resume, leave, close
  };
  /// Reaches the log from callbacks that may come after its end.
  struct self_reference {
    std::mutex mutex;
    kafka_log_thread* log = nullptr;
  };
  /// A group with intents or the end of given up prompts, until it is durable.
  struct pending_group {
    std::uint64_t seq = 0;
    std::int64_t intents = 0, quarantined = 0;
  };

  void run();
  [[nodiscard]] input wait(time_point until);
  void order(std::function<void(owner&)>);
  template <class Add>
  void put(Add add) {
    {
      const std::lock_guard lock(mutex_);
      add(input_);
      has_input_ = true;
    }
    wake_.notify_one();
  }
  void take(input&&);
  void pass_failpoints(const link_message&);
  void handle(owner_output&&);
  void start_after_recovery(const recovered_partition&);
  void note_durable(std::uint64_t seq);
  void move_watermark(std::int64_t);
  void show(time_point now, const owner_output&);

  // kafka_log_shards.cpp
  void open_shards();
  void on_shards(const link_event&);
  void on_shard_records(const link_records&);
  void refetch();
  void ask_end();
  void drain_intake();
  void ask_about_unknown();
  void ask_what_is_kept(time_point now);
  void bury(dead_record);
  void release_backlog();

  // kafka_log_jobs.cpp
  [[nodiscard]] job_standing standing(std::string_view job);
  /// When it is answered, records below the offset whose job is unknown are dead letters.
  void ask_about_jobs(std::int64_t unknown_below);
  void forget_told();
  void forget_gone();
  void forget(const std::string& job);
  [[nodiscard]] std::vector<progress_record> progress(time_point now) const;

  const kafka_log_options options_;
  const kafka_log_callbacks callbacks_;
  fleet_clients& clients_;
  member_index& index_;
  const time_source& time_;
  shard_fetcher fetcher_;  ///< of the reader's thread

  // Of the log's thread.
  owner owner_;
  partition_map map_;
  shard_intake intake_;
  std::unique_ptr<partition_link> shards_link_;
  std::uint64_t shards_incarnation_ = 0, next_read_ = 1, follow_read_ = 0;
  std::int64_t shards_next_ = 0, shards_end_ = 0;
  time_point ask_end_at_{};
  time_point shards_retry_at_ = time_never, trim_at_{}, shown_at_{};
  std::map<std::uint64_t, std::int64_t> refetches_;  ///< read -> offset
  std::shared_ptr<read_backlog> backlog_ = std::make_shared<read_backlog>();
  std::set<std::string> commands_out_, commands_done_;
  bool jobs_known_ = false;  ///< `jobs` was read to an end behind everything that was recovered
  std::int64_t jobs_to_ = 0, jobs_read_to_ = 0;
  std::uint64_t next_question_ = 1, trim_question_ = 0;
  std::map<std::uint64_t, std::int64_t> questions_;  ///< asked at a time when this was read
  std::int64_t asked_below_ = 0;
  std::deque<pending_group> pending_;
  std::uint64_t published_ = 0;
  std::int64_t watermark_ = 0;
  kafka_log_counts counts_;  ///< but for the owner's
  int opening_reads_ = 0;
  owner_state last_state_ = owner_state::opening;

  const std::shared_ptr<self_reference> self_ = std::make_shared<self_reference>();

  mutable std::mutex mutex_;
  std::condition_variable wake_, changed_;
  input input_;
  std::vector<std::string> gone_;  ///< jobs to be forgotten
  bool has_input_ = false, assigned_ = true, over_ = false, gave_up_ = false;
  bool handed_over_ = false;
  std::optional<recovered_log> recovered_;
  std::optional<failure> failed_;
  std::deque<shard_data> outbox_;  ///< shards for the engine, numbered
  std::size_t outbox_bytes_ = 0;
  std::int64_t owed_ = 0;  ///< of the backlog, to be given back when the outbox is short
  kafka_log_view view_;
  std::thread thread_;
};

}  // namespace spillway::kafka
