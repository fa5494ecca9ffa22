// The parsed document behind yaml_reader: values with their lines, and which keys were asked for.
// Internal to the reader; callers use orchestrator/runtime/yaml_reader.hpp.
#pragma once

#include "orchestrator/runtime/yaml_reader.hpp"

#include <deque>
#include <map>
#include <set>

namespace spillway::detail {

struct yaml_node {
  struct entry {
    std::string key;
    int line = 0;
    yaml_node* value = nullptr;
  };
  struct item {
    int line = 0;
    yaml_node* value = nullptr;
  };

  yaml_kind kind = yaml_kind::null;
  std::string text;    // of a scalar
  bool plain = false;  // written without quotes
  std::vector<entry> entries;
  std::vector<entry> duplicates;  // later entries of a key that is in `entries`
  std::vector<item> items;
  bool entered = false;               // the reader has a cursor on this mapping
  std::string path;                   // by which the reader reached it
  std::map<std::string, bool> asked;  // keys the reader knows -> supported

  [[nodiscard]] const entry* find(std::string_view key) const;
  /// What stands here in words, without the value.
  [[nodiscard]] std::string description() const;
  /// A scalar's value for a message: one line, cut when long, in quotes when it was written so.
  [[nodiscard]] std::string quoted() const;
};

struct yaml_tree {
  std::string name;
  std::deque<yaml_node> nodes;  // owns; aliases share nodes
  yaml_node* root = nullptr;    // null: broken, or not a mapping
  std::vector<yaml_problem> problems;

  void add(int line, std::string key, std::string message) {
    problems.push_back({line, std::move(key), std::move(message)});
  }
};

[[nodiscard]] std::unique_ptr<yaml_tree> parse_yaml_tree(std::string_view text, std::string name);

/// Adds a problem for each duplicate key, and each key that was not asked for, in the mappings
/// that the reader entered from `node` on. Others have been reported as a whole.
void add_key_problems(const yaml_node& node, std::set<const yaml_node*>& seen,
                      std::vector<yaml_problem>& out);

/// The candidate that `word` is most likely a slip of; empty when none is near.
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       const std::vector<std::string_view>& candidates);

}  // namespace spillway::detail
