// Reads a YAML document key by key and collects every problem with its line, so that a user sees
// all mistakes of a file at once.
//
//   yaml_document doc = yaml_document::parse(text, "pools.yaml");
//   yaml_map root = doc.root();
//   for (yaml_map pool : root.maps("pools", need::required)) {
//     config.name = pool.string("name", need::required).value_or("");
//     config.connections = pool.integer("connections", {.min = 1, .max = 65535});
//   }
//   if (auto f = doc.check()) return *f;   // "pools.yaml:3: pools[0].nmae: unknown key; ..."
//
// Every getter returns nothing when the key is absent or its value is wrong; a wrong value, an
// absent required key, a duplicate key and (at `check`) every key that no getter asked for are
// problems. So ask for all keys on every path, also after a mistake. Getters never throw.
// Scalars are typed strictly: numbers and booleans are unquoted. A value is only quoted in a
// message where a number, duration, boolean or choice was expected, never where a text was: it may
// be a secret.
#pragma once

#include "schemas/result.hpp"
#include "schemas/units.hpp"

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway {

namespace detail {
struct yaml_node;
struct yaml_tree;
}  // namespace detail

enum class need { optional, required };

/// Inclusive bounds of an integer.
struct int_range {
  std::int64_t min = std::numeric_limits<std::int64_t>::min();
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
};

/// Bounds of a number; `max` itself is allowed unless `below_max`.
struct number_range {
  double min = std::numeric_limits<double>::lowest();
  double max = std::numeric_limits<double>::max();
  bool below_max = false;
};

struct duration_range {
  duration min = duration::zero();
  duration max = duration::max();
};

/// What stands behind a key.
enum class yaml_kind { absent, null, scalar, list, map };

struct yaml_problem {
  int line = 0;         ///< from 1; 0 = the file as a whole
  std::string key;      ///< path as in "pools[0].lanes[1].quota.rpm"; empty = the document
  std::string message;  ///< what was expected and what was found
};

/// A cursor over one mapping. Cheap to copy; valid as long as its document.
class yaml_map {
 public:
  [[nodiscard]] bool has(std::string_view key) const { return kind(key) != yaml_kind::absent; }
  /// For keys with several forms. Does not count as asking for the key.
  [[nodiscard]] yaml_kind kind(std::string_view key) const;
  /// The keys as written, for mappings whose keys are data. Does not count as asking for them.
  [[nodiscard]] std::vector<std::string> keys() const;
  /// Path of this mapping, and of a key in it.
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path(std::string_view key) const;

  /// Any non-empty scalar.
  std::optional<std::string> string(std::string_view key, need = need::optional);
  std::optional<std::int64_t> integer(std::string_view key, int_range = {}, need = need::optional);
  std::optional<double> number(std::string_view key, number_range = {}, need = need::optional);
  /// As `parse_duration` reads it: 250ms, 10s, 10m, 24h.
  std::optional<duration> time(std::string_view key, duration_range = {}, need = need::optional);
  std::optional<bool> boolean(std::string_view key, need = need::optional);
  /// A list of non-empty scalars.
  std::optional<std::vector<std::string>> strings(std::string_view key, need = need::optional);
  /// A nested mapping.
  std::optional<yaml_map> map(std::string_view key, need = need::optional);
  /// A list of mappings; required means at least one.
  std::vector<yaml_map> maps(std::string_view key, need = need::optional);

  /// One of a few names. `not_yet` lists names that are right but not supported yet.
  template <class T>
  std::optional<T> choice(std::string_view key,
                          std::initializer_list<std::pair<std::string_view, T>> names,
                          std::initializer_list<std::string_view> not_yet = {},
                          need required = need::optional) {
    std::vector<std::string_view> allowed;
    for (const auto& [name, value] : names) allowed.push_back(name);
    const auto index = choice_index(key, allowed, not_yet, required);
    if (!index) return std::nullopt;
    return names.begin()[*index].second;
  }

  /// Declares a key that is right but not supported yet; a problem when it is present.
  void unsupported(std::string_view key, std::string_view why);

  /// Adds a problem of the caller's own: at the key's line (the mapping's, when the key is absent).
  void problem(std::string_view key, std::string message);
  /// The same for the mapping as a whole.
  void problem(std::string message);

 private:
  friend class yaml_document;
  yaml_map(detail::yaml_tree* tree, detail::yaml_node* node, std::string path, int line);
  detail::yaml_node* ask(std::string_view key, need required, std::string_view expected);
  detail::yaml_node* ask_scalar(std::string_view key, need required, std::string_view expected);
  void mismatch(std::string_view key, std::string_view expected, const detail::yaml_node&);
  std::optional<std::size_t> choice_index(std::string_view key,
                                          const std::vector<std::string_view>& allowed,
                                          std::initializer_list<std::string_view> not_yet,
                                          need required);

  detail::yaml_tree* tree_;
  detail::yaml_node* node_;  // null when the document is broken: every getter gives nothing
  std::string path_;
  int line_;
};

class yaml_document {
 public:
  /// Parses the text; `name` stands before each problem. Syntax errors are problems too.
  [[nodiscard]] static yaml_document parse(std::string_view text, std::string name);
  yaml_document(yaml_document&&) noexcept;
  yaml_document& operator=(yaml_document&&) noexcept;
  ~yaml_document();

  /// The document's outermost mapping.
  [[nodiscard]] yaml_map root();
  /// Every problem so far, unknown keys included, in the order of lines.
  [[nodiscard]] std::vector<yaml_problem> problems() const;
  /// All problems as one usage failure, "name:line: key: problem" one a line; nothing when none.
  [[nodiscard]] std::optional<failure> check() const;

 private:
  explicit yaml_document(std::unique_ptr<detail::yaml_tree>);
  std::unique_ptr<detail::yaml_tree> tree_;
};

/// A decimal number and a unit (us, ms, s, m, h, d), as in "250ms" or "1.5h"; "0" alone is fine.
[[nodiscard]] std::optional<duration> parse_duration(std::string_view text);

/// The shortest exact form `parse_duration` reads back: "250ms", "10m".
[[nodiscard]] std::string to_text(duration);

}  // namespace spillway
