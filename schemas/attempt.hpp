// A prompt's history as the ledger keeps it: one record replaces the one before.
#pragma once

#include "schemas/ids.hpp"
#include "schemas/units.hpp"

#include <string>

namespace spillway {

/// Written before every send (`in_flight`: the intent) and when a send ended without a result.
/// The last record of a prompt counts until its result is durable.
struct attempt_record {
  position where;
  file_id file;
  std::uint64_t line = 0;
  bool in_flight = false;
  std::string pool, lane;          ///< of the send
  std::uint32_t sends = 0;         ///< so far, this one included
  std::uint32_t attempts = 0;      ///< ended sends that count towards max_attempts
  std::uint32_t maybe_billed = 0;  ///< ended sends that are in doubt
  nano_usd charged;                ///< what those were charged; part of the lanes' settled totals
  nano_usd reserved;               ///< worst case of the open send
  time_point at{};
  job_number job{};
  std::uint32_t deaths = 0;  ///< owners that died while a send of it was open
  time_point deadline{};     ///< the open send's answer comes by then, if ever
};

}  // namespace spillway
