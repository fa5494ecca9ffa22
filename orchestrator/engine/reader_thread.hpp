// Reads and parses shards on a thread of its own.
#pragma once

#include "orchestrator/engine/inbox.hpp"
#include "orchestrator/engine/intake.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace spillway {

class reader_thread final : public shard_reader {
 public:
  reader_thread(intake&, inbox&);
  ~reader_thread() override;

  void read_next() override;
  void read_again(const shard_descriptor&) override;
  /// Drops what is still asked for and waits for the thread.
  void stop();

 private:
  void run();

  intake& intake_;
  inbox& inbox_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<shard_descriptor> again_;  ///< first: prompts wait for these bodies
  std::size_t next_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace spillway
