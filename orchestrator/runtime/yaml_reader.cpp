#include "orchestrator/runtime/yaml_reader.hpp"

#include "orchestrator/runtime/yaml_tree.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <set>

namespace spillway {

using detail::yaml_node;

namespace {

std::string join(const std::vector<std::string_view>& words) {
  std::string out;
  for (const auto word : words) {
    if (!out.empty()) out += ", ";
    out += word;
  }
  return out;
}

std::string number_text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.15g", value);
  return buffer;
}

template <class T>
std::optional<T> parse_whole(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// " from A to B", " of at least A", " of at most B" or nothing.
std::string range_text(const std::optional<std::string>& min, const std::optional<std::string>& max,
                       bool below_max = false) {
  if (min && max && below_max) return " of at least " + *min + " and below " + *max;
  if (min && max) return " from " + *min + " to " + *max;
  if (min) return " of at least " + *min;
  if (max) return (below_max ? " below " : " of at most ") + *max;
  return {};
}

template <class T, class Text>
std::optional<std::string> bound(T value, T unbounded, Text text) {
  if (value == unbounded) return std::nullopt;
  return text(value);
}

}  // namespace

// ---- yaml_map ----

yaml_map::yaml_map(detail::yaml_tree* tree, yaml_node* node, std::string path, int line)
    : tree_(tree), node_(node), path_(std::move(path)), line_(line) {
  if (!node_) return;
  node_->entered = true;
  node_->path = path_;
}

std::string yaml_map::path(std::string_view key) const {
  if (path_.empty()) return std::string(key);
  return path_ + "." + std::string(key);
}

yaml_kind yaml_map::kind(std::string_view key) const {
  if (!node_) return yaml_kind::absent;
  const auto* entry = node_->find(key);
  return entry ? entry->value->kind : yaml_kind::absent;
}

std::vector<std::string> yaml_map::keys() const {
  std::vector<std::string> out;
  if (!node_) return out;
  for (const auto& entry : node_->entries) out.push_back(entry.key);
  return out;
}

void yaml_map::problem(std::string_view key, std::string message) {
  const auto* entry = node_ ? node_->find(key) : nullptr;
  tree_->add(entry ? entry->line : line_, path(key), std::move(message));
}

void yaml_map::problem(std::string message) { tree_->add(line_, path_, std::move(message)); }

void yaml_map::mismatch(std::string_view key, std::string_view expected, const yaml_node& found) {
  problem(key, "expected " + std::string(expected) + ", found " + found.description());
}

yaml_node* yaml_map::ask(std::string_view key, need required, std::string_view expected) {
  if (!node_) return nullptr;
  node_->asked.try_emplace(std::string(key), true);
  if (const auto* entry = node_->find(key)) {
    if (entry->value->kind != yaml_kind::null) return entry->value;
    problem(key, "expected " + std::string(expected) + ", found nothing");
    return nullptr;
  }
  if (required == need::required) problem(key, "missing; expected " + std::string(expected));
  return nullptr;
}

yaml_node* yaml_map::ask_scalar(std::string_view key, need required, std::string_view expected) {
  auto* value = ask(key, required, expected);
  if (!value || value->kind == yaml_kind::scalar) return value;
  mismatch(key, expected, *value);
  return nullptr;
}

std::optional<std::string> yaml_map::string(std::string_view key, need required) {
  const auto* value = ask_scalar(key, required, "a text");
  if (!value) return std::nullopt;
  if (value->text.empty()) {
    problem(key, "expected a text, found an empty one");
    return std::nullopt;
  }
  return value->text;
}

std::optional<std::int64_t> yaml_map::integer(std::string_view key, int_range range,
                                              need required) {
  const auto text = [](std::int64_t n) { return std::to_string(n); };
  const std::string expected = "an integer" + range_text(bound(range.min, int_range{}.min, text),
                                                         bound(range.max, int_range{}.max, text));
  const auto* value = ask_scalar(key, required, expected);
  if (!value) return std::nullopt;
  const auto parsed = parse_whole<std::int64_t>(value->text);
  if (!value->plain || !parsed || *parsed < range.min || *parsed > range.max) {
    problem(key, "expected " + expected + ", found " + value->quoted());
    return std::nullopt;
  }
  return parsed;
}

std::optional<double> yaml_map::number(std::string_view key, number_range range, need required) {
  const std::string expected =
      "a number" + range_text(bound(range.min, number_range{}.min, number_text),
                              bound(range.max, number_range{}.max, number_text), range.below_max);
  const auto* value = ask_scalar(key, required, expected);
  if (!value) return std::nullopt;
  const auto parsed = parse_whole<double>(value->text);
  const bool fits = parsed && std::isfinite(*parsed) && *parsed >= range.min &&
                    (range.below_max ? *parsed < range.max : *parsed <= range.max);
  if (!value->plain || !fits) {
    problem(key, "expected " + expected + ", found " + value->quoted());
    return std::nullopt;
  }
  return *parsed == 0 ? 0.0 : *parsed;  // no negative zero
}

std::optional<duration> yaml_map::time(std::string_view key, duration_range range, need required) {
  const auto text = [](duration d) { return to_text(d); };
  const std::string expected = "a duration such as 250ms, 10s, 10m or 24h" +
                               range_text(bound(range.min, duration_range{}.min, text),
                                          bound(range.max, duration_range{}.max, text));
  const auto* value = ask_scalar(key, required, expected);
  if (!value) return std::nullopt;
  const auto parsed = parse_duration(value->text);
  if (!parsed || *parsed < range.min || *parsed > range.max) {
    problem(key, "expected " + expected + ", found " + value->quoted());
    return std::nullopt;
  }
  return parsed;
}

std::optional<bool> yaml_map::boolean(std::string_view key, need required) {
  const auto* value = ask_scalar(key, required, "true or false");
  if (!value) return std::nullopt;
  if (value->plain && value->text == "true") return true;
  if (value->plain && value->text == "false") return false;
  problem(key, "expected true or false, found " + value->quoted());
  return std::nullopt;
}

std::optional<std::vector<std::string>> yaml_map::strings(std::string_view key, need required) {
  constexpr std::string_view expected = "a list of texts such as [a, b]";
  const auto* value = ask(key, required, expected);
  if (!value) return std::nullopt;
  if (value->kind != yaml_kind::list) {
    mismatch(key, expected, *value);
    return std::nullopt;
  }
  std::vector<std::string> out;
  for (const auto& item : value->items) {
    if (item.value->kind == yaml_kind::scalar && !item.value->text.empty()) {
      out.push_back(item.value->text);
      continue;
    }
    tree_->add(item.line, path(key) + "[" + std::to_string(out.size()) + "]",
               "expected a text, found " + item.value->description());
    return std::nullopt;
  }
  return out;
}

std::optional<yaml_map> yaml_map::map(std::string_view key, need required) {
  constexpr std::string_view expected = "a mapping of keys";
  auto* value = ask(key, required, expected);
  if (!value) return std::nullopt;
  if (value->kind != yaml_kind::map) {
    mismatch(key, expected, *value);
    return std::nullopt;
  }
  return yaml_map(tree_, value, path(key), node_->find(key)->line);
}

std::vector<yaml_map> yaml_map::maps(std::string_view key, need required) {
  constexpr std::string_view expected = "a list of mappings, each starting with \"- \"";
  auto* value = ask(key, required, expected);
  if (!value) return {};
  if (value->kind != yaml_kind::list) {
    mismatch(key, expected, *value);
    return {};
  }
  if (required == need::required && value->items.empty())
    problem(key, "expected at least one entry, found an empty list");
  std::vector<yaml_map> out;
  for (std::size_t i = 0; i < value->items.size(); ++i) {
    const auto& item = value->items[i];
    const std::string item_path = path(key) + "[" + std::to_string(i) + "]";
    if (item.value->kind != yaml_kind::map) {
      tree_->add(item.line, item_path, "expected a mapping, found " + item.value->description());
      continue;
    }
    out.push_back(yaml_map(tree_, item.value, item_path, item.line));
  }
  return out;
}

std::optional<std::size_t> yaml_map::choice_index(std::string_view key,
                                                  const std::vector<std::string_view>& allowed,
                                                  std::initializer_list<std::string_view> not_yet,
                                                  need required) {
  const std::string expected = (allowed.size() > 1 ? "one of " : "") + join(allowed);
  const auto* value = ask_scalar(key, required, expected);
  if (!value) return std::nullopt;
  const auto at = std::find(allowed.begin(), allowed.end(), value->text);
  if (at != allowed.end()) return static_cast<std::size_t>(at - allowed.begin());
  if (std::find(not_yet.begin(), not_yet.end(), value->text) != not_yet.end()) {
    problem(key, value->text + " is not supported yet; expected " + expected);
  } else {
    std::string message = "expected " + expected + ", found " + value->quoted();
    if (const auto near = detail::nearest(value->text, allowed); !near.empty())
      message += "; did you mean " + std::string(near) + "?";
    problem(key, std::move(message));
  }
  return std::nullopt;
}

void yaml_map::unsupported(std::string_view key, std::string_view why) {
  if (!node_) return;
  node_->asked.insert_or_assign(std::string(key), false);
  if (!node_->find(key)) return;
  problem(key, "not supported yet" + (why.empty() ? std::string() : ": " + std::string(why)));
}

// ---- yaml_document ----

yaml_document::yaml_document(std::unique_ptr<detail::yaml_tree> tree) : tree_(std::move(tree)) {}
yaml_document::yaml_document(yaml_document&&) noexcept = default;
yaml_document& yaml_document::operator=(yaml_document&&) noexcept = default;
yaml_document::~yaml_document() = default;

yaml_document yaml_document::parse(std::string_view text, std::string name) {
  return yaml_document(detail::parse_yaml_tree(text, std::move(name)));
}

yaml_map yaml_document::root() { return yaml_map(tree_.get(), tree_->root, "", 1); }

std::vector<yaml_problem> yaml_document::problems() const {
  auto all = tree_->problems;
  if (tree_->root) {
    std::set<const yaml_node*> seen;
    detail::add_key_problems(*tree_->root, seen, all);
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.line < b.line; });
  return all;
}

std::optional<failure> yaml_document::check() const {
  const auto all = problems();
  if (all.empty()) return std::nullopt;
  std::string text;
  for (const auto& p : all) {
    if (!text.empty()) text += "\n";
    text += tree_->name;
    if (p.line > 0) text += ":" + std::to_string(p.line);
    text += ": ";
    if (!p.key.empty()) text += p.key + ": ";
    text += p.message;
  }
  return failure{failure_kind::usage, std::move(text)};
}

// ---- durations ----

namespace {

struct unit {
  std::string_view name;
  std::int64_t ns;
};
constexpr unit units[] = {{"d", 86'400'000'000'000}, {"h", 3'600'000'000'000},
                          {"m", 60'000'000'000},     {"s", 1'000'000'000},
                          {"ms", 1'000'000},         {"us", 1'000}};

}  // namespace

std::optional<duration> parse_duration(std::string_view text) {
  if (text == "0") return duration::zero();
  const auto digits = text.find_first_not_of("0123456789.");
  if (digits == 0 || digits == std::string_view::npos) return std::nullopt;
  const auto count = parse_whole<double>(text.substr(0, digits));
  if (!count) return std::nullopt;
  for (const auto& [name, ns] : units) {
    if (text.substr(digits) != name) continue;
    const double total = *count * static_cast<double>(ns);
    if (total >= 9.2e18) return std::nullopt;
    return duration(std::llround(total));
  }
  return std::nullopt;
}

std::string to_text(duration d) {
  if (d == duration::zero()) return "0s";
  for (const auto& [name, ns] : units)
    if (d.count() % ns == 0) return std::to_string(d.count() / ns) + std::string(name);
  return number_text(static_cast<double>(d.count()) / 1000.0) + "us";
}

}  // namespace spillway
