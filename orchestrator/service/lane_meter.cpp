#include "orchestrator/service/lane_meter.hpp"

#include <algorithm>

namespace spillway::service {

namespace {

/// Adds what `now` is above `before`. A total that went down (a retry takes error rows back) adds
/// nothing and is counted from there on.
template <class Number>
void count(Number& counter, Number now, Number before) {
  counter += std::max(Number{}, now - before);
}

void count(lane_totals& counter, const lane_totals& now, const lane_totals& before) {
  count(counter.calls, now.calls, before.calls);
  count(counter.answered, now.answered, before.answered);
  count(counter.rejected, now.rejected, before.rejected);
  count(counter.refused_429, now.refused_429, before.refused_429);
  count(counter.failed, now.failed, before.failed);
  count(counter.retries, now.retries, before.retries);
  count(counter.spilled_in, now.spilled_in, before.spilled_in);
  count(counter.spilled_out, now.spilled_out, before.spilled_out);
  count(counter.maybe_billed, now.maybe_billed, before.maybe_billed);
  count(counter.input, now.input, before.input);
  count(counter.cached, now.cached, before.cached);
  count(counter.output, now.output, before.output);
  count(counter.settled, now.settled, before.settled);
  for (std::size_t i = 0; i < latency_histogram::buckets; ++i)
    count(counter.latency.count[i], now.latency.count[i], before.latency.count[i]);
}

}  // namespace

void lane_meter::begin(totals_source source, std::span<const named_totals> totals) {
  for (const auto& t : totals) seen_[{source, {t.pool, t.lane, t.model}}] = t.totals;
}

void lane_meter::update(totals_source source, std::span<const named_totals> totals) {
  for (const auto& t : totals) {
    const lane_key key{t.pool, t.lane, t.model};
    lane_totals& before = seen_[{source, key}];
    count(counted_[key], t.totals, before);
    before = t.totals;
  }
}

void lane_meter::end(partition_id partition) {
  std::erase_if(seen_, [&](const auto& entry) { return entry.first.first.partition == partition; });
}

void lane_meter::end(job_number job) {
  std::erase_if(seen_, [&](const auto& entry) { return entry.first.first.job == job; });
}

lane_totals lane_meter::of(const std::string& pool, const std::string& lane,
                           const std::string& model) const {
  const auto found = counted_.find({pool, lane, model});
  return found == counted_.end() ? lane_totals{} : found->second;
}

}  // namespace spillway::service
