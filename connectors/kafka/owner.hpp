// The owner of one partition: fences its predecessor, reads what is known, recovers, and from then
// on makes groups durable and exactly once. Pure: time and what the broker said come in, calls on
// the link and an output go out. The rules it keeps are listed in the folder's README.
#pragma once

#include "connectors/kafka/answers.hpp"
#include "connectors/kafka/owner_types.hpp"

#include <deque>

namespace spillway::kafka {

/// Not thread-safe. Every method but `step` only notes what is wanted: call `step` after it.
class owner {
 public:
  owner(owner_setup, link_factory);

  /// `assigned`: the group is believed to give this partition to us.
  [[nodiscard]] owner_output step(time_point now, std::vector<link_message>, bool assigned);

  /// Groups become durable in the order of their numbers: what they say of attempts is stored then.
  /// Their rows are kept until they were read back, and follow in larger pieces. Attempts and rows
  /// of prompts that are finished already are left out.
  void append(std::uint64_t seq, owner_group);
  void note(const noted_record&);
  void command(owner_command);

  /// Hand-over: nothing is sent from now on. `output.handed_over` when it is stored.
  void suspend();
  void resume();
  /// The partition is somebody else's: what is appended from now on goes to `late`.
  void leave();
  /// Ends, when everything appended is durable: `closed`.
  void close();

  /// Lets the broker delete the prompts and rows at the logs' start that nobody needs any more.
  /// Every job with work below the watermark must be known to who says what is kept.
  void trim(const retention&);
  /// It is gone from `jobs`. False while a call of it may still be answered: to be tried again.
  bool forget_job(const std::string& job) {
    if (!book_.forget_job(job)) return false;
    return dirty_ = index_dirty_ = true;
  }

  [[nodiscard]] const owner_counters& counters() const { return counters_; }
  [[nodiscard]] const book& known() const { return book_; }
  /// Answers that are committed and were not read back yet, and since when none was.
  [[nodiscard]] unread_answers unread() const {
    return answers_.produced_until(committed_transaction_);
  }
  [[nodiscard]] std::optional<time_point> unread_since() const { return unread_since_; }

 private:
  enum class phase {
    idle,
    waiting,
    parked,
    opening,
    checking,
    claiming,
    journal,
    results,
    salvage,
    late,
    again_journal,
    again_answers,
    again_results,
    active,
    over,
  };
  enum class hand_over_phase { none, wanted, written, stored, leaving, ended };
  /// One entry of the queue towards the link.
  struct item {
    std::optional<std::uint64_t> seq;
    std::vector<fleet_attempt> attempts;
    std::vector<job_lane> totals;
    std::optional<applied_note> applied;
    std::optional<hand_over_note> hand_over;
    bool opened = false, resumed = false;
    std::optional<snapshot> state;
    std::uint64_t rows_before = 0;  ///< not before the answers below this one are produced
  };
  struct journal_mark {
    std::int64_t offset = 0;
    std::uint32_t crc = 0;
  };
  struct batch {
    std::uint64_t ticket = 0;
    std::vector<item> items;
    std::vector<std::uint32_t> journal_crcs;  ///< the first records are the journal's
    std::vector<std::uint64_t> answers;       ///< the others are these
    std::optional<journal_mark> last;
    std::optional<std::int64_t> snapshot_at;
    std::int64_t results_end = 0;
    std::int64_t late_next = 0;  ///< when it was produced
    bool acked = false;
  };
  struct snapshot_check {
    std::int64_t offset = 0;
    std::uint32_t crc = 0;
    std::int64_t late_offset = 0, results_offset = 0, watermark = 0;
    std::uint64_t read = 0;
  };
  struct late_out {
    record what;
    std::optional<std::uint64_t> seq;  ///< durable once this record and all before are stored
    std::uint64_t ticket = 0;          ///< 0: not under way
    bool stored = false;
    time_point not_before{};
  };

  // owner.cpp
  void handle(const link_event&);
  void on(const link_opened&);
  void on(const link_acked&);
  void on(const link_committed&);
  void on(const link_failed&);
  void on(const link_records&);
  void on(const link_offsets&);
  void on(const link_late_acked&);
  void run_timers();
  void wake_at(time_point t) { wake_ = std::min(wake_, t); }
  void report();
  [[nodiscard]] owner_state state() const;

  // owner_links.cpp
  void start_link();
  void fail(link_fault, const std::string& message);
  void back_off(duration);
  void park();
  void drop(const std::string& why);
  void refuse(const std::string& why);
  void requeue();
  void check_offsets();
  void claim();
  void claimed(std::int64_t offset);
  void ask_again();
  std::uint64_t read(topic, std::int64_t from, std::optional<std::int64_t> until, bool committed);
  void follow_results();
  void reread_journal();
  void reread_journal(const link_records&);
  [[nodiscard]] bool is_ours(const result_facts&) const;
  void reread_answers();
  void reread_answers(const link_records&);
  void reread_results();
  void reread_results(const link_records&);

  // owner_recovery.cpp
  void begin_recovery();
  void use_index();
  void distrust_index();
  void read_journal(const link_records&);
  [[nodiscard]] bool check_index(const stored_record&);
  void apply(const journal_record&);
  void take_snapshot_in(const snapshot&);
  void read_results();
  void read_results(const link_records&);
  void read_salvage();
  void read_salvage(const link_records&);
  void read_late();
  void read_late(const link_records&);
  void recovered();
  [[nodiscard]] recovered_partition describe() const;
  void adopt(finished_row, std::optional<std::int64_t> stored, std::optional<std::int64_t> late);

  // owner_writing.cpp
  void pump();
  /// One batch of at most so many items of the queue.
  void produce_next(std::size_t items_max = SIZE_MAX);
  void write(item&, std::vector<outgoing_record>&, batch&, std::size_t& bytes);
  void publish_later(std::uint64_t answer);
  void publish_all_later();
  [[nodiscard]] bool publish_now() const;
  void produce_what_waits();
  void publish(std::vector<outgoing_record>&, batch&, std::size_t& bytes);
  void put_journal(std::vector<outgoing_record>&, batch&, journal_record);
  void settle(batch&);
  void commit_if_due();
  void apply_commands();
  void snapshot_if_due();
  void index_if_due();
  void read_back(const link_records&);
  void watch_read_back();
  void check_snapshot(const link_records&);
  [[nodiscard]] snapshot take_snapshot() const;
  void set_durable(std::uint64_t seq);

  // owner_late.cpp
  void hand_over_if_wanted();
  void late_arrived(const link_records&);
  void take_late(const stored_record&);
  [[nodiscard]] bool is_held(const place&, std::uint32_t sends) const;
  void release(const place&);
  void release_expired();
  void follow_late();
  void send_late(std::optional<std::uint64_t> seq, record);
  void late_answers();
  void late_group(const item&);
  void pump_late();
  void finish_if_closing();

  owner_setup setup_;
  link_factory make_link_;
  std::unique_ptr<partition_link> link_;
  std::uint64_t incarnation_ = 0, next_ticket_ = 1, next_read_ = 1;
  phase phase_ = phase::idle;
  hand_over_phase hand_over_ = hand_over_phase::none;
  bool recovered_ = false, closing_ = false, stuck_ = false, assigned_ = false;
  bool succeeded_ = false;  ///< after we handed over somebody else published
  bool owes_late_end_ = false, late_end_sent_ = false;
  std::string message_;
  time_point now_{}, wake_ = time_never;
  duration backoff_{0};
  time_point retry_at_{}, hanging_since_{};
  owner_output out_;
  owner_counters counters_;

  book book_;
  answer_store answers_;
  std::optional<local_index> index_;

  std::map<topic, link_offsets> offsets_;
  std::uint64_t main_read_ = 0, follow_read_ = 0, late_read_ = 0;
  std::int64_t journal_end_ = 0;  ///< of what was written before this link
  /// Since we recovered nobody but us wrote before these.
  std::int64_t journal_next_ = 0, results_next_ = 0;
  std::int64_t results_offset_ = 0;  ///< where salvage begins while recovering
  std::int64_t committed_offset_ = 0, late_next_ = 0;
  std::int64_t late_proven_ = 0;  ///< of `late`, what was read while we certainly were the owner
  std::optional<journal_mark> last_journal_;
  std::optional<snapshot_check> snapshot_check_;
  bool snapshot_pending_ = false;
  std::int64_t safe_results_ = 0, safe_late_ = 0, safe_shards_ = 0;

  std::deque<item> queue_;
  std::deque<batch> batches_;
  time_point next_batch_{};
  std::deque<std::uint64_t> unpublished_;  ///< answers this link has not produced, in their order
  std::size_t unpublished_bytes_ = 0;
  time_point unpublished_since_{};
  std::uint64_t firm_rows_ = 0;  ///< answers below this one are produced without waiting for more
  std::deque<std::pair<std::uint64_t, owner_command>> commands_;  ///< with the answers before them
  std::uint64_t transaction_ = 1, committed_transaction_ = 0;
  bool open_ = false, committing_ = false;
  time_point open_since_{};
  std::size_t open_results_ = 0, open_bytes_ = 0;
  bool dirty_ = false, index_dirty_ = false;
  time_point last_snapshot_{}, last_index_{};
  std::size_t results_bytes_ = 0;
  std::optional<time_point> unread_since_;  ///< of committed answers
  std::deque<late_out> late_out_;
  std::int64_t shown_watermark_ = -1;
  time_point next_release_ = time_never;
  std::optional<time_point>
      late_asked_;  ///< when the end of `late` was asked for, to release holds
  std::optional<std::int64_t> late_end_;  ///< what came back
};

}  // namespace spillway::kafka
