// Result and error rows: the OpenAI batch output row plus a `spillway` object.
#pragma once

#include "schemas/outcome.hpp"
#include "schemas/result.hpp"
#include "schemas/units.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

/// Where a prompt ran. Empty strings for a prompt that was never sent.
struct row_origin {
  std::string pool, lane, region, model;
  std::string_view provider{};
  std::span<const std::string> residency{};  ///< what the lane declares
};

struct row_facts {
  std::string_view job, file;
  std::uint64_t line = 0;
  std::string_view custom_id_token;  ///< JSON, "null" when the line had none
  row_origin origin;
  int status = 0;  ///< of a complete response; 0 = none
  std::string_view request_id;
  std::string_view body;        ///< one line of JSON; empty = null
  std::string_view error_code;  ///< empty = no error
  std::string_view error_message;
  std::uint32_t attempts = 0;  ///< sends
  std::uint32_t maybe_billed = 0;
  token_usage usage;
  std::optional<nano_usd> cost = nano_usd{};  ///< nothing = not known: null
  std::string_view service_tier;     ///< that served it, where the answer said so; empty = null
  std::vector<std::string> dropped;  ///< parameters the lane could not pass on
  std::optional<time_point> sent_at, done_at;
};

/// One line of JSON with its line feed.
[[nodiscard]] std::string make_row(const row_facts&);

/// What recovery reads from a row of ours.
struct row_summary {
  std::string file;
  std::uint64_t line = 0;
  std::string pool, lane;
  std::uint32_t attempts = 0;
  token_usage usage;
  nano_usd cost;
};

/// Fails (storage) when the text is not a row of ours.
[[nodiscard]] result<row_summary> read_row(std::string_view row);

/// "2026-11-23T18:05:01.250Z".
[[nodiscard]] std::string iso_time(time_point);
/// Decimal USD without loss: "0.00045".
[[nodiscard]] std::string usd_text(nano_usd);

}  // namespace spillway
