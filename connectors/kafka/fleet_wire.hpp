// What the codecs of the fleet's records share. Internal to them.
#pragma once

#include "connectors/kafka/fleet_records.hpp"

#include <google/protobuf/message_lite.h>

#include <optional>
#include <string>
#include <string_view>

namespace spillway::kafka::fleet_wire {

[[nodiscard]] inline std::int64_t ms_of(duration d) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}
[[nodiscard]] inline duration from_ms(std::int64_t ms) { return std::chrono::milliseconds(ms); }
[[nodiscard]] inline std::int64_t unix_ms(time_point t) { return ms_of(t.time_since_epoch()); }
[[nodiscard]] inline time_point time_of(std::int64_t unix_ms) {
  return time_point(from_ms(unix_ms));
}

/// Reads a message that has a `version`; what is wrong with it, if anything.
template <class Message>
[[nodiscard]] std::optional<record_fault> parse(Message& m, std::string_view bytes,
                                                const std::string& what, std::uint32_t newest = 1) {
  if (!m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || m.version() == 0)
    return record_fault{"unparsable", "not a " + what + " record of spillway"};
  if (m.version() > newest)
    return record_fault{"unknown_version", "the " + what + " record has version " +
                                               std::to_string(m.version()) +
                                               ", written by a newer spillway; upgrade this one"};
  return std::nullopt;
}

}  // namespace spillway::kafka::fleet_wire
