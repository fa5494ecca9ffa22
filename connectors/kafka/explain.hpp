// Broker errors in one line, with what to do about them.
#pragma once

#include "connectors/kafka/link.hpp"
#include "schemas/result.hpp"

#include <array>
#include <string>
#include <string_view>

namespace spillway::kafka {

/// What was being done when the error came; empty fields are not mentioned.
struct error_context {
  std::string brokers;           ///< as configured
  std::string topic;             ///< full name
  std::string group;             ///< of a member
  std::string transactional_id;  ///< of a producer
  std::string instance;          ///< of a static member
};

/// One sentence what happened, one what to do. `code` is librdkafka's (rd_kafka_resp_err_t),
/// `reason` its own words. The kind: `usage` for what the user has to change, `storage` for a
/// broker that is away or at fault, `stopped` where the outcome is unknown.
[[nodiscard]] failure explain(int code, std::string_view reason, const error_context&);

/// What `kind_of_error` tells apart.
inline constexpr std::array<std::string_view, 5> error_kinds = {"unreachable", "unauthorised",
                                                                "refused", "fenced", "other"};
/// One of `error_kinds`, for counting. `refused`: something asked for is not there or not allowed.
[[nodiscard]] std::string_view kind_of_error(int code);

/// What the error means for a transactional producer.
[[nodiscard]] link_fault fault_of(int code);

}  // namespace spillway::kafka
