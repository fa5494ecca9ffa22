// Providers in simulated time: real wire forms, seeded faults, and the book of what was billed.
#pragma once

#include "schemas/config.hpp"
#include "tests/sim/fake_log.hpp"
#include "workers/transport/transport.hpp"

#include <deque>
#include <functional>
#include <map>
#include <set>

namespace spillway::sim {

struct fault_shares {
  double error = 0, reset = 0, hang = 0, refuse = 0, connect = 0, reject = 0;
};

/// What is wrong with a pool for a time, counted from the start of a schedule.
struct trouble {
  enum class kind {
    errors,      ///< 503 to everything
    black_hole,  ///< takes requests and never answers
    no_model,    ///< 404: the model is not there
    forbidden,   ///< 403
    storm,       ///< 429 to seven of ten, without a word on when to come again
    tenth,       ///< a tenth of the requests a minute it grants otherwise, 429 to others
  } what = kind::errors;
  std::string pool;
  duration from{}, to{};
};

/// What was really done for a prompt.
struct bill {
  int accepted = 0;  ///< times a provider worked on it
  int excused = 0;   ///< times its answer was lost through no fault of ours: a kill or a cut
  int asked = 0;     ///< times it was sent
};

class fake_cloud final : public transport {
 public:
  fake_cloud(const run_config&, std::vector<std::int64_t> slots, std::uint64_t seed);

  void submit(lane_id, std::vector<outgoing_call>) override;
  void cancel_queued() override;
  void cancel_all() override;

  void set_time(time_point now) { now_ = now; }
  void set_faults(fault_shares f) { faults_ = f; }
  /// A prompt that is answered 500, always.
  void set_poison(std::string id) { poison_ = std::move(id); }
  /// Whom it serves; others are answered 401.
  void set_door(std::function<bool(const http_request&)> door) { door_ = std::move(door); }
  void set_troubles(std::vector<trouble> all, time_point start) {
    troubles_ = std::move(all);
    start_ = start;
  }
  /// When calls were accepted, of each pool, from the start on.
  [[nodiscard]] const std::map<std::string, std::vector<duration>>& accepted() const {
    return accepted_;
  }
  /// When the next call ends; `time_never` when none is open.
  [[nodiscard]] time_point next_end() const;
  /// Calls that have ended by now.
  [[nodiscard]] std::vector<call_result> take_ended();
  /// The process dies: nobody learns what became of the open calls.
  void crash();
  /// The ledger knows that this prompt's call may be lost: one more send is in order.
  void excuse(const std::string& id) { ++bills_[id].excused; }

  [[nodiscard]] const std::map<std::string, bill>& bills() const { return bills_; }
  [[nodiscard]] nano_usd billed() const { return billed_; }
  [[nodiscard]] std::size_t turned_away() const { return turned_away_; }
  [[nodiscard]] const std::set<std::string>& pools_used() const { return pools_used_; }
  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  [[nodiscard]] std::size_t calls() const { return calls_; }
  [[nodiscard]] std::size_t refused() const { return refused_; }

 private:
  struct lane_book {
    const pool_config* pool = nullptr;
    lane_config config;
    std::int64_t slots = 1, open = 0;
    std::deque<outgoing_call> queue;
    std::deque<time_point> arrivals;  ///< of the last 60 s
  };
  struct open_call {
    lane_id lane;
    std::string id;
    call_result result;
    bool accepted = false;
  };
  void start(lane_id, outgoing_call&&);
  void start_queued(lane_id);
  [[nodiscard]] std::int64_t accepted_lately(const std::string& pool) const;
  bool in_trouble(const lane_book&, open_call&, time_point& end);
  void answer(open_call&, const lane_book&, const std::string& body);
  [[nodiscard]] double draw();

  std::vector<lane_book> lanes_;
  random_engine random_;
  time_point now_{};
  std::function<bool(const http_request&)> door_;
  std::size_t turned_away_ = 0;
  std::vector<trouble> troubles_;
  time_point start_{};
  std::map<std::string, std::vector<duration>> accepted_;
  fault_shares faults_;
  std::multimap<time_point, open_call> open_;
  std::vector<call_result> returned_;
  std::map<std::string, bill> bills_;
  nano_usd billed_;
  std::size_t calls_ = 0, refused_ = 0;
  std::string poison_;
  std::set<std::string> pools_used_;
  std::string complaint_;
};

}  // namespace spillway::sim
