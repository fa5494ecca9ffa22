// Puts metric families together for the serializer of prometheus-cpp. Private to this folder.
#pragma once

#include "schemas/totals.hpp"

#include <prometheus/metric_family.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway::service {

using label_list = std::vector<prometheus::ClientMetric::Label>;

/// Values become valid UTF-8: one bad byte would make the whole page unreadable for Prometheus.
[[nodiscard]] label_list labels(
    std::initializer_list<std::pair<const char*, std::string_view>> pairs);

class family {
 public:
  family(const char* name, const char* help, prometheus::MetricType type);

  family& add(double value, label_list = {});
  /// Buckets at 1 ms x 2^k; the sum is estimated by taking each call as at the middle of its
  /// bucket.
  family& add(const latency_histogram&, label_list);
  /// One series a value from 0 to `last`, label `label`: 1 for the value it has, else 0.
  template <class Enum>
  family& add_state(Enum now, Enum last, const char* label, const label_list& others = {}) {
    for (int i = 0; i <= static_cast<int>(last); ++i) {
      label_list all = others;
      all.push_back({label, name_of(static_cast<Enum>(i))});
      add(static_cast<int>(now) == i ? 1 : 0, std::move(all));
    }
    return *this;
  }

 private:
  friend class page;
  prometheus::MetricFamily made_;
};

/// Families in the order they are shown.
class page {
 public:
  /// The references stay good. Names end in _total for counters and in nothing of the kind else.
  family& counter(const char* name, const char* help);
  family& gauge(const char* name, const char* help);
  family& histogram(const char* name, const char* help);
  /// The exposition; families without a series are left out.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::unique_ptr<family>> families_;
};

}  // namespace spillway::service
