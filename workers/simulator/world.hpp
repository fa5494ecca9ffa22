// The simulated providers: decides what happens to each request. No I/O and no clock; time is
// passed in. `arrive` and `finish` are thread-safe.
#pragma once

#include "workers/simulator/call_reader.hpp"
#include "workers/simulator/control.hpp"
#include "workers/simulator/faults.hpp"
#include "workers/simulator/gatekeeper.hpp"
#include "workers/simulator/identity.hpp"
#include "workers/simulator/quota.hpp"
#include "workers/simulator/reply.hpp"
#include "workers/simulator/request_head.hpp"
#include "workers/simulator/sim_config.hpp"
#include "workers/simulator/stats.hpp"

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::simulated {

enum class action {
  reply,  ///< send the response
  hang,   ///< send nothing until the client leaves
  reset,  ///< send half of the response, then cut the connection
  close,  ///< close the connection without a byte
};

/// What is to be done about a request, `delay` after it arrived. Afterwards `finish` is told.
struct verdict {
  action what = action::reply;
  duration delay{};
  bool keep_alive = true;

  // For `finish` and `may_end`.
  static constexpr std::size_t no_pool = ~std::size_t{0};
  std::size_t pool = no_pool;  ///< no_pool: not a provider's call, nothing to finish
  std::size_t held_by = 0;     ///< number of the faults that keep the answer; 0: none do
  bool counted = false;        ///< holds a place among the calls in flight
  bool answer = false;         ///< the response is an answer, not an error
  bool no_entry = false;       ///< refused for its key, token or signature
  int status = 0;
  std::uint64_t id = 0;
  answer_size size;
  token_charge unused;  ///< of what the quota reserved
};

class world {
 public:
  /// The pools' clocks and faults start at `start`.
  world(const simulator_config&, time_point start);

  /// Appends the response, if there is one, to `out`. `body` is followed by
  /// call_reader::padding readable bytes.
  verdict arrive(time_point now, const request_head&, std::string_view body, call_reader&,
                 std::string& out);
  /// False while the faults keep it. To be asked now and then, once `delay` is over.
  [[nodiscard]] bool may_end(const verdict&) const;
  /// `delivered`: the response was written whole while the client was there.
  void finish(const verdict&, bool delivered);

  [[nodiscard]] std::string stats() const;

  /// To be called before the first request; `url`: where the simulator can be reached.
  [[nodiscard]] result<void> open(const std::string& url) { return identity_.open(url); }
  /// Makes a change by POST /_sim/control.
  [[nodiscard]] result<void> apply(const control_change&, time_point now);

 private:
  struct pool {
    pool(const pool_spec&, std::uint64_t seed, time_point start, identity&);
    pool_spec spec;
    std::uint64_t seed;
    std::deque<std::vector<fault_config>> fault_sets;  // grows: calls refer to them
    fault_plan faults;
    quota_book quota;
    gatekeeper gate;
    pool_counters counters;
  };
  struct route;
  struct admission;

  [[nodiscard]] route find_route(const request_head&) const;
  verdict control(time_point now, const request_head&, std::string_view body, std::string& out);
  verdict serve_post(const route&, const request_head&, std::string_view body, const reply_context&,
                     call_reader&, std::string& out);
  verdict serve_get(const route&, const request_head&, const reply_context&, std::string& out);
  [[nodiscard]] const fault_config* down_now(std::size_t pool, time_point now) const;
  verdict serve_call(const route&, const reply_context&, const call_facts&, std::string& out);
  admission admit(std::size_t pool, const reply_context&, const call_facts&, const answer_size&);
  std::uint64_t begin_call(std::size_t pool);

  const time_point start_;
  const std::uint64_t seed_;
  identity identity_;
  mutable std::mutex mutex_;  // guards everything below
  std::vector<std::unique_ptr<pool>> pools_;
  pool_counters total_;
  id_register ids_;
  std::uint64_t calls_ = 0;
};

}  // namespace spillway::simulated
