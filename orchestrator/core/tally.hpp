// What sends and answers do to a lane's totals: the same for the lane itself and for each account.
#pragma once

#include "schemas/outcome.hpp"
#include "schemas/totals.hpp"

#include <algorithm>

namespace spillway {

inline void roll_day(lane_totals& t, time_point now) {
  const auto day = utc_day(now);
  if (t.day == day) return;
  t.day = day;
  t.day_requests = 0;
  t.day_spend = {};
}

inline void tally_send(lane_totals& t, time_point now) {
  roll_day(t, now);
  ++t.calls;
  ++t.day_requests;
  t.by_day.add({utc_day(now), 1, {}});
}

/// `charge` is what the call cost after all.
inline void tally_end(lane_totals& t, time_point now, const outcome& out, nano_usd charge,
                      duration latency) {
  roll_day(t, now);
  if (out.never_sent()) {
    --t.calls;
    t.day_requests = std::max<std::int64_t>(0, t.day_requests - 1);
    t.by_day.add({utc_day(now), -1, {}});
    return;
  }
  t.settled += charge;
  t.day_spend += charge;
  t.by_day.add({utc_day(now), 0, charge});
  if (out.in_doubt) ++t.maybe_billed;
  if (out.status == 429) ++t.refused_429;
  if (out.unhealthy) ++t.failed;
  if (out.usage.known) {
    t.input += out.usage.input;
    t.cached += out.usage.cached;
    t.output += out.usage.output;
  }
  if (out.kind == outcome_kind::answered) t.latency.add(latency);
}

/// What was settled elsewhere, or in doubt, after the call itself had ended.
inline void tally_charge(lane_totals& t, time_point now, nano_usd charge) {
  roll_day(t, now);
  t.settled += charge;
  t.day_spend += charge;
  t.by_day.add({utc_day(now), 0, charge});
}

/// Adds what another partition or an earlier run counted. Of two days the later one counts.
inline void tally_add(lane_totals& t, const lane_totals& o) {
  for (const auto field :
       {&lane_totals::calls, &lane_totals::answered, &lane_totals::rejected,
        &lane_totals::refused_429, &lane_totals::failed, &lane_totals::retries,
        &lane_totals::spilled_in, &lane_totals::spilled_out, &lane_totals::maybe_billed})
    t.*field += o.*field;
  t.input += o.input;
  t.cached += o.cached;
  t.output += o.output;
  t.settled += o.settled;
  for (std::size_t i = 0; i < latency_histogram::buckets; ++i)
    t.latency.count[i] += o.latency.count[i];
  t.by_day.add(o.by_day);
  if (o.day < t.day) return;
  if (o.day > t.day) {
    t.day = o.day;
    t.day_requests = 0;
    t.day_spend = {};
  }
  t.day_requests += o.day_requests;
  t.day_spend += o.day_spend;
}

}  // namespace spillway
