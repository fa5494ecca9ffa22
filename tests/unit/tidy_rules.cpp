#include "tests/unit/tidy_rules.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

namespace spillway::tidy {

namespace {

constexpr std::size_t lines_max = 450, test_lines_max = 600;

struct layer {
  std::string_view folder;                ///< prefix of the including file
  std::vector<std::string_view> may_see;  ///< prefixes of what it may include
};

/// The most exact folder comes first. What is not listed (tests) may see everything.
const std::vector<layer>& layers() {
  static const std::vector<layer> all = {
      {"schemas/", {"schemas/"}},
      {"orchestrator/core/", {"orchestrator/core/", "schemas/"}},
      {"orchestrator/runtime/", {"orchestrator/runtime/", "schemas/"}},
      {"workers/", {"workers/", "orchestrator/runtime/", "schemas/"}},
      {"connectors/", {"connectors/", "orchestrator/runtime/", "schemas/"}},
      {"orchestrator/engine/",
       {"orchestrator/engine/", "orchestrator/core/", "orchestrator/runtime/", "workers/",
        "connectors/", "schemas/"}},
      {"orchestrator/service/",
       {"orchestrator/service/", "orchestrator/engine/", "orchestrator/core/",
        "orchestrator/runtime/", "workers/", "connectors/", "schemas/"}},
      {"orchestrator/cli/", {"orchestrator/", "workers/", "connectors/", "schemas/"}},
  };
  return all;
}

/// Siblings that meet only through the headers of their parent folder and these seams.
constexpr std::array<std::string_view, 4> worker_folders = {
    "workers/providers/", "workers/auth/", "workers/transport/", "workers/simulator/"};
constexpr std::string_view transport_seam = "workers/transport/transport.hpp";

bool starts_with_any(std::string_view text, const auto& prefixes) {
  return std::any_of(std::begin(prefixes), std::end(prefixes),
                     [&](std::string_view prefix) { return text.starts_with(prefix); });
}

bool is_network_header(std::string_view name) {
  constexpr std::array<std::string_view, 2> families = {"boost/asio", "boost/beast"};
  return starts_with_any(name, families);
}

/// Files that may see Asio and Beast.
bool is_network_file(std::string_view path) {
  constexpr std::array<std::string_view, 5> allowed = {
      "workers/transport/", "workers/simulator/server", "orchestrator/runtime/asio_",
      "orchestrator/service/http_server.cpp", "tests/"};
  return path != transport_seam && starts_with_any(path, allowed);
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::size_t line_of(std::string_view text, std::size_t at) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(at, text.size()));
  return static_cast<std::size_t>(std::count(text.begin(), end, '\n')) + 1;
}

/// End of the literal or comment that begins at `i`; `i` itself when none does.
std::size_t end_of_opaque(std::string_view s, std::size_t i) {
  const auto find = [&](std::string_view what, std::size_t from, bool past) {
    const auto at = s.find(what, from);
    return at == std::string_view::npos ? s.size() : at + (past ? what.size() : 0);
  };
  if (s.substr(i, 2) == "//") return find("\n", i, false);
  if (s.substr(i, 2) == "/*") return find("*/", i + 2, true);
  if (s.substr(i, 2) == "R\"" && (i == 0 || !is_word(s[i - 1]))) {
    const auto open = s.find('(', i);
    if (open == std::string_view::npos) return s.size();
    return find(")" + std::string(s.substr(i + 2, open - i - 2)) + "\"", open, true);
  }
  const char quote = s[i];
  const bool separator = quote == '\'' && i > 0 && is_word(s[i - 1]);  // 1'000
  if ((quote != '"' && quote != '\'') || separator) return i;
  std::size_t end = i + 1;
  while (end < s.size() && s[end] != quote && s[end] != '\n') end += s[end] == '\\' ? 2 : 1;
  return std::min(end + 1, s.size());
}

/// End of the preprocessor line, continuation lines included, that begins at `i`.
std::size_t end_of_directive(std::string_view s, std::size_t i) {
  while (i < s.size() && (s[i] != '\n' || s[i - 1] == '\\')) ++i;
  return i;
}

}  // namespace

std::string code_only(std::string_view text) {
  std::string out(text);
  bool line_start = true;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = end_of_opaque(text, i);
    if (line_start && text[i] == '#') end = end_of_directive(text, i);
    for (std::size_t k = i; k < end; ++k)
      if (text[k] != '\n') out[k] = ' ';
    if (end == i) {
      const bool blank = text[i] == ' ' || text[i] == '\t';
      line_start = text[i] == '\n' || (line_start && blank);
      ++i;
    } else {
      line_start = line_start && text.substr(i, 2) == "/*";
      i = end;
    }
  }
  return out;
}

std::vector<include_line> includes_of(std::string_view text) {
  std::vector<include_line> out;
  std::size_t number = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto end = std::min(text.find('\n', i), text.size());
    std::string_view line = text.substr(i, end - i);
    ++number;
    i = end + 1;
    const auto skip = [&line](std::string_view what) {
      line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
      if (!line.starts_with(what)) return false;
      line.remove_prefix(what.size());
      return true;
    };
    if (!skip("#") || !skip("include") || !skip("")) continue;
    if (line.empty() || (line[0] != '"' && line[0] != '<')) continue;
    const bool quoted = line[0] == '"';
    const auto close = line.find(quoted ? '"' : '>', 1);
    if (close == std::string_view::npos) continue;
    out.push_back({number, quoted, std::string(line.substr(1, close - 1))});
  }
  return out;
}

namespace {

void check_include(const source_tree& tree, const std::string& path, const include_line& include,
                   std::vector<finding>& out) {
  const std::string& name = include.name;
  const auto found = [&](std::string what) {
    out.push_back({path, include.line, std::move(what)});
  };
  const bool generated = name.ends_with(".pb.h");
  if (!generated && !tree.contains(name))
    found("\"" + name + "\" is not a path from the repository's root");
  if (name.starts_with("tests/") && !path.starts_with("tests/")) found("includes a test's header");
  for (const auto& [folder, may_see] : layers()) {
    if (!path.starts_with(folder)) continue;
    if (!starts_with_any(name, may_see)) found(std::string(folder) + " must not include " + name);
    break;
  }
  if (name == transport_seam) return;
  for (const auto folder : worker_folders) {
    const bool other = path.starts_with("workers/") && !path.starts_with(folder);
    if (other && name.starts_with(folder)) found("workers meet only in workers/*.hpp: " + name);
  }
  const bool simulated = name.starts_with("workers/simulator/");
  if (simulated && path.starts_with("orchestrator/engine/"))
    found("the engine must not know the simulator");
}

}  // namespace

std::vector<finding> check_direction(const source_tree& tree) {
  std::vector<finding> out;
  for (const auto& [path, text] : tree)
    for (const auto& include : includes_of(text))
      if (include.quoted) check_include(tree, path, include, out);
  return out;
}

std::vector<finding> check_core(const source_tree& tree) {
  constexpr std::array<std::string_view, 24> headers = {
      "boost/asio",  "boost/beast",  "boost/json", "rocksdb/",
      "librdkafka/", "tbb/",         "oneapi/",    "openssl/",
      "spdlog/",     "simdjson",     "yaml-cpp/",  "google/protobuf",
      "fstream",     "filesystem",   "iostream",   "thread",
      "mutex",       "shared_mutex", "future",     "condition_variable",
      "unistd.h",    "sys/",         "ctime",      "time.h"};
  constexpr std::array<std::string_view, 8> calls = {"::now(",        "::now (",      "sleep_for",
                                                     "clock_gettime", "gettimeofday", "std::time(",
                                                     "random_device", "getenv"};
  std::vector<finding> out;
  for (const auto& [path, text] : tree) {
    if (!path.starts_with("orchestrator/core/")) continue;
    for (const auto& include : includes_of(text))
      if (!include.quoted && starts_with_any(include.name, headers))
        out.push_back({path, include.line, "core must not include <" + include.name + ">"});
    const auto code = code_only(text);
    for (const auto call : calls)
      for (auto at = code.find(call); at != std::string::npos; at = code.find(call, at + 1))
        out.push_back({path, line_of(code, at), "core must not use " + std::string(call)});
  }
  return out;
}

std::vector<finding> check_network_headers(const source_tree& tree) {
  // Headers that bring Asio or Beast with them, found by going round until nothing new turns up.
  std::set<std::string> carriers;
  std::vector<finding> out;
  for (bool grown = true; grown;) {
    grown = false;
    for (const auto& [path, text] : tree) {
      if (carriers.contains(path)) continue;
      for (const auto& include : includes_of(text)) {
        const bool carries =
            include.quoted ? carriers.contains(include.name) : is_network_header(include.name);
        if (!carries) continue;
        if (!is_network_file(path))
          out.push_back({path, include.line, "sees Asio or Beast through " + include.name});
        carriers.insert(path);
        grown = true;
        break;
      }
    }
  }
  return out;
}

std::vector<finding> check_sizes(const source_tree& tree) {
  std::vector<finding> out;
  for (const auto& [path, text] : tree) {
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    const auto limit = path.starts_with("tests/") ? test_lines_max : lines_max;
    if (lines > limit)
      out.push_back(
          {path, 0, std::to_string(lines) + " lines; split it below " + std::to_string(limit)});
  }
  return out;
}

std::vector<finding> check_pragma_once(const source_tree& tree) {
  std::vector<finding> out;
  for (const auto& [path, text] : tree)
    if (path.ends_with(".hpp") && text.find("#pragma once") == std::string::npos)
      out.push_back({path, 0, "a header without #pragma once"});
  return out;
}

}  // namespace spillway::tidy
