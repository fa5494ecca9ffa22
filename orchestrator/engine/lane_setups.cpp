#include "orchestrator/engine/lane_setups.hpp"

namespace spillway {

lane_setup make_lane_setup(const pool_config& pool, const lane_config& lane,
                           std::shared_ptr<const provider> adapter, std::int64_t slots) {
  lane_setup s;
  s.pool = pool.name;
  s.config = lane;
  s.slots = slots;
  s.sliced = pool.provider == provider_kind::azure_openai;
  s.provider = pool.provider;
  s.region = pool.region;
  for (std::size_t e = 0; e < endpoint_kinds; ++e) {
    const auto kind = static_cast<endpoint_kind>(e);
    s.takes[e] = {adapter->serves(kind, lane), adapter->unmappable(kind, lane)};
  }
  s.settled_charge = [adapter, lane](const token_usage& used, tokens max_output) {
    return adapter->settled_charge(used, max_output, lane);
  };
  s.rate_charge = [adapter = std::move(adapter)](tokens input, tokens max_output, tokens expected) {
    return adapter->rate_charge({input, max_output, expected});
  };
  return s;
}

}  // namespace spillway
