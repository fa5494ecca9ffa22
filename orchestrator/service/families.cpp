#include "orchestrator/service/families.hpp"

#include "workers/providers/text.hpp"

#include <prometheus/text_serializer.h>

#include <cmath>
#include <limits>

namespace spillway::service {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;

constexpr std::size_t buckets_per_doubling = 4;

/// Upper bound of the histogram's bucket `i`, in seconds.
double upper_bound(std::size_t i) {
  return std::exp2(static_cast<double>(i + 1) / buckets_per_doubling) / 1000;
}

}  // namespace

label_list labels(std::initializer_list<std::pair<const char*, std::string_view>> pairs) {
  label_list out;
  for (const auto& [name, value] : pairs) out.push_back({name, valid_utf8(value)});
  return out;
}

family::family(const char* name, const char* help, MetricType type) {
  made_.name = name;
  made_.help = help;
  made_.type = type;
}

family& family::add(double value, label_list with) {
  ClientMetric metric;
  metric.label = std::move(with);
  if (made_.type == MetricType::Counter)
    metric.counter.value = value;
  else
    metric.gauge.value = value;
  made_.metric.push_back(std::move(metric));
  return *this;
}

family& family::add(const latency_histogram& seen, label_list with) {
  ClientMetric metric;
  metric.label = std::move(with);
  auto& out = metric.histogram;
  double lower = 0;
  for (std::size_t i = 0; i < latency_histogram::buckets; ++i) {
    const auto n = static_cast<std::uint64_t>(seen.count[i]);
    const double upper = upper_bound(i);
    out.sample_count += n;
    out.sample_sum += static_cast<double>(n) * (lower + upper) / 2;
    lower = upper;
    // The last bucket has no upper bound: it holds whatever was longer.
    const bool last = i + 1 == latency_histogram::buckets;
    if ((i + 1) % buckets_per_doubling == 0)
      out.bucket.push_back(
          {out.sample_count, last ? std::numeric_limits<double>::infinity() : upper});
  }
  made_.metric.push_back(std::move(metric));
  return *this;
}

family& page::counter(const char* name, const char* help) {
  return *families_.emplace_back(std::make_unique<family>(name, help, MetricType::Counter));
}

family& page::gauge(const char* name, const char* help) {
  return *families_.emplace_back(std::make_unique<family>(name, help, MetricType::Gauge));
}

family& page::histogram(const char* name, const char* help) {
  return *families_.emplace_back(std::make_unique<family>(name, help, MetricType::Histogram));
}

std::string page::text() const {
  std::vector<prometheus::MetricFamily> shown;
  for (const auto& f : families_)
    if (!f->made_.metric.empty()) shown.push_back(f->made_);
  return prometheus::TextSerializer().Serialize(shown);
}

}  // namespace spillway::service
