#include "orchestrator/runtime/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <sstream>

namespace spillway::detail {

namespace {

int line_of(const YAML::Mark& mark) { return mark.is_null() ? 0 : mark.line + 1; }

/// Builds the tree from the parser's events: unlike YAML::Node they keep duplicate keys, the lines
/// of keys, and whether a scalar was quoted.
class tree_builder : public YAML::EventHandler {
 public:
  explicit tree_builder(yaml_tree& tree) : tree_(tree) {}
  [[nodiscard]] yaml_node* top() const { return top_; }
  [[nodiscard]] int top_line() const { return top_line_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    place(make(yaml_kind::null, anchor), line_of(mark));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    place(anchors_.at(anchor), line_of(mark));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto* node = make(yaml_kind::scalar, anchor);
    node->text = value;
    node->plain = tag == "?";
    place(node, line_of(mark));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(make(yaml_kind::list, anchor), line_of(mark));
  }
  void OnSequenceEnd() override { open_.pop_back(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(make(yaml_kind::map, anchor), line_of(mark));
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct frame {
    yaml_node* node;
    bool has_key = false;
    std::string key = {};
    int key_line = 0;
  };

  yaml_node* make(yaml_kind kind, YAML::anchor_t anchor) {
    auto* node = &tree_.nodes.emplace_back();
    node->kind = kind;
    if (anchor != 0) anchors_[anchor] = node;
    return node;
  }

  void open(yaml_node* node, int line) {
    place(node, line);
    open_.push_back({node});
  }

  void place(yaml_node* node, int line) {
    if (open_.empty()) {
      top_ = node;
      top_line_ = line;
      return;
    }
    auto& parent = open_.back();
    if (parent.node->kind == yaml_kind::list) {
      parent.node->items.push_back({line, node});
    } else if (!parent.has_key) {
      take_key(parent, *node, line);
    } else {
      parent.has_key = false;
      add_entry(parent, node);
    }
  }

  void take_key(frame& parent, const yaml_node& node, int line) {
    parent.has_key = true;
    parent.key = node.kind == yaml_kind::scalar ? node.text : std::string();
    parent.key_line = line;
    if (node.kind != yaml_kind::scalar)
      tree_.add(line, "", "expected a text as key, found " + node.description());
  }

  static void add_entry(frame& parent, yaml_node* value) {
    auto& node = *parent.node;
    auto& entries = node.find(parent.key) ? node.duplicates : node.entries;
    entries.push_back({parent.key, parent.key_line, value});
  }

  yaml_tree& tree_;
  std::vector<frame> open_;
  std::map<YAML::anchor_t, yaml_node*> anchors_;
  yaml_node* top_ = nullptr;
  int top_line_ = 0;
};

/// Lower case, with "-" and "_" taken as the same.
std::string folded(std::string_view word) {
  std::string out;
  for (const char c : word) {
    if (c == '-')
      out += '_';
    else
      out += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return out;
}

/// Edit distance in which swapping two neighbours is one edit.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min(
          {d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::string one_line(std::string_view text) {
  constexpr std::size_t shown_max = 60;
  std::string out;
  for (const char c : text.substr(0, shown_max))
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  if (text.size() > shown_max) out += "...";
  return out;
}

std::string unknown_key_message(const yaml_node& node, const std::string& key) {
  if (key == "<<") return "merge keys are not supported; write the keys out";
  std::vector<std::string_view> known;
  std::string listed;
  for (const auto& [name, supported] : node.asked) {
    known.push_back(name);
    if (!supported) continue;
    if (!listed.empty()) listed += ", ";
    listed += name;
  }
  if (const auto near = nearest(key, known); !near.empty())
    return "unknown key; did you mean " + std::string(near) + "?";
  if (listed.empty()) return "unknown key";
  return "unknown key; expected one of " + listed;
}

}  // namespace

const yaml_node::entry* yaml_node::find(std::string_view key) const {
  for (const auto& e : entries)
    if (e.key == key) return &e;
  return nullptr;
}

std::string yaml_node::description() const {
  switch (kind) {
    case yaml_kind::scalar: return text.empty() ? "an empty text" : "a single value";
    case yaml_kind::list: return "a list";
    case yaml_kind::map: return "a mapping";
    case yaml_kind::absent:
    case yaml_kind::null: break;
  }
  return "nothing";
}

std::string yaml_node::quoted() const {
  if (plain) return one_line(text);
  return "the quoted text \"" + one_line(text) + "\"";
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  constexpr std::size_t compared_max = 64;
  if (word.size() > compared_max) return {};
  const std::string slip = folded(word);
  std::size_t best = slip.size() <= 4 ? 2 : 3;  // one edit in a short word, two in a longer one
  std::string_view found;
  for (const auto candidate : candidates) {
    const auto distance = edit_distance(slip, folded(candidate));
    if (distance >= best || distance >= candidate.size()) continue;
    best = distance;
    found = candidate;
  }
  return found;
}

void add_key_problems(const yaml_node& node, std::set<const yaml_node*>& seen,
                      std::vector<yaml_problem>& out) {
  if (!seen.insert(&node).second) return;
  for (const auto& item : node.items) add_key_problems(*item.value, seen, out);
  if (!node.entered) return;
  const auto path_of = [&](const std::string& key) {
    return node.path.empty() ? key : node.path + "." + key;
  };
  for (const auto& entry : node.duplicates) {
    out.push_back(
        {entry.line, path_of(entry.key),
         "duplicate key; first given on line " + std::to_string(node.find(entry.key)->line)});
  }
  for (const auto& entry : node.entries) {
    if (!node.asked.contains(entry.key)) {
      out.push_back({entry.line, path_of(entry.key), unknown_key_message(node, entry.key)});
    } else {
      add_key_problems(*entry.value, seen, out);
    }
  }
}

std::unique_ptr<yaml_tree> parse_yaml_tree(std::string_view text, std::string name) {
  auto tree = std::make_unique<yaml_tree>();
  tree->name = std::move(name);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    tree_builder builder(*tree);
    parser.HandleNextDocument(builder);
    auto* top = builder.top();
    const int top_line = builder.top_line();
    if (parser.HandleNextDocument(builder))
      tree->add(builder.top_line(), "", "expected one YAML document, found a second one");
    if (top && top->kind == yaml_kind::map) {
      tree->root = top;
    } else {
      tree->add(
          std::max(top_line, 1), "",
          "expected a mapping of keys, found " + (top ? top->description() : "an empty document"));
    }
  } catch (const YAML::Exception& e) {
    tree->root = nullptr;
    tree->problems.clear();  // what came before is likely a consequence
    tree->add(std::max(line_of(e.mark), 1), "", "not valid YAML: " + e.msg);
  }
  return tree;
}

}  // namespace spillway::detail
