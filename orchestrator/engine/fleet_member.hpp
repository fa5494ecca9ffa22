// The inside of a member: its threads meet here.
#pragma once

#include "connectors/kafka/job_closer.hpp"
#include "connectors/kafka/job_feed.hpp"
#include "connectors/kafka/membership.hpp"
#include "connectors/kafka/topics.hpp"
#include "orchestrator/engine/engine.hpp"
#include "orchestrator/engine/inbox.hpp"
#include "orchestrator/engine/member.hpp"
#include "orchestrator/engine/name_table.hpp"
#include "orchestrator/engine/reader_thread.hpp"

#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace spillway {

class fleet_member final : public member {
 public:
  fleet_member(member_request, const time_source&, member_callbacks);
  ~fleet_member() override;

  [[nodiscard]] result<void> prepare();
  result<void> run(const stop_flag&, const std::function<void()>& each_look) override;
  result<std::vector<std::string>> reload(result<fleet_config>) override;

 private:
  /// A partition that is ours, or that we are done with but for its last calls.
  struct home {
    partition_id id;
    partition_phase phase = partition_phase::taking_over;
    std::shared_ptr<kafka::kafka_log> log;
    std::thread worker;                          ///< takes over, or closes
    std::optional<result<recovered_log>> taken;  ///< what the take-over came to
    bool closing = false, closed = false;
  };
  struct network {
    std::unique_ptr<transport> net;
    std::vector<std::int64_t> slots;
  };

  // member.cpp
  [[nodiscard]] result<network> make_network(const std::vector<pool_config>&);
  [[nodiscard]] result<void> join();
  void post(std::function<void()>);
  void post_and_wait(std::function<void()>);
  void run_posted();
  void turn();
  void stop_all();
  void watch_stop(const stop_flag&, time_point now);
  void fail(failure);

  // member_partitions.cpp, on the engine's thread unless said otherwise
  void on_revoked();  ///< on the membership's thread
  void reassign(const kafka::partition_set&);
  void on_lost();
  void take_over(partition_id);
  void take_on(home&);
  void give_up(home&);
  void look_after_homes(time_point now);
  void close_in_background(home&);
  void reap();
  void look_after_index(time_point now);
  [[nodiscard]] kafka::kafka_log_callbacks callbacks_of(
      partition_id, std::shared_ptr<std::weak_ptr<kafka::kafka_log>>);
  [[nodiscard]] kafka::retention kept() const;

  // member_jobs.cpp
  void put_jobs(const std::vector<kafka::job_entry>& changed, const std::vector<job_number>& gone);
  void put_job(const kafka::job_entry&);
  void forget_job(job_number);
  void drop_gone();
  void tell_logs_of_jobs();
  [[nodiscard]] std::vector<kafka::owner_command> retry_commands() const;
  void publish(time_point now);
  void show_done();
  void publish_progress(time_point now, const member_view&);
  [[nodiscard]] member_view view(time_point now) const;
  [[nodiscard]] std::vector<member_job_view> job_views(time_point now) const;
  [[nodiscard]] std::int64_t unread_prompts(partition_id, const kafka::kafka_log_view&) const;
  void add_closed_jobs(const home&, const kafka::kafka_log_view&, time_point now,
                       std::vector<kafka::progress_record>&) const;

  member_request request_;
  const time_source& time_;
  const member_callbacks callbacks_;

  std::string fleet_uuid_;
  std::uint32_t partitions_ = 0;
  name_table files_;
  inbox inbox_;
  parallel_runner runner_;
  std::unique_ptr<kafka::member_index> index_;
  std::unique_ptr<kafka::fleet_clients> clients_;
  std::vector<network> networks_;  ///< the last one is the one in use
  std::unique_ptr<engine> engine_;
  std::unique_ptr<reader_thread> reader_;
  std::unique_ptr<kafka::job_feed> feed_;
  std::unique_ptr<kafka::job_closer> closer_;
  std::unique_ptr<kafka::membership> membership_;

  // Of the engine's thread.
  std::map<partition_id, std::unique_ptr<home>> homes_;
  std::vector<std::unique_ptr<home>> leaving_;
  kafka::partition_set assigned_;
  std::map<partition_id, time_point> retry_at_;  ///< take-overs that failed
  std::map<std::string, kafka::job_entry, std::less<>> jobs_;
  std::set<job_number> gone_;                     ///< jobs that the engine still has work of
  std::map<std::string, std::string> published_;  ///< progress, by key
  time_point wake_{}, looked_at_{}, published_at_{}, progress_at_{}, probed_at_{};
  std::int64_t rebalances_ = 0, takeovers_ = 0, reloads_ok_ = 0, reloads_failed_ = 0;
  time_point configured_at_{};
  kafka::kafka_log_counts past_;
  bool draining_ = false;

  mutable std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  bool loop_ended_ = false;  ///< nothing posted will run any more
  std::optional<failure> failed_;
  std::string group_trouble_;
  std::atomic<bool> ended_{false}, in_group_{false};
  std::thread engine_thread_;
  int noticed_ = 0;  ///< of the stop flag
  time_point drain_end_ = time_never;
};

}  // namespace spillway
