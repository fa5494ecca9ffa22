// Numbers, money, times and names as people read them.
#pragma once

#include "schemas/units.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace spillway {

[[nodiscard]] std::string grouped(std::int64_t);  ///< 1,234,567
[[nodiscard]] std::string compact(std::int64_t);  ///< 1.23M; exact below 10,000
[[nodiscard]] std::string percent(double share);  ///< 46%, 0.4%, 100% only when full
[[nodiscard]] std::string usd(nano_usd);          ///< $1,234.50, $0.0123, $0.000012
[[nodiscard]] std::string usd(nano_usd, int decimals);
/// Decimals that show an amount of this size well: 6 for fractions of a cent, else 4 or 2.
[[nodiscard]] int usd_decimals(nano_usd);
[[nodiscard]] std::string brief(duration);               ///< 350ms, 17s, 4m 05s, 2h 03m, 3d 4h
[[nodiscard]] std::string rate_text(double per_second);  ///< 0.42/s, 31.2/s, 1,204/s

/// Text of others on one line of a terminal: control characters become spaces.
[[nodiscard]] std::string printable(std::string_view);
/// Terminal columns of UTF-8 text, one a code point.
[[nodiscard]] std::size_t columns_of(std::string_view);
/// At most `columns` wide, cut with "..".
[[nodiscard]] std::string clipped(std::string_view, std::size_t columns);
[[nodiscard]] std::string padded_right(std::string_view, std::size_t columns);
[[nodiscard]] std::string padded_left(std::string_view, std::size_t columns);
/// "[####----]" of `columns` in all, at least 3.
[[nodiscard]] std::string bar(double share, std::size_t columns, bool unicode);

/// A command line that a shell reads back as these arguments.
[[nodiscard]] std::string shell_quoted(const std::vector<std::string>& arguments);

}  // namespace spillway
