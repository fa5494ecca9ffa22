// What the simulator counted: the oracle of tests and demonstrations. Not thread-safe.
#pragma once

#include "schemas/units.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway::simulated {

/// How a call ended.
enum class ending {
  answered,  ///< 200, written whole
  refused,   ///< a complete error answer; its status tells the rest
  dropped,   ///< no complete answer: hang, cut connection, or the client had left
};

struct pool_counters {
  std::int64_t requests = 0;  ///< every POST below the pool's path
  std::int64_t answered = 0;
  std::int64_t refused_429 = 0;
  std::int64_t refused_4xx = 0;   ///< other 4xx
  std::int64_t refused_auth = 0;  ///< of those, for a key, token or signature
  std::int64_t failed_5xx = 0;
  std::int64_t dropped = 0;
  std::int64_t distinct_ids = 0;      ///< of accepted calls: those not answered with 4xx
  std::int64_t repeated_ids = 0;      ///< accepted calls whose id had been accepted before
  std::int64_t repeated_answers = 0;  ///< answers made (billed) for an id that had one before
  std::int64_t in_flight = 0;
  std::int64_t peak_concurrency = 0;
  std::int64_t quota_violations = 0;
  std::int64_t input_tokens = 0, output_tokens = 0;  ///< of billed answers
  nano_usd billed;

  void entered() {
    if (++in_flight > peak_concurrency) peak_concurrency = in_flight;
  }
  void ended(ending how, int status);
};

/// Which prompts were seen where.
class id_register {
 public:
  struct seen {
    bool here = false;      ///< in this pool before
    bool anywhere = false;  ///< in any pool before
  };
  seen accept(std::uint64_t id, std::size_t pool);
  seen answer(std::uint64_t id, std::size_t pool);

 private:
  struct hashed_already {
    using is_avalanching = void;
    std::size_t operator()(std::uint64_t id) const noexcept { return id; }
  };
  struct pools {
    std::uint64_t accepted = 0, answered = 0;  ///< one bit a pool
  };
  static seen note(std::uint64_t& bits, std::size_t pool);
  boost::unordered_flat_map<std::uint64_t, pools, hashed_already> known_;
};

struct service_counters {
  std::string_view name;
  std::int64_t requests = 0, issued = 0, refused = 0, failed = 0;
};

/// The body of GET /_sim/stats: the totals, `pools` by name, and `identity` by service.
[[nodiscard]] std::string stats_json(
    const pool_counters& total,
    const std::vector<std::pair<std::string_view, pool_counters>>& pools,
    const std::vector<service_counters>& services = {});

}  // namespace spillway::simulated
