// A link under test: where it comes from, and everything it told.
#pragma once

#include "connectors/kafka/link.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace spillway::kafka {

/// A broker with one fresh partition, nothing written to it.
class link_world {
 public:
  virtual ~link_world() = default;
  virtual std::unique_ptr<partition_link> make_link(std::function<void(link_event&&)>) = 0;
  /// Lets time pass, briefly. False: it has passed for too long, give up waiting.
  virtual bool let_pass() = 0;
  /// Begins the time of a wait.
  virtual void begin_waiting() = 0;
  /// Bytes beyond which a record is split.
  virtual std::size_t record_bytes_max() const = 0;
};
using link_world_maker = std::function<std::unique_ptr<link_world>()>;

/// A link and everything it told.
class told_link {
 public:
  explicit told_link(link_world& world) : world_(world) {
    link_ = world.make_link([this](link_event&& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
    });
  }
  partition_link& operator*() { return *link_; }
  partition_link* operator->() { return link_.get(); }
  void close() { link_.reset(); }

  /// The next event, if it is a `Event`; anything else fails the test.
  template <class Event>
  std::optional<Event> next() {
    auto event = pop([](const link_event&) { return true; });
    if (!event) {
      ADD_FAILURE() << "nothing came";
      return std::nullopt;
    }
    if (auto* wanted = std::get_if<Event>(&*event)) return std::move(*wanted);
    const auto* failed = std::get_if<link_failed>(&*event);
    ADD_FAILURE() << "event number " << event->index() << " came instead"
                  << (failed ? ": " + failed->message : std::string());
    return std::nullopt;
  }
  /// The next event of this kind; others wait.
  template <class Event>
  std::optional<Event> next_of() {
    auto event = pop([](const link_event& e) { return std::holds_alternative<Event>(e); });
    if (!event) {
      ADD_FAILURE() << "nothing of this kind came";
      return std::nullopt;
    }
    return std::move(std::get<Event>(*event));
  }
  /// Everything of a read up to its end.
  std::vector<stored_record> read_all(const read_request& request) {
    std::vector<stored_record> out;
    link_->read(request);
    std::int64_t next = request.offset;
    for (;;) {
      auto batch = next_of<link_records>();
      if (!batch || batch->read != request.id) return out;
      for (auto& r : batch->records) {
        EXPECT_GE(r.offset, next) << "in order, each once";
        next = r.offset + 1;
        out.push_back(std::move(r));
      }
      EXPECT_GE(batch->next_offset, next);
      if (batch->end) return out;
    }
  }
  bool open() {
    link_->open();
    return next<link_opened>().has_value();
  }
  std::vector<std::int64_t> produce(std::uint64_t ticket, std::vector<outgoing_record> records) {
    link_->produce(ticket, std::move(records));
    const auto acked = next_of<link_acked>();
    if (!acked) return {};
    EXPECT_EQ(acked->ticket, ticket);
    return acked->offsets;
  }
  bool commit() {
    link_->commit();
    return next_of<link_committed>().has_value();
  }
  link_offsets offsets(topic t) {
    link_->ask_offsets(t);
    return next_of<link_offsets>().value_or(link_offsets{});
  }
  /// Once no transaction is open: a commit is told before its markers stand in the log.
  link_offsets settled(topic t) {
    world_.begin_waiting();
    for (;;) {
      const auto ends = offsets(t);
      if (ends.last_stable == ends.high_watermark) return ends;
      if (!world_.let_pass()) {
        ADD_FAILURE() << "a transaction stays open";
        return ends;
      }
    }
  }

 private:
  std::optional<link_event> pop(const std::function<bool(const link_event&)>& wanted) {
    world_.begin_waiting();
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        for (auto at = events_.begin(); at != events_.end(); ++at) {
          if (!wanted(*at)) continue;
          auto out = std::move(*at);
          events_.erase(at);
          return out;
        }
      }
      if (!world_.let_pass()) return std::nullopt;
    }
  }

  link_world& world_;
  std::mutex mutex_;
  std::deque<link_event> events_;
  std::unique_ptr<partition_link> link_;
};

}  // namespace spillway::kafka
