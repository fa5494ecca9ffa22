// An owner that a test leads by the hand.
#pragma once

#include "connectors/kafka/codec.hpp"
#include "connectors/kafka/owner.hpp"
#include "tests/sim/fleet_broker.hpp"

namespace spillway::sim {

struct stage_set {
  timeline time;
  fake_broker broker{time, 1};
  /// Lets `wait` go by.
  void run(duration wait);
};

class probe {
 public:
  probe(stage_set& stage, std::string session, std::string index = "",
        kafka::owner_limits limits = {});
  ~probe() { *alive_ = false; }

  /// Until `done` or 60 s have gone by; says whether it came.
  bool until(const std::function<bool()>& done);
  /// As if the link said so.
  void fail(kafka::link_fault fault) {
    mail_.push_back({incarnation_, kafka::link_failed{fault, "by the test"}});
    step();
  }
  bool ready() {
    return until([this] { return state() == kafka::owner_state::active; });
  }
  void step();

  /// Appends an intent of the n-th send; the prompt's charge so far is `charged`.
  void intend(const kafka::place&, std::uint32_t sends = 1, nano_usd charged = nano_usd(0));
  /// The send ended and nothing was billed.
  void end(const kafka::place&, std::uint32_t sends = 1);
  void answer(const kafka::place&, nano_usd charged = nano_usd(10), std::string code = "",
              std::uint32_t sends = 1, bool firm = false);
  /// Durable, though rows may still be on their way.
  bool told() {
    return until([this] { return durable_ == seq_; });
  }
  bool durable() {
    return until([this] { return durable_ == seq_ && last.unstored == 0; });
  }
  /// Committed and read back.
  bool quiet() {
    return until([this] { return durable_ == seq_ && last.held_bytes == 0; });
  }

  [[nodiscard]] kafka::owner_state state() const { return last.state; }
  kafka::owner& operator*() { return owner_; }
  kafka::owner* operator->() { return &owner_; }

  bool assigned = true;
  bool muted = false;  ///< hears nothing
  kafka::owner_output last;
  std::optional<kafka::recovered_partition> recovered;
  std::vector<kafka::settled_place> settled;
  std::vector<kafka::reopened_place> reopened;
  std::vector<std::string> applied;
  std::string index;

 private:
  void wake(time_point);

  stage_set& stage_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<kafka::link_message> mail_;
  std::uint64_t incarnation_ = 0;
  kafka::owner owner_;
  std::uint64_t seq_ = 0, durable_ = 0;
};

inline kafka::place line(std::int64_t offset) { return {offset, 0, true, 0}; }

[[nodiscard]] kafka::fleet_attempt attempt_of(const kafka::place&, std::uint32_t sends,
                                              nano_usd charged, time_point now);

/// Committed rows of `results`, or all, as their facts.
[[nodiscard]] std::vector<kafka::result_facts> rows(stage_set&, bool committed = true);
[[nodiscard]] std::vector<kafka::journal_record> journal(stage_set&);
[[nodiscard]] const kafka::fleet_attempt* find(const kafka::recovered_partition&,
                                               const kafka::place&);
[[nodiscard]] bool is_done(const kafka::recovered_partition&, const kafka::place&);

}  // namespace spillway::sim
