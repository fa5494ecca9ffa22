// One partition's topics on a broker, with the broker's rules for transactions, and the network
// between: slow, losing requests and replies, delivering some long after they were given up.
#pragma once

#include "connectors/kafka/link.hpp"
#include "schemas/units.hpp"

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>

namespace spillway::sim {

using random_engine = std::mt19937_64;

/// Things that happen, in the order of their times; those of one time in the order they were
/// planned.
class timeline {
 public:
  [[nodiscard]] time_point now() const { return now_; }
  void at(time_point when, std::function<void()> what) {
    events_.push({std::max(when, now_), next_++, std::move(what)});
  }
  void after(duration wait, std::function<void()> what) { at(now_ + wait, std::move(what)); }
  /// False when nothing is left to happen.
  bool step();

 private:
  struct event {
    time_point when;
    std::uint64_t number;
    std::function<void()> what;
    bool operator<(const event& o) const {
      return std::tie(o.when, o.number) < std::tie(when, number);
    }
  };
  std::priority_queue<event> events_;
  time_point now_{std::chrono::seconds(1'790'000'000)};
  std::uint64_t next_ = 0;
};

struct broker_faults {
  double lost_request = 0, lost_reply = 0, straggler = 0;  ///< shares of produce and end requests
  double open_fault = 0, late_error = 0, refused = 0;
  std::optional<kafka::topic> deaf;  ///< produce requests to it are lost
  bool hole = false;            ///< a partition that has not seen the newer epoch takes a straggler
  bool silent_markers = false;  ///< readers are not told that only markers were passed
  duration transaction_timeout = std::chrono::seconds(10);
  duration hang = std::chrono::seconds(8);  ///< then somebody aborts a hanging transaction
};

class fake_broker {
 public:
  fake_broker(timeline& time, std::uint64_t seed) : time_(time), random_(seed) {}

  broker_faults faults;
  bool down = false;                                           ///< requests are lost
  std::function<void(const kafka::stored_record&)> committed;  ///< each record of `results`
  std::uint64_t transactions = 0;

  /// A link whose events go to `sink` as long as the link lives.
  std::unique_ptr<kafka::partition_link> connect(std::function<void(kafka::link_event)> sink);

  /// Outside of any transaction.
  std::int64_t append(kafka::topic, kafka::record);
  /// A marker, as one of somebody else's transactions would leave it.
  void gap(kafka::topic t);
  /// A record in a transaction that nobody ends, until `abort_hanging`.
  void hang(kafka::topic, kafka::record);
  void abort_hanging();
  /// What stands at and above `offset` is lost.
  void truncate(kafka::topic, std::int64_t offset);
  void flip(kafka::topic t, std::int64_t offset) { entry_at(t, offset)->what.value += "x"; }
  [[nodiscard]] kafka::link_offsets offsets(kafka::topic) const;
  /// Records in [from, to): committed ones, or all.
  [[nodiscard]] std::vector<kafka::stored_record> records(kafka::topic, std::int64_t from,
                                                          std::int64_t to,
                                                          bool committed_only) const;
  [[nodiscard]] random_engine& random() { return random_; }
  [[nodiscard]] bool chance(double p) {
    return p > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < p;
  }
  [[nodiscard]] duration between(duration low, duration high) {
    return duration(
        std::uniform_int_distribution<std::int64_t>(low.count(), high.count())(random_));
  }

 private:
  friend class fake_link;
  enum class fate { open, committed, aborted };
  struct entry {
    std::int64_t offset = 0;
    std::uint64_t transaction = 0;  ///< 0: none
    bool marker = false;
    kafka::record what;
  };
  struct partition_log {
    std::vector<entry> entries;
    std::int64_t first = 0, next = 0;
    int epoch = -1;                              ///< the newest the partition has seen
    std::map<std::uint64_t, std::int64_t> open;  ///< transactions, with their first offsets
  };
  struct reply {
    bool fenced = false;
    std::vector<std::int64_t> offsets;
  };

  // Requests, as they arrive.
  int init();
  reply produce(int epoch, std::uint64_t transaction, kafka::topic,
                const std::vector<kafka::record>&);
  bool end(int epoch, std::uint64_t transaction);

  std::uint64_t begin(int epoch);
  void write_markers(std::uint64_t transaction, fate, int epoch);
  void finish_commit(std::uint64_t transaction);
  entry* entry_at(kafka::topic, std::int64_t);
  std::int64_t put(kafka::topic, entry);
  void changed() {
    for (const auto& [key, watcher] : watchers_) watcher();
  }

  timeline& time_;
  random_engine random_;
  std::map<kafka::topic, partition_log> logs_;
  int epoch_ = 0;
  std::uint64_t next_transaction_ = 1, next_link_ = 1;
  std::uint64_t current_ = 0;  ///< the coordinator's, 0: none
  bool preparing_ = false;
  std::map<std::uint64_t, fate> fates_;
  std::map<std::uint64_t, std::set<kafka::topic>> touched_;
  std::map<std::uint64_t, std::function<void()>> watchers_;
};

}  // namespace spillway::sim
