#include "workers/providers/text.hpp"

#include <algorithm>

namespace spillway {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

unsigned byte_at(std::string_view s, std::size_t i) {
  return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u;
}

bool continues(unsigned byte) { return (byte & 0xC0u) == 0x80u; }

/// Bytes of the valid character at `i`, 0 when there is none (RFC 3629: no surrogates, no
/// over-long forms).
std::size_t character_length(std::string_view s, std::size_t i) {
  const unsigned lead = byte_at(s, i), second = byte_at(s, i + 1);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(second) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (lead == 0xE0 && second < 0xA0) return 0;
    if (lead == 0xED && second > 0x9F) return 0;
    return continues(second) && continues(byte_at(s, i + 2)) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (lead == 0xF0 && second < 0x90) return 0;
    if (lead == 0xF4 && second > 0x8F) return 0;
    const bool rest = continues(byte_at(s, i + 2)) && continues(byte_at(s, i + 3));
    return continues(second) && rest ? 4 : 0;
  }
  return 0;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Code unit of the escape \uXXXX at `i`, -1 when there is none.
int escaped_unit(std::string_view s, std::size_t i) {
  if (i + 6 > s.size() || s[i] != '\\' || s[i + 1] != 'u') return -1;
  int unit = 0;
  for (std::size_t k = i + 2; k < i + 6; ++k) {
    const int digit = hex_value(s[k]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = character_length(text, i);
    if (length == 0) {
      out += replacement;
      ++i;
    } else {
      out.append(text, i, length);
      i += length;
    }
  }
  return out;
}

std::string pair_surrogates(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (std::size_t i = 0; i < json.size();) {
    if (json[i] != '\\') {
      out += json[i++];
      continue;
    }
    const int unit = escaped_unit(json, i);
    std::size_t length = unit < 0 ? 2 : 6;  // an escaped backslash must not start an escape
    if (unit >= 0xD800 && unit <= 0xDFFF) {
      const int next = escaped_unit(json, i + 6);
      if (unit < 0xDC00 && next >= 0xDC00 && next <= 0xDFFF) {
        length = 12;
      } else {
        out += "\\ufffd";
        i += 6;
        continue;
      }
    }
    out.append(json.substr(i, length));
    i += length;
  }
  return out;
}

std::string one_line(std::string_view text, std::size_t bytes_max) {
  // Nothing beyond the cut is looked at: a body of megabytes costs no more than a short one.
  std::string out;
  bool gap = false;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte <= 0x20 || byte == 0x7F) {
      gap = !out.empty();
      ++i;
      continue;
    }
    const std::size_t length = character_length(text, i);
    const std::string_view piece = length == 0 ? replacement : text.substr(i, length);
    if (out.size() + piece.size() + (gap ? 1 : 0) > bytes_max) break;
    if (gap) out += ' ';
    gap = false;
    out += piece;
    i += length == 0 ? 1 : length;
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::size_t find_ignoring_case(std::string_view text, std::string_view part, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const auto found =
      std::search(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(), part.begin(),
                  part.end(), [](char a, char b) { return lower(a) == lower(b); });
  if (found == text.end() && !part.empty()) return std::string_view::npos;
  return static_cast<std::size_t>(found - text.begin());
}

bool contains_like(std::string_view text, std::string_view pattern) {
  std::size_t from = 0;
  while (!pattern.empty()) {
    const auto star = pattern.find('*');
    const auto part = pattern.substr(0, star);
    const auto found = find_ignoring_case(text, part, from);
    if (found == std::string_view::npos) return false;
    from = found + part.size();
    pattern = star == std::string_view::npos ? std::string_view{} : pattern.substr(star + 1);
  }
  return true;
}

}  // namespace spillway
