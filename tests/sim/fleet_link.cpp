// A producer and its readers, as far away from the broker as the schedule says.
#include "schemas/result.hpp"
#include "tests/sim/fleet_broker.hpp"

#include <algorithm>
#include <deque>

namespace spillway::sim {

using namespace std::chrono_literals;
using kafka::topic;

class fake_link final : public kafka::partition_link {
 public:
  fake_link(fake_broker& broker, std::function<void(kafka::link_event)> sink)
      : broker_(broker), time_(broker.time_), sink_(std::move(sink)), number_(broker.next_link_++) {
    broker_.watchers_[number_] = [this] { poll_all(); };
  }
  ~fake_link() override {
    broker_.watchers_.erase(number_);
    *alive_ = false;
  }

  void open() override {
    if (broken()) return;
    if (broker_.chance(broker_.faults.open_fault)) return give_up(broker_.chance(0.5));
    later(trip(), [this] {
      epoch_ = broker_.init();
      later(trip(), [this] { tell(kafka::link_opened{}); });
    });
  }

  void produce(std::uint64_t ticket, std::vector<kafka::outgoing_record> records) override {
    ensure(!committing_, "nothing is produced while a transaction ends");
    ensure(epoch_ >= 0, "the link is open");
    std::map<topic, std::vector<kafka::record>> by_topic;
    auto& wait = waiting_[ticket];
    for (auto& r : records) {
      wait.order.push_back(r.to);
      by_topic[r.to].push_back(std::move(r.what));
    }
    wait.missing = by_topic.size();
    std::vector<topic> order;
    for (const auto& [t, some] : by_topic) order.push_back(t);
    if (broker_.chance(0.5)) std::reverse(order.begin(), order.end());
    for (const auto t : order) send(ticket, t, std::move(by_topic[t]));
  }

  void commit() override {
    ensure(!committing_ && begun_, "a transaction is open");
    committing_ = true;
    end_if_flushed();
  }

  void produce_late(std::uint64_t ticket, kafka::record r) override {
    const bool lost = broker_.down || broker_.chance(broker_.faults.late_error);
    const bool stored = !lost || broker_.chance(0.5);
    auto& broker = broker_;  // the request outlives the link
    const auto when = arrival(late_at_, trip());
    time_.at(when, [&broker, r = std::move(r), stored] {
      if (stored) broker.append(topic::late, r);
    });
    at(when + (lost ? 700ms : trip()), [this, ticket, lost] {
      tell(kafka::link_late_acked{ticket, lost ? "timed out" : ""});
    });
  }

  void read(const kafka::read_request& r) override {
    reads_[r.id] = {r, r.offset, false};
    poll(r.id);
  }
  void stop_reading(std::uint64_t id) override { reads_.erase(id); }

  void ask_offsets(topic t) override {
    if (broken()) return;
    later(trip(), [this, t] {
      const auto o = broker_.offsets(t);
      later(trip(), [this, o] { tell(o); });
    });
  }
  void trim(topic t, std::int64_t offset) override {
    auto& broker = broker_;
    time_.after(trip(), [&broker, t, offset] {
      auto& log = broker.logs_[t];
      ensure(offset <= log.next, "nothing is trimmed that is not written");
      log.first = std::max(log.first, offset);
      std::erase_if(log.entries, [&](const auto& e) { return e.offset < log.first; });
    });
  }

 private:
  struct pending {
    std::vector<topic> order;
    std::size_t missing = 0;
    std::map<topic, std::vector<std::int64_t>> offsets;
  };
  struct reading {
    kafka::read_request what;
    std::int64_t position = 0;
    bool polling = false;
  };

  duration trip() { return broker_.between(200us, broker_.chance(0.05) ? 60ms : 4ms); }
  void at(time_point when, std::function<void()> what) {
    time_.at(when, [alive = alive_, what = std::move(what)] {
      if (*alive) what();
    });
  }
  void later(duration wait, std::function<void()> what) { at(time_.now() + wait, std::move(what)); }
  /// One connection keeps the order of what is sent on it.
  time_point arrival(time_point& last, duration wait) {
    last = std::max(last + 1us, time_.now() + wait);
    return last;
  }
  void tell(kafka::link_event e) { sink_(std::move(e)); }
  bool broken() {
    if (broker_.down) give_up(false);
    return failed_;
  }
  void give_up(bool arrives) {
    if (arrives) later(trip(), [this] { epoch_ = broker_.init(); });
    fail(kafka::link_fault::ambiguous, broker_.between(300ms, 1500ms));
  }
  void fail(kafka::link_fault fault, duration after) {
    if (failed_) return;
    failed_ = true;
    later(after, [this, fault] { tell(kafka::link_failed{fault, "the broker did not answer"}); });
  }

  void send(std::uint64_t ticket, topic t, std::vector<kafka::record> records) {
    if (!begun_) {
      transaction_ = 0;
      begun_ = true;
    }
    const auto& f = broker_.faults;
    if (broken() || f.deaf == t || broker_.chance(f.lost_request)) return give_up(false);
    if (broker_.chance(f.refused)) return fail(kafka::link_fault::refused, trip());
    if (transaction_ == 0) transaction_ = broker_.begin(epoch_);
    if (transaction_ == 0) return fail(kafka::link_fault::fenced, trip());
    auto wait_for = trip();
    bool silent = broker_.chance(f.lost_reply);
    if (broker_.chance(f.straggler)) {
      wait_for = broker_.between(500ms, 9s);
      silent = true;
    }
    auto& broker = broker_;
    // The request is under way, whatever becomes of this link.
    const auto reply = std::make_shared<fake_broker::reply>();
    const auto when = arrival(sent_at_[t], wait_for);
    time_.at(when, [&broker, reply, epoch = epoch_, n = transaction_, t, all = std::move(records)] {
      *reply = broker.produce(epoch, n, t, all);
    });
    if (silent) return give_up(false);
    at(when + trip(), [this, reply, ticket, t] {
      if (reply->fenced) return fail(kafka::link_fault::fenced, 0ms);
      acked(ticket, t, reply->offsets);
    });
  }

  void acked(std::uint64_t ticket, topic t, const std::vector<std::int64_t>& offsets) {
    if (failed_) return;
    auto& w = waiting_[ticket];
    w.offsets[t] = offsets;
    if (--w.missing > 0) return;
    kafka::link_acked out{ticket, {}};
    std::map<topic, std::size_t> used;
    for (const auto part : w.order) out.offsets.push_back(w.offsets[part][used[part]++]);
    waiting_.erase(ticket);
    tell(std::move(out));
    end_if_flushed();
  }

  void end_if_flushed() {
    if (!committing_ || !waiting_.empty() || failed_) return;
    const auto& f = broker_.faults;
    if (broken() || broker_.chance(f.lost_request)) return give_up(false);
    duration wait_for = trip();
    bool silent = broker_.chance(f.lost_reply);
    if (broker_.chance(f.straggler)) {
      wait_for = broker_.between(500ms, 9s);
      silent = true;
    }
    auto& broker = broker_;
    const auto good = std::make_shared<bool>(false);
    time_.after(wait_for, [&broker, good, epoch = epoch_, n = transaction_] {
      *good = broker.end(epoch, n);
    });
    if (silent) return give_up(false);
    later(wait_for + 16ms + trip(), [this, good] {
      if (failed_) return;
      if (!*good) return fail(kafka::link_fault::fenced, 0ms);
      committing_ = begun_ = false;
      tell(kafka::link_committed{});
    });
  }

  void poll_all() {
    for (auto& [id, r] : reads_) poll(id);
  }
  void poll(std::uint64_t id) {
    auto& r = reads_[id];
    if (r.polling) return;
    r.polling = true;
    later(trip(), [this, id] { deliver(id); });
  }
  void deliver(std::uint64_t id) {
    const auto found = reads_.find(id);
    if (found == reads_.end()) return;
    auto& r = found->second;
    r.polling = false;
    if (broker_.down)
      return later(200ms, [this, id] {
        if (reads_.contains(id)) poll(id);
      });
    const auto o = broker_.offsets(r.what.from);
    r.position = std::max(r.position, o.first);
    auto end = r.what.committed ? o.last_stable : o.high_watermark;
    if (r.what.until) end = std::min(end, *r.what.until);
    auto to = end;
    if (broker_.chance(0.3)) to = std::min(end, r.position + 3);
    const bool last = r.what.until && to >= *r.what.until;
    if (to <= r.position && !last) return;
    kafka::link_records out{id, broker_.records(r.what.from, r.position, to, r.what.committed), to,
                            last};
    const bool quiet = broker_.faults.silent_markers && out.records.empty() && !last;
    r.position = std::max(r.position, to);
    if (last)
      reads_.erase(found);
    else if (to < end)
      poll(id);
    if (!quiet) tell(std::move(out));
  }

  fake_broker& broker_;
  timeline& time_;
  std::function<void(kafka::link_event)> sink_;
  std::uint64_t number_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool failed_ = false, committing_ = false, begun_ = false;
  int epoch_ = -1;
  std::uint64_t transaction_ = 0;
  std::map<topic, time_point> sent_at_;
  time_point late_at_{};
  std::map<std::uint64_t, pending> waiting_;
  std::map<std::uint64_t, reading> reads_;
};

std::unique_ptr<kafka::partition_link> fake_broker::connect(
    std::function<void(kafka::link_event)> sink) {
  return std::make_unique<fake_link>(*this, std::move(sink));
}

}  // namespace spillway::sim
