// Follows the topic `jobs` on a thread of its own and answers for it.
#pragma once

#include "connectors/kafka/job_table.hpp"
#include "connectors/kafka/log_tools.hpp"
#include "connectors/kafka/shard_intake.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace spillway::kafka {

struct job_feed_callbacks {
  /// Jobs that are new or changed, and those that are gone. From the feed's thread, and first, with
  /// all jobs, from `start`. The other methods answer by it only once this has returned.
  std::function<void(std::vector<job_entry> changed, std::vector<job_number> gone)> changed;
  /// After each `changed`, and whenever more was read.
  std::function<void()> read_on;
  /// A record that is none of ours.
  std::function<void(dead_letter)> dead;
};

/// All methods are thread-safe.
class job_feed {
 public:
  /// Reads the topic to its end before it returns.
  [[nodiscard]] static result<std::unique_ptr<job_feed>> start(const kafka_settings&,
                                                               std::uint32_t partitions,
                                                               job_feed_callbacks);
  ~job_feed();

  [[nodiscard]] job_standing standing(std::string_view job, partition_id) const;
  [[nodiscard]] std::optional<job_entry> find(std::string_view job) const;
  [[nodiscard]] std::vector<job_entry> all() const;
  /// Everything below this offset was applied.
  [[nodiscard]] std::int64_t read_to() const;
  /// Calls `done` from the feed's thread once everything that is on `jobs` now was applied.
  void confirm(std::function<void()> done);
  /// Why the topic can't be read at the moment; empty when it can.
  [[nodiscard]] std::string trouble() const;
  void stop();

 private:
  job_feed(std::uint32_t partitions, job_feed_callbacks);
  [[nodiscard]] result<void> catch_up();
  void run();
  void report();
  void answer_questions();

  job_feed_callbacks callbacks_;
  std::unique_ptr<log_tools> tools_;
  std::optional<topic_follower> follower_;  ///< of the feed's thread
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  job_table table_;
  std::map<std::string, job_entry, std::less<>> shown_;
  std::vector<std::function<void()>> asked_, answered_;
  std::int64_t read_to_ = 0;
  std::string trouble_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace spillway::kafka
