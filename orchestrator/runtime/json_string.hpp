// A text as a JSON string token, for rows and requests that are put together without a tree.
#pragma once

#include <string>
#include <string_view>

namespace spillway {

/// Appends `text` with quotes and escapes. The text must be valid UTF-8.
void append_json_string(std::string_view text, std::string& out);
[[nodiscard]] std::string json_string(std::string_view text);

}  // namespace spillway
