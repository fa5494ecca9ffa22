#include "workers/transport/io_thread.hpp"
#include "workers/transport/transport.hpp"

#include <algorithm>
#include <map>

namespace spillway {
namespace {

class http_transport final : public transport {
 public:
  struct lane_place {
    net::io_thread* thread;
    net::pool* pool;
    std::uint32_t index;
  };

  http_transport(std::vector<std::unique_ptr<net::io_thread>> threads,
                 std::vector<lane_place> lanes)
      : threads_(std::move(threads)), lanes_(std::move(lanes)) {
    for (const auto& thread : threads_) thread->start();
  }

  void submit(lane_id lane, std::vector<outgoing_call> calls) override {
    ensure(lane.value() < lanes_.size(), "submit() to a lane that is not configured");
    const lane_place& place = lanes_[lane.value()];
    place.thread->submit(*place.pool, place.index, std::move(calls));
  }
  void cancel_queued() override {
    for (const auto& thread : threads_) thread->cancel_queued();
  }
  void cancel_all() override {
    for (const auto& thread : threads_) thread->cancel_all();
  }

 private:
  std::vector<std::unique_ptr<net::io_thread>> threads_;
  std::vector<lane_place> lanes_;
};

}  // namespace

const char* name_of(transport_error error) {
  switch (error) {
    case transport_error::none: return "none";
    case transport_error::connect: return "connect";
    case transport_error::tls: return "tls";
    case transport_error::reset: return "reset";
    case transport_error::timed_out: return "timed_out";
    case transport_error::too_large: return "too_large";
    case transport_error::malformed: return "malformed";
    case transport_error::cancelled: return "cancelled";
  }
  return "unknown";
}

std::int64_t connection_cap(const pool_config& pool, const transport_limits& limits) {
  if (pool.connections) return std::max<std::int64_t>(1, *pool.connections);
  std::int64_t sum = 0;
  for (const lane_config& lane : pool.lanes) {
    if (!lane.quota.concurrency) return limits.connections_default;
    sum += *lane.quota.concurrency;
  }
  return sum > 0 ? sum : limits.connections_default;
}

result<std::unique_ptr<transport>> make_http_transport(const std::vector<pool_config>& pools,
                                                       const transport_limits& limits,
                                                       std::function<time_point()> now,
                                                       call_sink sink) {
  std::vector<std::unique_ptr<net::io_thread>> threads;
  const std::size_t wanted =
      std::min<std::size_t>(std::max(1u, limits.threads), std::max<std::size_t>(1, pools.size()));
  for (std::size_t i = 0; i < wanted; ++i)
    threads.push_back(std::make_unique<net::io_thread>(limits, now, sink));

  std::map<std::string, std::shared_ptr<net::tls_context>> trust;  // by CA file
  std::vector<http_transport::lane_place> lanes;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    const pool_config& config = pools[i];
    const std::string context = "pool " + config.name;
    const auto url = parse_endpoint(config.endpoint);
    if (!url) return url.error().within(context);
    std::shared_ptr<net::tls_context> tls;
    if (url->tls) {
      auto& shared = trust[config.ca_file];
      if (!shared) {
        auto made = net::tls_context::make(config.ca_file);
        if (!made) return made.error().within(context);
        shared = *made;
      }
      tls = shared;
    }
    net::io_thread& thread = *threads[i % threads.size()];
    net::pool& pool = thread.add_pool(config, *url, std::move(tls));
    for (std::uint32_t l = 0; l < config.lanes.size(); ++l) lanes.push_back({&thread, &pool, l});
  }
  return std::unique_ptr<transport>(
      std::make_unique<http_transport>(std::move(threads), std::move(lanes)));
}

}  // namespace spillway
