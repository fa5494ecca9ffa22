// What the adapters' .cpp files share for reading JSON; brings simdjson with it.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace spillway {

struct parsed_json {
  std::string text;             ///< what was parsed
  simdjson::dom::element root;  ///< valid until this thread's next parse
  bool ok = false;
};

/// Full validation, UTF-8 included. Broken characters are repaired rather than refused: an answer
/// has been paid for, and a model's cut-off last character must not cost it a second time.
[[nodiscard]] parsed_json parse_json(std::string_view body);

/// Valid JSON without raw line ends, which are white space between its tokens.
[[nodiscard]] std::string as_one_line(std::string json);

/// The element as compact JSON.
[[nodiscard]] std::string json_of(simdjson::dom::element);

/// No count is taken for more, so that sums of counts can't overflow.
inline constexpr std::int64_t count_max = 1'000'000'000'000;

/// A whole number that is not negative, up to `count_max`; nothing when absent or anything else.
[[nodiscard]] std::optional<std::int64_t> count_at(const simdjson::dom::object&,
                                                   std::string_view key);

/// A string's text; empty when absent or anything else.
[[nodiscard]] std::string_view text_at(const simdjson::dom::object&, std::string_view key);

/// The value of a key, unless absent or null.
[[nodiscard]] std::optional<simdjson::dom::element> value_at(const simdjson::dom::object&,
                                                             std::string_view key);
[[nodiscard]] std::optional<simdjson::dom::object> object_at(const simdjson::dom::object&,
                                                             std::string_view key);
[[nodiscard]] std::optional<simdjson::dom::array> array_at(const simdjson::dom::object&,
                                                           std::string_view key);

/// A list of numbers, and not an empty one.
[[nodiscard]] bool is_vector(simdjson::dom::element);

}  // namespace spillway
