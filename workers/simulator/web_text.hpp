// Encodings of the web: percent signs, forms, base64url, header fields.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace spillway::simulated {

/// Undoes percent-encoding; what is no valid escape stays. `plus_is_space`: of forms.
[[nodiscard]] std::string percent_decoded(std::string_view, bool plus_is_space = false);

/// Value of a field of an application/x-www-form-urlencoded text, decoded; empty when absent.
[[nodiscard]] std::string form_value(std::string_view form, std::string_view name);

/// Without padding; nothing = invalid.
[[nodiscard]] std::optional<std::string> base64url_decoded(std::string_view);

/// The value of a header field in `fields` ("Name: value\r\n…"), trimmed; `lower_name` in lower
/// case. Nothing = absent.
[[nodiscard]] std::optional<std::string_view> field_value(std::string_view fields,
                                                          std::string_view lower_name);

/// Calls `use(name, value)` for each field, in order, the value trimmed.
template <class Use>
void each_field(std::string_view fields, Use use) {
  while (!fields.empty()) {
    const auto end = fields.find("\r\n");
    std::string_view line = fields.substr(0, end);
    fields.remove_prefix(end == std::string_view::npos ? fields.size() : end + 2);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
      value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    use(line.substr(0, colon), value);
  }
}

[[nodiscard]] constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
[[nodiscard]] bool is_field_name(std::string_view text, std::string_view lower_name);

}  // namespace spillway::simulated
