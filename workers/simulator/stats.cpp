#include "workers/simulator/stats.hpp"

#include <boost/json.hpp>

namespace spillway::simulated {
namespace {

boost::json::object object_of(const pool_counters& c) {
  return {{"requests", c.requests},
          {"answered", c.answered},
          {"refused_429", c.refused_429},
          {"refused_4xx", c.refused_4xx},
          {"refused_auth", c.refused_auth},
          {"failed_5xx", c.failed_5xx},
          {"dropped", c.dropped},
          {"distinct_ids", c.distinct_ids},
          {"repeated_ids", c.repeated_ids},
          {"repeated_answers", c.repeated_answers},
          {"in_flight", c.in_flight},
          {"peak_concurrency", c.peak_concurrency},
          {"quota_violations", c.quota_violations},
          {"input_tokens", c.input_tokens},
          {"output_tokens", c.output_tokens},
          {"billed_usd", to_usd(c.billed)}};
}

}  // namespace

void pool_counters::ended(ending how, int status) {
  switch (how) {
    case ending::answered: ++answered; break;
    case ending::refused:
      if (status == 429)
        ++refused_429;
      else if (status >= 500)
        ++failed_5xx;
      else
        ++refused_4xx;
      break;
    case ending::dropped: ++dropped; break;
  }
}

id_register::seen id_register::note(std::uint64_t& bits, std::size_t pool) {
  const std::uint64_t bit = std::uint64_t{1} << pool;
  const seen before{(bits & bit) != 0, bits != 0};
  bits |= bit;
  return before;
}

id_register::seen id_register::accept(std::uint64_t id, std::size_t pool) {
  return note(known_[id].accepted, pool);
}

id_register::seen id_register::answer(std::uint64_t id, std::size_t pool) {
  return note(known_[id].answered, pool);
}

std::string stats_json(const pool_counters& total,
                       const std::vector<std::pair<std::string_view, pool_counters>>& pools,
                       const std::vector<service_counters>& services) {
  boost::json::object root = object_of(total);
  boost::json::object by_name;
  for (const auto& [name, counters] : pools) by_name[name] = object_of(counters);
  root["pools"] = std::move(by_name);
  boost::json::object identity;
  for (const auto& s : services)
    identity[s.name] = {{"requests", s.requests},
                        {"issued", s.issued},
                        {"refused", s.refused},
                        {"failed", s.failed}};
  root["identity"] = std::move(identity);
  return boost::json::serialize(root);
}

}  // namespace spillway::simulated
