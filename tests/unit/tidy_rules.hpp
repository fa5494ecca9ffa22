// The tree's own rules as functions from text to findings: each can be tried on bad samples.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::tidy {

struct finding {
  std::string path;
  std::size_t line = 0;  ///< 0: the whole file
  std::string what;
};

/// Path from the repository's root -> text.
using source_tree = std::map<std::string, std::string>;

/// The text with comments, literals and preprocessor lines blanked; line ends stay.
[[nodiscard]] std::string code_only(std::string_view text);

struct include_line {
  std::size_t line;
  bool quoted;  ///< "…" rather than <…>
  std::string name;
};
[[nodiscard]] std::vector<include_line> includes_of(std::string_view text);

/// A folder includes only what lies below it, by full path, and what it includes is there.
[[nodiscard]] std::vector<finding> check_direction(const source_tree&);
/// Core knows no I/O, no threads and no clock.
[[nodiscard]] std::vector<finding> check_core(const source_tree&);
/// Asio and Beast stay behind plain interfaces: nothing else sees them, not even through a header.
[[nodiscard]] std::vector<finding> check_network_headers(const source_tree&);
/// What g++ 12 miscompiles in an expression that contains co_await.
[[nodiscard]] std::vector<finding> check_coroutines(const source_tree&);
[[nodiscard]] std::vector<finding> check_sizes(const source_tree&);
[[nodiscard]] std::vector<finding> check_pragma_once(const source_tree&);

}  // namespace spillway::tidy
