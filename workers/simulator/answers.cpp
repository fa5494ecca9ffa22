#include "workers/simulator/answers.hpp"

#include "orchestrator/runtime/json_string.hpp"
#include "workers/simulator/hash.hpp"
#include "workers/simulator/json_text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string_view>

namespace spillway::simulated {
namespace {

constexpr std::array<std::string_view, 64> words{
    "the",    "order", "of",     "each",   "item",     "shows", "a",      "clear",
    "total",  "for",   "this",   "month",  "and",      "its",   "value",  "is",
    "known",  "from",  "record", "where",  "customer", "asked", "about",  "delivery",
    "date",   "with",  "price",  "in",     "list",     "that",  "we",     "can",
    "check",  "first", "then",   "add",    "both",     "parts", "to",     "get",
    "result", "which", "gives",  "number", "same",     "as",    "before", "so",
    "answer", "must",  "be",     "short",  "because",  "every", "line",   "counts",
    "once",   "only",  "after",  "review", "summary",  "names", "class",  "positive"};

constexpr std::int64_t dimensions_default = 8;
constexpr std::int64_t dimensions_max = 4096;
constexpr std::int64_t sentence_words = 12;

float component(std::uint64_t hash) {
  // Four decimals: short as text, and exact in both encodings.
  return static_cast<float>(std::round((unit_interval(hash) * 2 - 1) * 9999) / 10000);
}

void append_base64(std::string_view bytes, std::string& out) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t k) -> std::uint32_t {
      return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0;
    };
    const std::uint32_t group = byte(0) << 16 | byte(1) << 8 | byte(2);
    out += digits[group >> 18];
    out += digits[(group >> 12) & 63];
    out += i + 1 < bytes.size() ? digits[(group >> 6) & 63] : '=';
    out += i + 2 < bytes.size() ? digits[group & 63] : '=';
  }
}

}  // namespace

answer_size size_answer(const call_facts& call, const pool_spec& pool) {
  answer_size size;
  size.input = call.input_tokens;
  size.cached = static_cast<std::int64_t>(static_cast<double>(size.input) * pool.cached_share);
  if (embeds(call.kind)) return size;
  const double share = 0.5 + unit_interval(mix(call.id ^ 0x0DD5));
  const auto fixed = static_cast<std::int64_t>(call.arguments.size() + call.json_text.size());
  const std::int64_t text =
      fixed > 0 ? fixed / 4 : std::llround(static_cast<double>(pool.output_tokens) * share);
  size.reasoning = pool.reasoning_tokens;
  size.output_each = size.reasoning + std::max<std::int64_t>(1, text);
  const bool over = call.max_output > 0 && size.output_each > call.max_output;
  if (over) {
    size.output_each = call.max_output;
    size.reasoning = std::min(size.reasoning, call.max_output - 1);
  }
  size.cut = over && fixed == 0;  // a call of a tool, or JSON, is never given in part
  size.output = size.output_each * call.choices;
  return size;
}

nano_usd bill_of(const answer_size& size, const price_config& price) {
  return cost_of(tokens(size.input - size.cached), price.input) +
         cost_of(tokens(size.cached), price.cached_input.value_or(price.input)) +
         cost_of(tokens(size.output), price.output);
}

void append_saying(const call_facts& call, const answer_size& size, std::int64_t choice,
                   std::string& out) {
  if (call.json_text.empty()) return append_text(call, size.text_each(), choice, out);
  std::string quoted;
  append_json_string(call.json_text, quoted);
  out += std::string_view(quoted).substr(1, quoted.size() - 2);
}

void append_text(const call_facts& call, std::int64_t tokens, std::int64_t choice,
                 std::string& out) {
  if (!call.marker.empty()) out.append("[[re:").append(call.marker).append("]] ");
  std::uint64_t state = mix(call.id, static_cast<std::uint64_t>(choice));
  for (std::int64_t i = 0; i < tokens; ++i) {
    if (i % 10 == 0) state = mix(state);  // 64 bits are ten words of six bits
    if (i > 0) out += i % sentence_words == 0 ? std::string_view(". ") : std::string_view(" ");
    out += words[(state >> (i % 10 * 6)) & 63];
  }
  out += '.';
}

void append_embedding(std::uint64_t input, std::int64_t dimensions, bool base64, std::string& out) {
  const std::int64_t n =
      dimensions == 0 ? dimensions_default : std::min(dimensions, dimensions_max);
  out += base64 ? '"' : '[';
  std::string bytes;
  for (std::int64_t i = 0; i < n; ++i) {
    const float x = component(mix(input, static_cast<std::uint64_t>(i)));
    if (base64) {
      static_assert(std::endian::native == std::endian::little);
      char raw[sizeof x];
      std::memcpy(raw, &x, sizeof x);
      bytes.append(raw, sizeof raw);
    } else {
      if (i > 0) out += ',';
      append_number(x, out);
    }
  }
  append_base64(bytes, out);
  out += base64 ? '"' : ']';
}

}  // namespace spillway::simulated
