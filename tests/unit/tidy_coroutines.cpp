// A reader of C++ just good enough to cut code into statements and look into those with co_await.
#include "tests/unit/tidy_rules.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <regex>

namespace spillway::tidy {

namespace {

/// Stands for the body of a lambda in the text of the statement around it.
constexpr char body_mark = '\x01';

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string last_word(std::string_view text) {
  std::size_t begin = text.size();
  while (begin > 0 && is_word(text[begin - 1])) --begin;
  return std::string(text.substr(begin));
}

std::string_view without_blanks_at_end(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
    text.remove_suffix(1);
  }
  return text;
}

/// Whether a '{' after `statement` (the text since the statement began) opens statements, rather
/// than an initializer. `nested`: inside parentheses, brackets or an initializer.
bool opens_block(std::string_view statement, bool nested) {
  const auto before = without_blanks_at_end(statement);
  if (before.empty()) return !nested;
  static const std::regex declares(R"(^\s*(namespace|struct|class|union|enum|extern|template)\b)");
  if (!nested && std::regex_search(before.begin(), before.end(), declares)) return true;
  static const std::regex returns(R"(->\s*[\w:<>,\s*&]+$)");
  if (std::regex_search(before.begin(), before.end(), returns)) return true;
  if (before.back() == ')' || before.back() == ']' || before.back() == ':') return true;
  constexpr std::array<std::string_view, 8> openers = {"else",     "try",     "do",       "const",
                                                       "noexcept", "mutable", "override", "final"};
  return std::find(openers.begin(), openers.end(), last_word(before)) != openers.end();
}

struct statement {
  std::string text;
  std::size_t line = 1;
};

/// Cuts code into statements. The bodies of lambdas become statements of their own.
class statement_reader {
 public:
  std::function<void(const statement&)> on_statement;
  std::function<void(std::size_t line)> on_statement_expression;

  void read(std::string_view code) {
    blocks_.push_back({});
    for (const char c : code) {
      take(c);
      if (c == '\n') ++line_;
    }
    finish();
  }

 private:
  void take(char c) {
    switch (c) {
      case '{': return open_brace();
      case '(':
      case '[': open_.push_back(c); break;
      case ')':
      case ']': close_until_bracket(); break;
      case '}': return close_brace();
      case ';':
        if (at_statement_level()) return finish();
        if (open_.back() == 'i') on_statement_expression(line_);
        break;
      default: break;
    }
    append(c);
  }

  void open_brace() {
    if (!opens_block(current().text, !at_statement_level())) {
      append('{');
      open_.push_back('i');
      return;
    }
    if (at_statement_level()) finish();  // the head of an if, loop or function
    open_.push_back('b');
    blocks_.push_back({});
  }

  void close_brace() {
    if (open_.empty()) return finish();
    const char opened = open_.back();
    open_.pop_back();
    if (opened != 'b') return append('}');
    finish();
    if (blocks_.size() > 1) blocks_.pop_back();
    if (!at_statement_level()) append(body_mark);
  }

  void close_until_bracket() {
    if (!open_.empty() && open_.back() != 'b') open_.pop_back();
  }

  void append(char c) {
    auto& to = current();
    if (to.text.empty()) {
      if (std::isspace(static_cast<unsigned char>(c))) return;
      to.line = line_;
    }
    to.text += c;
  }

  void finish() {
    if (!current().text.empty()) on_statement(current());
    current() = {};
  }

  [[nodiscard]] bool at_statement_level() const { return open_.empty() || open_.back() == 'b'; }
  statement& current() { return blocks_.back(); }

  std::string open_;  ///< '(' '[' 'i'nitializer 'b'lock
  std::vector<statement> blocks_;
  std::size_t line_ = 1;
};

/// Whether a capture list copies anything: "=", "x", "x = …", "*this".
bool captures_by_value(std::string_view list) {
  int depth = 0;
  std::string item;
  const auto by_value = [&item] {
    const auto first = item.find_first_not_of(" \t\n");
    if (first == std::string::npos) return false;
    const auto word = without_blanks_at_end(std::string_view(item).substr(first));
    return word != "this" && word.front() != '&';
  };
  for (const char c : list) {
    if (c == '(' || c == '{' || c == '[') ++depth;
    if (c == ')' || c == '}' || c == ']') --depth;
    if (c != ',' || depth > 0) {
      item += c;
      continue;
    }
    if (by_value()) return true;
    item.clear();
  }
  return by_value();
}

bool has_copying_lambda(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '[') continue;
    const auto before = without_blanks_at_end(text.substr(0, i));
    const auto word = last_word(before);
    const bool subscript = !before.empty() && word != "return" && word != "co_await" &&
                           (is_word(before.back()) || before.back() == ')' || before.back() == ']');
    int depth = 0;
    std::size_t end = i;
    for (; end < text.size(); ++end) {
      if (text[end] == '[') ++depth;
      if (text[end] == ']' && --depth == 0) break;
    }
    if (end >= text.size()) return false;
    const auto list = text.substr(i + 1, end - i - 1);
    const bool binding = word == "auto" || before.ends_with("auto&") || before.ends_with("auto&&");
    const bool attribute = list.starts_with('[');
    if (!subscript && !binding && !attribute && captures_by_value(list)) return true;
  }
  return false;
}

/// A braced value inside parentheses, or awaited itself.
bool has_braced_temporary(const std::string& text) {
  int depth = 0;
  for (const char c : text) {
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == '{' && depth > 0) return true;
  }
  static const std::regex awaited(R"(\bco_await\s+[\w:]+(<[^;{]*>)?\s*\{)");
  return std::regex_search(text, awaited);
}

void check_statement(const std::string& path, const statement& s, std::vector<finding>& out) {
  static const std::regex awaits(R"(\bco_await\b)");
  if (!std::regex_search(s.text, awaits)) return;
  const auto found = [&](std::string what) { out.push_back({path, s.line, std::move(what)}); };
  static const std::regex state(
      R"(\(\s*co_await\s+[\w:]*this_coro::cancellation_state\s*\)\s*(\.|->))");
  if (std::regex_search(s.text, state)) found("name the cancellation state before using it");
  if (has_copying_lambda(s.text)) found("name a lambda that captures by value before co_await");
  if (s.text.find('?') != std::string::npos) found("write if instead of ?: beside co_await");
  if (has_braced_temporary(s.text)) found("name a braced value before co_await");
}

}  // namespace

std::vector<finding> check_coroutines(const source_tree& tree) {
  static const std::regex macro(R"(#[ \t]*define\b([^\n]*\\\n)*[^\n]*\(\{)");
  std::vector<finding> out;
  for (const auto& [path, text] : tree) {
    const auto code = code_only(text);
    if (path.starts_with("tests/unit/tidy_")) continue;  // the samples
    if (std::regex_search(text, macro))
      out.push_back({path, 0, "a statement-expression macro: return early instead"});
    if (code.find("co_await") == std::string::npos) continue;
    statement_reader reader;
    reader.on_statement = [&](const statement& s) { check_statement(path, s, out); };
    reader.on_statement_expression = [&](std::size_t line) {
      out.push_back({path, line, "a statement expression: return early instead"});
    };
    reader.read(code);
  }
  return out;
}

}  // namespace spillway::tidy
