#include "connectors/files/totals_codec.hpp"

#include "schemas/state.pb.h"

namespace spillway::state {

void put(v1::LaneTotals& out, const named_totals& in) {
  const auto& t = in.totals;
  out.set_pool(in.pool);
  out.set_lane(in.lane);
  out.set_model(in.model);
  out.set_calls(t.calls);
  out.set_answered(t.answered);
  out.set_rejected(t.rejected);
  out.set_refused_429(t.refused_429);
  out.set_failed(t.failed);
  out.set_retries(t.retries);
  out.set_spilled_in(t.spilled_in);
  out.set_spilled_out(t.spilled_out);
  out.set_maybe_billed(t.maybe_billed);
  out.set_input_tokens(t.input.count());
  out.set_cached_tokens(t.cached.count());
  out.set_output_tokens(t.output.count());
  out.set_settled_nano_usd(t.settled.count());
  for (const auto n : t.latency.count) out.add_latency_counts(n);
  out.set_day(t.day);
  out.set_day_requests(t.day_requests);
  out.set_day_spend_nano_usd(t.day_spend.count());
  for (const auto& d : t.by_day.days()) {
    auto& m = *out.add_by_day();
    m.set_day(d.day);
    m.set_calls(d.calls);
    m.set_settled_nano_usd(d.settled.count());
  }
}

named_totals totals_of(const v1::LaneTotals& in) {
  named_totals out{in.pool(), in.lane(), in.model(), {}};
  auto& t = out.totals;
  t.calls = in.calls();
  t.answered = in.answered();
  t.rejected = in.rejected();
  t.refused_429 = in.refused_429();
  t.failed = in.failed();
  t.retries = in.retries();
  t.spilled_in = in.spilled_in();
  t.spilled_out = in.spilled_out();
  t.maybe_billed = in.maybe_billed();
  t.input = tokens(in.input_tokens());
  t.cached = tokens(in.cached_tokens());
  t.output = tokens(in.output_tokens());
  t.settled = nano_usd(in.settled_nano_usd());
  for (int i = 0; i < in.latency_counts_size() && i < static_cast<int>(t.latency.count.size()); ++i)
    t.latency.count[static_cast<std::size_t>(i)] = in.latency_counts(i);
  t.day = in.day();
  t.day_requests = in.day_requests();
  t.day_spend = nano_usd(in.day_spend_nano_usd());
  for (const auto& d : in.by_day())
    t.by_day.add(day_cost{d.day(), d.calls(), nano_usd(d.settled_nano_usd())});
  return out;
}

}  // namespace spillway::state
