#include "schemas/totals.hpp"

#include <algorithm>
#include <cmath>

namespace spillway {

namespace {

constexpr double buckets_per_doubling = 4;

}  // namespace

void latency_histogram::add(duration d) {
  const double ms = std::chrono::duration<double, std::milli>(d).count();
  const double index = ms <= 1 ? 0 : std::floor(std::log2(ms) * buckets_per_doubling);
  ++count[std::min(static_cast<std::size_t>(index), buckets - 1)];
}

std::optional<duration> latency_histogram::quantile(double q) const {
  std::int64_t total = 0;
  for (const auto n : count) total += n;
  if (total == 0) return std::nullopt;
  const double exact = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(total));
  const auto wanted = std::max<std::int64_t>(1, static_cast<std::int64_t>(exact));
  std::size_t bucket = 0;
  for (std::int64_t below = count[0]; below < wanted; below += count[bucket]) ++bucket;
  const double upper_ms = std::exp2(static_cast<double>(bucket + 1) / buckets_per_doubling);
  return from_seconds(upper_ms / 1000);
}

void day_costs::add(const day_cost& more) {
  if (more.calls == 0 && more.settled == nano_usd{}) return;
  auto at = std::lower_bound(days_.begin(), days_.end(), more.day,
                             [](const day_cost& d, std::int64_t day) { return d.day < day; });
  if (at == days_.end() || at->day != more.day) {
    if (days_.size() == days_kept && at == days_.begin()) return;
    at = days_.insert(at, day_cost{more.day, 0, {}});
  }
  at->calls += more.calls;
  at->settled += more.settled;
  if (days_.size() > days_kept) days_.erase(days_.begin());
}

void lane_totals::add(const lane_totals& other) {
  calls += other.calls;
  answered += other.answered;
  rejected += other.rejected;
  refused_429 += other.refused_429;
  failed += other.failed;
  retries += other.retries;
  spilled_in += other.spilled_in;
  spilled_out += other.spilled_out;
  maybe_billed += other.maybe_billed;
  input += other.input;
  cached += other.cached;
  output += other.output;
  settled += other.settled;
  for (std::size_t i = 0; i < latency.count.size(); ++i) latency.count[i] += other.latency.count[i];
  by_day.add(other.by_day);
  if (other.day > day) {
    day = other.day;
    day_requests = 0;
    day_spend = {};
  }
  if (other.day == day) {
    day_requests += other.day_requests;
    day_spend += other.day_spend;
  }
}

}  // namespace spillway
