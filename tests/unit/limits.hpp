// Quotas written by name, with everything that is left out unlimited.
#pragma once

#include "schemas/config.hpp"

namespace spillway {

struct limits {
  std::optional<std::int64_t> rpm = {};
  std::optional<std::int64_t> tpm = {};
  std::optional<std::int64_t> concurrency = {};
  std::optional<std::int64_t> rpd = {};
  std::optional<nano_usd> usd_per_day = {};
  double headroom = 0;

  [[nodiscard]] quota_config quota() const {
    quota_config q;
    q.rpm = rpm;
    if (tpm) q.tpm = tokens(*tpm);
    q.concurrency = concurrency;
    q.rpd = rpd;
    q.usd_per_day = usd_per_day;
    q.headroom = headroom;
    return q;
  }
};

}  // namespace spillway
