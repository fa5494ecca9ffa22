// Writes the final records of finished jobs, and forgets jobs whose time is over. Work of one
// member: the owner of partition 0.
#pragma once

#include "connectors/kafka/job_feed.hpp"
#include "connectors/kafka/job_progress.hpp"
#include "connectors/kafka/log_tools.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace spillway::kafka {

/// What has to be written to `jobs` and `progress`. Pure.
[[nodiscard]] std::vector<placed_record> closing_records(const std::vector<job_entry>&,
                                                         const progress_table&,
                                                         std::uint32_t partitions, time_point now);

/// A thread of its own; idle while it is not in charge. Two members in charge at once do no harm:
/// they write the same.
class job_closer {
 public:
  [[nodiscard]] static result<std::unique_ptr<job_closer>> start(const kafka_settings&,
                                                                 const job_feed&,
                                                                 std::uint32_t partitions,
                                                                 std::function<time_point()> now);
  ~job_closer();

  void set_in_charge(bool yes) { in_charge_.store(yes); }
  void stop();

 private:
  job_closer(const job_feed&, std::uint32_t partitions, std::function<time_point()> now);
  void run();
  [[nodiscard]] result<void> look();

  const job_feed& jobs_;
  std::uint32_t partitions_;
  std::function<time_point()> now_;
  std::unique_ptr<log_tools> tools_;
  std::optional<topic_follower> follower_;
  progress_table progress_;
  std::atomic<bool> in_charge_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace spillway::kafka
