#include "orchestrator/engine/told_failure.hpp"

#include "orchestrator/runtime/masking.hpp"
#include "workers/providers/words.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <unordered_set>

namespace spillway {

namespace {

constexpr std::size_t window = 16;         ///< so many bytes in common are a quotation
constexpr std::size_t short_text_min = 8;  ///< shorter texts are words that any message may use

/// As codes are: a prompt is quoted in prose.
bool is_word(std::string_view code) {
  return code.size() <= 64 && std::all_of(code.begin(), code.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' ||
                  c == '.' || c == ':';
         });
}

void append_utf8(std::uint32_t c, std::string& out) {
  const auto more = [&](unsigned shift) { out += static_cast<char>(0x80 | ((c >> shift) & 0x3f)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    more(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    more(6);
    more(0);
  } else {
    out += static_cast<char>(0xf0 | (c >> 18));
    more(12);
    more(6);
    more(0);
  }
}

/// The four hexadecimal digits of an escape; false: they are not there.
bool read_unit(std::string_view text, std::uint32_t& unit) {
  if (text.size() < 4) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 4, unit, 16);
  return error == std::errc() && end == text.data() + 4;
}

/// A text as it compares: unescaped once, ASCII in lower case, white space and control characters
/// as single spaces.
std::string comparable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const auto add = [&](char c) {
    if (static_cast<unsigned char>(c) > ' ' && c != 0x7f)
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      add(text[i]);
      continue;
    }
    const char escaped = text[++i];
    std::uint32_t unit = 0, second = 0;
    if (escaped == 'u' && read_unit(text.substr(i + 1), unit)) {
      i += 4;
      const auto rest = text.substr(i + 1);
      if (unit >= 0xd800 && unit < 0xdc00 && rest.starts_with("\\u") &&
          read_unit(rest.substr(2), second) && second >= 0xdc00 && second < 0xe000) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00);
        i += 6;
      }
      if (unit < 0x80)
        add(static_cast<char>(unit));
      else
        append_utf8(unit, out);
    } else {
      add(std::string_view("nrtbf").find(escaped) != std::string_view::npos ? ' ' : escaped);
    }
  }
  return out;
}

/// Calls `visit` with every string that is a value, still escaped, and with the last key before it,
/// until it returns true. The JSON is valid.
template <class Visit>
bool any_text(std::string_view json, Visit visit) {
  std::string_view key;
  for (auto at = json.find('"'); at != std::string_view::npos; at = json.find('"', at)) {
    auto end = at + 1;
    while (end < json.size() && json[end] != '"') end += json[end] == '\\' ? 2 : 1;
    const auto text = json.substr(at + 1, end - at - 1);
    at = end + 1;
    const auto next = json.find_first_not_of(" \t\r\n", at);
    if (next != std::string_view::npos && json[next] == ':')
      key = text;
    else if (visit(key, text))
      return true;
  }
  return false;
}

/// All windows of a message, to be found in long texts quickly.
class windows {
 public:
  explicit windows(std::string_view message) {
    for (std::size_t i = 0; i + window <= message.size(); ++i) {
      all_.insert(message.substr(i, window));
      likely_.set(slot(message.data() + i));
    }
  }
  [[nodiscard]] bool meet(std::string_view text) const {
    for (std::size_t i = 0; i + window <= text.size(); ++i)
      if (likely_.test(slot(text.data() + i)) && all_.count(text.substr(i, window)) > 0)
        return true;
    return false;
  }

 private:
  static std::size_t slot(const char* at) {
    std::uint64_t first = 0;
    std::memcpy(&first, at, sizeof first);
    return (first * 0x9e3779b97f4a7c15) >> 48;
  }
  std::unordered_set<std::string_view> all_;
  std::bitset<65536> likely_;  ///< by a hash of their first bytes
};

}  // namespace

bool quotes_prompt(std::string_view message, std::string_view body) {
  // Any message may name the model, and these words are the API's.
  constexpr std::array<std::string_view, 3> passed_over = {"model", "role", "type"};
  constexpr std::array<std::string_view, 6> said = {"content", "text",         "input",
                                                    "prompt",  "instructions", "arguments"};
  const auto where = comparable(message);
  const windows seen(where);
  return any_text(body, [&](std::string_view key, std::string_view raw) {
    if (is_one_of(key, passed_over) || raw.starts_with("data:")) return false;
    auto text = comparable(comparable(raw));
    if (text.size() >= window) return seen.meet(text);
    while (text.ends_with(' ')) text.pop_back();
    return is_one_of(key, said) && text.size() >= short_text_min &&
           where.find(text) != std::string::npos;
  });
}

told_failure tell_failure(const outcome& out, std::string_view body,
                          std::span<const std::string> secrets) {
  const auto safe = [&](const std::string& text) {
    return masked_lookalikes(masked(text, secrets));
  };
  // Without a complete answer the words are our own.
  const bool foreign = out.status != 0;
  told_failure told;
  const bool quoted = foreign && !is_word(out.error_code) && quotes_prompt(out.error_code, body);
  told.code = quoted ? "http_" + std::to_string(out.status) : safe(out.error_code);
  if (out.error_message.empty())
    told.text = told.code;
  else if (foreign && quotes_prompt(out.error_message, body))
    told.text = told.code + " (HTTP " + std::to_string(out.status) +
                "): its message quotes the prompt and is kept to error rows";
  else
    told.text = told.code + ": " + safe(out.error_message);
  return told;
}

}  // namespace spillway
