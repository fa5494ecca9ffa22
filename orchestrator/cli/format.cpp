#include "orchestrator/cli/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace spillway {

namespace {

/// Inserts commas into the digits before the point.
std::string with_commas(std::string digits) {
  const auto point = std::min(digits.find('.'), digits.size());
  const std::size_t first = digits.starts_with('-') ? 1 : 0;
  for (auto at = point; at > first + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

}  // namespace

std::string grouped(std::int64_t n) { return with_commas(std::to_string(n)); }

std::string compact(std::int64_t n) {
  if (n < 10'000) return grouped(n);
  static constexpr std::array<const char*, 5> suffixes{"k", "M", "G", "T", "P"};
  double value = static_cast<double>(n) / 1000;
  std::size_t step = 0;
  while (value >= 999.5 && step + 1 < suffixes.size()) {
    value /= 1000;
    ++step;
  }
  int decimals = 2;
  if (value >= 9.995) decimals = 1;
  if (value >= 99.95) decimals = 0;
  return fmt::format("{:.{}f}{}", value, decimals, suffixes[step]);
}

std::string percent(double share) {
  const double value = std::clamp(share, 0.0, 9.99) * 100;
  if (value > 0 && value < 0.95) return fmt::format("{:.1f}%", std::max(value, 0.1));
  if (value < 100) return fmt::format("{}%", std::min(99, static_cast<int>(std::lround(value))));
  return fmt::format("{:.0f}%", value);
}

int usd_decimals(nano_usd amount) {
  const double size = std::fabs(to_usd(amount));
  if (size >= 100 || size == 0) return 2;
  return size < 0.01 ? 6 : 4;
}

std::string usd(nano_usd amount, int decimals) {
  const double value = to_usd(amount);
  return (value < 0 ? "-$" : "$") + with_commas(fmt::format("{:.{}f}", std::fabs(value), decimals));
}

std::string usd(nano_usd amount) { return usd(amount, usd_decimals(amount)); }

std::string brief(duration d) {
  using namespace std::chrono;
  if (d < milliseconds(1)) return d <= duration::zero() ? "0s" : "<1ms";
  if (d < seconds(1)) return fmt::format("{}ms", d / milliseconds(1));
  if (d < seconds(10)) return fmt::format("{:.1f}s", std::floor(seconds_of(d) * 10) / 10);
  const auto total = d / seconds(1);
  if (total < 60) return fmt::format("{}s", total);
  if (total < 3600) return fmt::format("{}m {:02}s", total / 60, total % 60);
  if (total < 86'400) return fmt::format("{}h {:02}m", total / 3600, total / 60 % 60);
  return fmt::format("{}d {}h", total / 86'400, total / 3600 % 24);
}

std::string rate_text(double per_second) {
  if (per_second >= 100) return grouped(std::llround(per_second)) + "/s";
  return fmt::format("{:.{}f}/s", per_second, per_second >= 10 || per_second == 0 ? 1 : 2);
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return out;
}

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;  // not a continuation byte
  }));
}

std::string clipped(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns) return std::string(text);
  const std::size_t kept = columns > 2 ? columns - 2 : 0;
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size(); ++end)
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && seen++ == kept) break;
  return std::string(text.substr(0, end)) + std::string(std::min<std::size_t>(columns, 2), '.');
}

std::string padded_right(std::string_view text, std::size_t columns) {
  const auto width = columns_of(text);
  return std::string(text) + std::string(width < columns ? columns - width : 0, ' ');
}

std::string padded_left(std::string_view text, std::size_t columns) {
  const auto width = columns_of(text);
  return std::string(width < columns ? columns - width : 0, ' ') + std::string(text);
}

std::string bar(double share, std::size_t columns, bool unicode) {
  const std::size_t inner = std::max<std::size_t>(columns, 3) - 2;
  const double exact = std::clamp(share, 0.0, 1.0) * static_cast<double>(inner);
  const auto full = static_cast<std::size_t>(exact + 1e-9);
  std::string out = "[";
  for (std::size_t i = 0; i < inner; ++i) {
    if (unicode)
      out += i < full ? "\u2588" : "\u00B7";
    else
      out += i < full ? '#' : '-';
  }
  return out + "]";
}

std::string shell_quoted(const std::vector<std::string>& arguments) {
  static constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  std::string out;
  for (const auto& argument : arguments) {
    if (!out.empty()) out += ' ';
    if (!argument.empty() && argument.find_first_not_of(plain) == std::string::npos) {
      out += argument;
      continue;
    }
    out += '\'';
    for (const char c : argument) {
      if (c == '\'')
        out += "'\\''";
      else
        out += c;
    }
    out += '\'';
  }
  return out;
}

}  // namespace spillway
