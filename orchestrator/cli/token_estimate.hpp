// About how many tokens a text is, without any vendor's vocabulary: by the
// kinds of characters and the lengths of words, with weights fitted to
// o200k_base. See README.md for its measured error.
#pragma once

#include "schemas/units.hpp"

#include <string_view>

namespace spillway {

/// Of UTF-8 text as a model reads it, unescaped. Bytes that are no UTF-8 count
/// as letters.
[[nodiscard]] double estimate_tokens(std::string_view text);

}  // namespace spillway
