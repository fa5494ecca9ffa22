// Text that comes from outside, made safe for one line of JSON.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace spillway {

/// Longest provider message kept in an error row.
inline constexpr std::size_t error_message_bytes_max = 500;

/// The text with every byte that is not part of valid UTF-8 replaced by U+FFFD.
[[nodiscard]] std::string valid_utf8(std::string_view);

/// JSON text in which every \uXXXX escape that is half of a surrogate pair reads \ufffd.
[[nodiscard]] std::string pair_surrogates(std::string_view json);

/// Valid UTF-8, white space and control characters collapsed to single spaces, no longer than
/// `bytes_max`, never cut inside a character.
[[nodiscard]] std::string one_line(std::string_view, std::size_t bytes_max);

/// White space as JSON knows it removed from both ends.
[[nodiscard]] std::string_view trimmed(std::string_view);

/// Whether `text` contains the parts of `pattern`, split at '*', in order; ASCII case is ignored.
[[nodiscard]] bool contains_like(std::string_view text, std::string_view pattern);

/// Position of `part` in `text` at or after `from`, ignoring ASCII case; npos when absent.
[[nodiscard]] std::size_t find_ignoring_case(std::string_view text, std::string_view part,
                                             std::size_t from = 0);

}  // namespace spillway
