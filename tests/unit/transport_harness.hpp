// A transport with a sink that tests can wait on.
#pragma once

#include "workers/transport/transport.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

namespace spillway::test {

inline time_point steady_now() {
  return time_point(
      std::chrono::duration_cast<duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

/// One pool with `lanes` lanes of one model and a lane timeout far beyond any test.
inline pool_config pool_at(std::string endpoint, std::size_t lanes = 1) {
  pool_config pool;
  pool.name = "stub";
  pool.endpoint = std::move(endpoint);
  pool.lanes.resize(lanes);
  for (auto& lane : pool.lanes) lane.timeout = std::chrono::minutes(1);
  return pool;
}

class transport_harness {
 public:
  explicit transport_harness(std::vector<pool_config> pools, const transport_limits& limits = {}) {
    auto made = make_http_transport(pools, limits, &steady_now, [this](auto batch) {
      const std::lock_guard lock(mutex_);
      for (auto& r : batch) results_.push_back(std::move(r));
      changed_.notify_all();
    });
    if (!made) throw std::runtime_error(made.error().message);
    transport_ = std::move(*made);
  }
  explicit transport_harness(pool_config pool, const transport_limits& limits = {})
      : transport_harness(std::vector<pool_config>{std::move(pool)}, limits) {}

  transport& operator*() { return *transport_; }
  transport* operator->() { return transport_.get(); }
  void destroy() { transport_.reset(); }

  /// Sends `count` calls with ids first, first + 1, ...; each body is its id unless given.
  void send(std::uint64_t first, std::size_t count = 1, std::uint32_t lane = 0,
            const std::string& body = {}) {
    std::vector<outgoing_call> calls;
    for (std::uint64_t id = first; id < first + count; ++id) {
      outgoing_call call;
      call.id = call_id(id);
      call.request.target = "/v1/chat/completions";
      call.request.headers = "Content-Type: application/json\r\n";
      call.request.body = body.empty() ? std::to_string(id) : body;
      calls.push_back(std::move(call));
    }
    transport_->submit(lane_id(lane), std::move(calls));
  }

  /// The first `count` results in order of arrival; fails the test when they don't come.
  std::vector<call_result> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    const bool came =
        changed_.wait_for(lock, std::chrono::seconds(30), [&] { return results_.size() >= count; });
    EXPECT_TRUE(came) << results_.size() << " of " << count << " calls came back";
    auto copy = results_;
    copy.resize(count);  // indexing stays safe after a failure
    return copy;
  }
  call_result one(std::uint64_t id = 1, const std::string& body = {}) {
    const std::size_t before = count();
    send(id, 1, 0, body);
    return wait(before + 1).back();
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return results_.size();
  }
  /// How often each id came back.
  std::map<std::uint64_t, int> times_returned() {
    const std::lock_guard lock(mutex_);
    std::map<std::uint64_t, int> times;
    for (const auto& r : results_) ++times[r.id.value()];
    return times;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<call_result> results_;
  std::unique_ptr<transport> transport_;  // last: it calls the sink while it is destroyed
};

}  // namespace spillway::test
