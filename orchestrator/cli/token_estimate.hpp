// About how many tokens a text is, without any vendor's vocabulary: by the kinds of characters and
// the lengths of words, with weights fitted to o200k_base. See README.md for its measured error.
#pragma once

#include <string_view>

namespace spillway {

/// Of UTF-8 text as a model reads it, unescaped. A byte that is no UTF-8 counts as about one token.
[[nodiscard]] double estimate_tokens(std::string_view text);

}  // namespace spillway
