// Calls that must be on their way by a certain time, or not at all.
#include "tests/unit/stub_server.hpp"
#include "tests/unit/transport_harness.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace spillway::test {
namespace {

using namespace std::chrono_literals;

/// A transport whose clock the test moves.
class clocked {
 public:
  explicit clocked(const pool_config& pool) {
    net = std::move(*make_http_transport(
        {pool}, {}, [this] { return time_point(duration(clock.load())); },
        [this](std::vector<call_result> batch) {
          const std::lock_guard lock(mutex_);
          for (auto& r : batch) results_.push_back(std::move(r));
          changed_.notify_all();
        }));
  }
  void send(std::uint64_t id, time_point before = time_never) {
    std::vector<outgoing_call> calls(1);
    calls[0].id = call_id(id);
    calls[0].request.target = "/";
    calls[0].send_before = before;
    net->submit(lane_id(0), std::move(calls));
  }
  call_result result(std::size_t number) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 30s, [&] { return results_.size() > number; }));
    return results_.size() > number ? results_[number] : call_result{};
  }

  std::atomic<std::int64_t> clock{0};
  std::unique_ptr<transport> net;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<call_result> results_;
};

time_point at(duration since) { return time_point(since); }

void expect_unsent(const call_result& r, std::uint64_t id) {
  EXPECT_EQ(r.id, call_id(id));
  EXPECT_EQ(r.error, transport_error::cancelled);
  EXPECT_FALSE(r.written);
}

TEST(transport_deadline, a_call_that_waits_too_long_for_a_connection_comes_back_unsent) {
  std::promise<void> arrived, release;
  std::atomic<int> requests = 0;
  scripted_server server([&](peer& p, int) {
    while (p.read_request()) {
      if (++requests == 1) {
        arrived.set_value();
        release.get_future().wait();
      }
      p.answer("{}");
    }
  });
  auto pool = pool_at(server.endpoint());
  pool.connections = 1;
  clocked client(pool);
  client.send(1);
  arrived.get_future().wait();
  client.send(2, at(4s));
  client.send(3, at(9s));
  client.send(4);
  client.clock = duration(5s).count();
  expect_unsent(client.result(0), 2);  // while the first is still open
  release.set_value();
  EXPECT_EQ(client.result(1).id, call_id(1));
  EXPECT_EQ(client.result(2).id, call_id(3));
  EXPECT_EQ(client.result(2).error, transport_error::none) << "its time had not come";
  EXPECT_EQ(client.result(3).id, call_id(4));
  client.net.reset();
  EXPECT_EQ(requests, 3);
}

TEST(transport_deadline, an_idle_connection_is_not_spoilt_by_a_late_call) {
  scripted_server server([](peer& p, int) {
    while (p.read_request()) p.answer("{}");
  });
  auto pool = pool_at(server.endpoint());
  pool.connections = 1;
  clocked client(pool);
  client.send(1);
  EXPECT_EQ(client.result(0).error, transport_error::none);
  client.clock = duration(10s).count();
  client.send(2, at(10s));
  expect_unsent(client.result(1), 2);
  client.send(3, at(11s));
  EXPECT_EQ(client.result(2).error, transport_error::none);
  client.net.reset();
  EXPECT_EQ(server.accepted(), 1);
}

TEST(transport_deadline, a_connection_that_takes_too_long_carries_nothing_late) {
  scripted_server server([](peer& p, int) {
    while (p.read_request()) p.answer("{}");
  });
  clocked client(pool_at(server.endpoint()));
  client.clock = duration(10s).count();
  client.send(1, at(9s));
  expect_unsent(client.result(0), 1);
  client.send(2, at(11s));
  EXPECT_EQ(client.result(1).error, transport_error::none);
}

}  // namespace
}  // namespace spillway::test
