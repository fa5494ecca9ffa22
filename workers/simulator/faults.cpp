#include "workers/simulator/faults.hpp"

#include "workers/simulator/hash.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace spillway::simulated {
namespace {

bool in_force(const fault_config& f, duration elapsed) {
  return f.from <= elapsed && elapsed < f.to;
}

bool by_share(const fault_config& f) {
  return f.kind == fault_kind::error || f.kind == fault_kind::hang || f.kind == fault_kind::hold ||
         f.kind == fault_kind::reset;
}

constexpr duration latency_max = std::chrono::hours(24);

}  // namespace

double fault_plan::quota_factor(duration elapsed) const {
  double factor = 1;
  for (const auto& f : *faults_)
    if (f.kind == fault_kind::quota && in_force(f, elapsed)) factor *= f.factor;
  return factor;
}

duration fault_plan::next_quota_change(duration elapsed) const {
  duration next = duration::max();
  for (const auto& f : *faults_) {
    if (f.kind != fault_kind::quota) continue;
    if (f.from > elapsed) next = std::min(next, f.from);
    if (f.to > elapsed) next = std::min(next, f.to);
  }
  return next;
}

const fault_config* fault_plan::down(duration elapsed) const {
  for (const auto& f : *faults_)
    if (f.kind == fault_kind::down && in_force(f, elapsed)) return &f;
  return nullptr;
}

bool fault_plan::model_missing(duration elapsed, std::string_view model) const {
  return std::any_of(faults_->begin(), faults_->end(), [&](const fault_config& f) {
    return f.kind == fault_kind::missing_model && in_force(f, elapsed) &&
           (f.model.empty() || f.model == model);
  });
}

const fault_config* fault_plan::befalling(duration elapsed, std::uint64_t call,
                                          std::uint64_t prompt) const {
  for (std::size_t i = 0; i < faults_->size(); ++i) {
    const fault_config& f = (*faults_)[i];
    if (!by_share(f) || !in_force(f, elapsed)) continue;
    const std::uint64_t of = mix(seed_ + i, f.by_prompt ? prompt : call);
    if (unit_interval(of) < f.share) return &f;
  }
  return nullptr;
}

duration latency_of(const latency_config& latency, std::uint64_t seed, std::uint64_t call) {
  if (latency.sigma == 0 || latency.median == duration{}) return latency.median;
  const std::uint64_t first = mix(seed, call);
  const double u = 1 - unit_interval(first);  // (0, 1]: its logarithm is finite
  const double v = unit_interval(mix(first));
  const double normal = std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
  const double ns = static_cast<double>(latency.median.count()) * std::exp(latency.sigma * normal);
  return duration(
      static_cast<std::int64_t>(std::min(ns, static_cast<double>(latency_max.count()))));
}

}  // namespace spillway::simulated
