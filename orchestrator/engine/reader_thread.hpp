// Reads and parses shards of all partitions on one thread of its own.
#pragma once

#include "orchestrator/engine/inbox.hpp"
#include "orchestrator/engine/intake.hpp"

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace spillway {

class reader_thread final : public shard_reader {
 public:
  explicit reader_thread(inbox&);
  ~reader_thread() override;

  void add(partition_id, std::unique_ptr<intake>);
  /// Drops what is still asked for. When it returns, the partition's source is not used any more.
  void remove(partition_id);
  /// Frees what is kept of the job for finding repeated ids.
  void forget_job(job_number);

  void read_next(partition_id) override;
  void read_again(const shard_descriptor&) override;
  void wake(partition_id) override;
  /// Drops all that is still asked for and waits for the thread.
  void stop();

 private:
  struct source {
    std::unique_ptr<intake> lines;
    std::deque<shard_descriptor> again;  ///< first: prompts wait for these bodies
    std::size_t next = 0;                ///< new shards asked for
    bool dry = false;                    ///< endless, and had none when it was looked at last
    bool failed = false;
    std::vector<job_number> forget;

    [[nodiscard]] bool due() const {
      return !failed && (!again.empty() || (next > 0 && !dry) || !forget.empty());
    }
  };
  void run();
  /// The next partition with something to do, in turn; null when there is none.
  [[nodiscard]] source* next_source();
  void serve(std::unique_lock<std::mutex>&, source&);
  void put(partition_id, source&, result<std::optional<parsed_shard>>&&);

  inbox& inbox_;
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::map<partition_id, std::unique_ptr<source>> sources_;
  partition_id turn_;          ///< the partition served last
  source* serving_ = nullptr;  ///< outside the lock
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace spillway
