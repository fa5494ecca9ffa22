// Appends values to JSON or header text without temporaries.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace spillway::simulated {

template <class T>
requires std::integral<T> || std::floating_point<T>
void append_number(T value, std::string& out) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

inline void append_hex(std::uint64_t value, std::string& out) {
  static constexpr char digits[] = "0123456789abcdef";
  char text[16];
  for (int i = 15; i >= 0; --i, value >>= 4) text[i] = digits[value & 15];
  out.append(text, sizeof text);
}

inline void append_part(std::string_view part, std::string& out) { out += part; }
template <std::integral T>
void append_part(T part, std::string& out) {
  append_number(part, out);
}

/// Appends texts and numbers one after the other.
template <class... Parts>
void append(std::string& out, const Parts&... parts) {
  (append_part(parts, out), ...);
}

}  // namespace spillway::simulated
