// Several members competing for one partition: what an engine would do with its owner, in short, on
// a faulty broker, in fake time; and the book that the invariants are checked against.
#pragma once

#include "connectors/kafka/owner.hpp"
#include "tests/sim/fleet_broker.hpp"

#include <cstdio>
#include <cstdlib>
#include <list>
#include <string>
#include <unordered_map>

namespace spillway::sim {

[[nodiscard]] inline std::string text_of(const kafka::place& p) {
  return std::to_string(p.offset) + "/" + std::to_string(p.index) + "g" +
         std::to_string(p.generation);
}

struct fleet_schedule {
  std::uint64_t seed = 0;
  broker_faults faults;
  int members = 2;
  std::size_t prompts = 30;
  std::size_t window = 8;
  duration answer_max = std::chrono::seconds(2);
  double refused = 0, dropped = 0, failing = 0;  ///< shares of calls
  bool hold = false;                             ///< prompts in doubt become error rows
  nano_usd budget{0};                            ///< 0: none
  duration faulty_for = std::chrono::seconds(20);
  int kills = 0, zombies = 0, hand_overs = 0, wrong_hints = 0, outages = 0, retries = 0;
  bool cancel = false;
  double keeps_index = 0.5, stale_index = 0.2;  ///< of members that start
};

[[nodiscard]] fleet_schedule draw_fleet_schedule(std::uint64_t seed);

struct fleet_report {
  std::string problem;  ///< empty when every invariant held
  std::int64_t calls = 0, sent_again = 0, deaths = 0, owners = 0;
  kafka::owner_counters counters;  ///< summed over all owners
  std::uint64_t transactions = 0;
  duration took{0};
};

[[nodiscard]] fleet_report run_fleet_schedule(const fleet_schedule&);

class fleet_world;

/// An owner with the engine's part of the work, from take-over until it is closed or dropped.
class fleet_owner {
 public:
  fleet_owner(fleet_world&, std::string member, std::string index);
  ~fleet_owner();

  void step();
  void suspend() { owner_.suspend(), suspended_ = true, step(); }
  void resume();
  void leave() { owner_.leave(), left_ = true, step(); }
  void close() { owner_.close(), step(); }
  void command(const kafka::owner_command& c) { owner_.command(c), step(); }
  void cancel(const std::string& job);
  void pause(bool paused);
  void assign(bool assigned) { assigned_ = assigned; }

  [[nodiscard]] const kafka::owner_output& last() const { return last_; }
  [[nodiscard]] const kafka::owner& inner() const { return owner_; }
  [[nodiscard]] bool over() const {
    return last_.state == kafka::owner_state::closed || last_.state == kafka::owner_state::dropped;
  }
  [[nodiscard]] bool active() const { return last_.state == kafka::owner_state::active; }
  /// It is gone, or sleeps for long: what it had in flight may be sent again.
  void give_up_calls() const;
  /// Nothing is under way and the budget is too small for another send.
  [[nodiscard]] bool out_of_money() const;
  [[nodiscard]] std::size_t open_calls() const { return open_; }
  /// Suspended, or resumed and the journal does not say so yet: who takes over waits for its calls.
  [[nodiscard]] bool handed_over() const;
  [[nodiscard]] const std::string& member() const { return member_; }
  [[nodiscard]] std::string describe() const;

 private:
  enum class outcome { answered, failed, refused, dropped };
  enum class stage { waiting, intended, sent, answered, held, done };
  struct prompt {
    kafka::fleet_attempt last;
    stage at = stage::waiting;
    std::uint64_t seq = 0;  ///< of the group that it waits for
    time_point handed{};
    bool doubtful = false;
  };

  void trace(const std::string& what) const;
  void run(std::vector<kafka::link_message>);
  void take(const kafka::owner_output&);
  void start(const kafka::recovered_partition&);
  void read_shards();
  void send_more(kafka::owner_group&);
  void send(prompt&);
  void answered(const kafka::place&, outcome, nano_usd bill);
  void finish(prompt&, row_kind, const std::string& code, nano_usd charged);
  void retry_later(prompt&);
  void durable(std::uint64_t seq);
  void wake(time_point);

  fleet_world& world_;
  std::string member_, session_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<kafka::link_message> mail_;
  std::map<kafka::topic, std::int64_t> ends_;  ///< as the owner was last told
  kafka::owner owner_;
  kafka::owner_output last_;
  kafka::owner_state state_ = kafka::owner_state::opening;
  std::map<kafka::place, prompt> prompts_;
  kafka::owner_group next_;
  std::uint64_t seq_ = 0, durable_ = 0;
  std::int64_t read_to_ = 0;
  std::set<std::string> cancelled_;
  std::size_t open_ = 0, under_way_ = 0;
  nano_usd settled_, reserved_;
  time_point wake_ = time_never;
  bool suspended_ = false, left_ = false, recovered_ = false, assigned_ = true, paused_ = false;
  bool stepping_ = false;
};

class fleet_world {
 public:
  explicit fleet_world(const fleet_schedule&);

  const fleet_schedule& plan;
  timeline time;
  fake_broker broker;
  std::string problem;
  std::vector<std::pair<kafka::place, std::string>> input;  ///< in order, with their jobs
  std::vector<kafka::noted_record> records;
  std::vector<kafka::owner_command> commands;
  std::set<std::string> cancelled;
  std::map<std::string, std::vector<std::string>> disk;  ///< indexes, by member
  fleet_report report;
  std::string owner;  ///< session of the last one that recovered
  bool clean = true;  ///< it handed over, or closed
  nano_usd billed;

  void fail(const std::string& why) {
    if (problem.empty()) problem = why;
  }
  /// What happens, on standard error, when SPILLWAY_SIM_TRACE is set.
  void trace(const std::string& who, const std::string& what) const {
    if (tracing_)
      std::fprintf(stderr, "%9.3f %s %s\n", seconds_of(time.now() - begin_), who.c_str(),
                   what.c_str());
  }
  void sent(const kafka::place&);
  /// The call came to nothing and everybody knows: sending again is no fault.
  void cleared(const kafka::place& p) { sent_.erase(p); }
  /// It was in flight when its owner was lost, and nothing of an answer is stored: it may be sent
  /// once more.
  void allow(const kafka::place&, std::int64_t results_end = INT64_MAX,
             std::int64_t late_end = INT64_MAX);
  void bill(nano_usd n) { billed += n; }
  void watermark(std::int64_t);
  [[nodiscard]] bool complete() const;
  [[nodiscard]] bool committed(const kafka::place& p) const { return committed_.contains(p); }
  [[nodiscard]] std::string missing() const;
  void retry(const std::string& job);
  void check_end(const kafka::book&);
  [[nodiscard]] std::uint64_t next_session() { return ++sessions_; }

 private:
  void on_committed(const kafka::stored_record&);

  std::set<kafka::place> sent_;
  std::multiset<kafka::place> allowed_;
  std::map<kafka::place, kafka::result_facts> committed_;
  std::map<kafka::place, std::uint32_t> generation_;     ///< highest committed, by prompt
  std::map<kafka::place, std::uint32_t> to_be_retried_;  ///< generations that must be exceeded
  std::uint64_t sessions_ = 0;
  const bool tracing_ = std::getenv("SPILLWAY_SIM_TRACE") != nullptr;
  const time_point begin_ = time.now();
};

}  // namespace spillway::sim
