#include "orchestrator/runtime/yaml_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

yaml_document parsed(std::string_view text) { return yaml_document::parse(text, "f.yaml"); }

std::string problems_of(const yaml_document& doc) {
  const auto f = doc.check();
  return f ? f->message : "";
}

TEST(yaml_reader, reads_every_type) {
  auto doc = parsed(R"(
name: azure
count: -3
share: 0.25
wait: 1.5h
on: true
list: [a, "b", 3]
inner: { x: 1 }
many: [{ x: 1 }, { x: 2 }]
color: blue
)");
  auto root = doc.root();
  EXPECT_EQ(root.string("name"), "azure");
  EXPECT_EQ(root.integer("count"), -3);
  EXPECT_EQ(root.number("share"), 0.25);
  EXPECT_EQ(root.time("wait"), duration(90min));
  EXPECT_EQ(root.boolean("on"), true);
  EXPECT_THAT(root.strings("list").value(), ElementsAre("a", "b", "3"));
  EXPECT_EQ(root.map("inner")->integer("x"), 1);
  auto many = root.maps("many");
  ASSERT_EQ(many.size(), 2u);
  EXPECT_EQ(many[1].integer("x"), 2);
  many[0].integer("x");
  EXPECT_EQ((root.choice<int>("color", {{"red", 1}, {"blue", 2}})), 2);
  EXPECT_EQ(root.string("absent"), std::nullopt);
  EXPECT_EQ(problems_of(doc), "");
}

TEST(yaml_reader, collects_all_problems_in_the_order_of_lines) {
  auto doc = parsed("a: x\nb: 5\nc: 1\n");
  auto root = doc.root();
  root.integer("b", {.min = 1, .max = 4});
  root.integer("a");
  root.string("d", need::required);
  EXPECT_EQ(problems_of(doc),
            "f.yaml:1: a: expected an integer, found x\n"
            "f.yaml:1: d: missing; expected a text\n"
            "f.yaml:2: b: expected an integer from 1 to 4, found 5\n"
            "f.yaml:3: c: unknown key; expected one of a, b, d");
}

TEST(yaml_reader, wrong_values_name_what_was_expected) {
  const struct {
    const char* text;
    std::function<void(yaml_map&)> read;
    const char* message;
  } cases[] = {
      {"k: 1.5", [](yaml_map& m) { m.integer("k"); }, "expected an integer, found 1.5"},
      {"k: 99999999999999999999", [](yaml_map& m) { m.integer("k"); }, "expected an integer"},
      {"k: \"5\"", [](yaml_map& m) { m.integer("k"); }, "found the quoted text \"5\""},
      {"k: [1]", [](yaml_map& m) { m.integer("k"); }, "expected an integer, found a list"},
      {"k:", [](yaml_map& m) { m.integer("k"); }, "expected an integer, found nothing"},
      {"k: 0", [](yaml_map& m) { m.integer("k", {.min = 1}); },
       "an integer of at least 1, found 0"},
      {"k: nan", [](yaml_map& m) { m.number("k"); }, "expected a number, found nan"},
      {"k: inf", [](yaml_map& m) { m.number("k"); }, "expected a number, found inf"},
      {"k: 1",
       [](yaml_map& m) {
         m.number("k", {0, 1, true});
       },
       "expected a number of at least 0 and below 1, found 1"},
      {"k: 10", [](yaml_map& m) { m.time("k"); }, "such as 250ms, 10s, 10m or 24h, found 10"},
      {"k: 2h",
       [](yaml_map& m) {
         m.time("k", {1ms, 1h});
       },
       "from 1ms to 1h, found 2h"},
      {"k: yes", [](yaml_map& m) { m.boolean("k"); }, "expected true or false, found yes"},
      {"k: a", [](yaml_map& m) { m.strings("k"); },
       "a list of texts such as [a, b], found a single"},
      {"k: [a, {b: c}]", [](yaml_map& m) { m.strings("k"); },
       "k[1]: expected a text, found a mapping"},
      {"k: a", [](yaml_map& m) { m.map("k"); }, "expected a mapping of keys, found a single value"},
      {"k: { a: b }", [](yaml_map& m) { m.maps("k"); }, "expected a list of mappings"},
      {"k: [a]", [](yaml_map& m) { m.maps("k"); },
       "k[0]: expected a mapping, found a single value"},
      {"k: []", [](yaml_map& m) { m.maps("k", need::required); }, "at least one entry"},
      {"k: \"\"", [](yaml_map& m) { m.string("k"); }, "expected a text, found an empty one"},
      {"k: rde",
       [](yaml_map& m) {
         m.choice<int>("k", {{"red", 1}, {"blue", 2}});
       },
       "expected one of red, blue, found rde; did you mean red?"},
      {"k: green",
       [](yaml_map& m) {
         m.choice<int>("k", {{"red", 1}}, {"green"});
       },
       "green is not supported yet; expected red"},
      {"k: 1", [](yaml_map& m) { m.unsupported("k", "use j"); }, "not supported yet: use j"},
  };
  for (const auto& c : cases) {
    auto doc = parsed(c.text);
    auto root = doc.root();
    c.read(root);
    const auto found = doc.problems();
    ASSERT_EQ(found.size(), 1u) << c.text;
    EXPECT_THAT(problems_of(doc), HasSubstr(c.message)) << c.text;
    EXPECT_EQ(found[0].line, 1) << c.text;
  }
}

TEST(yaml_reader, unknown_keys_suggest_near_names) {
  const std::pair<const char*, const char*> cases[] = {
      {"edpoint: 1", "endpoint"},
      {"endpiont: 1", "endpoint"},
      {"Endpoint: 1", "endpoint"},
      {"max-output-tokens: 1", "max_output_tokens"},
      {"rmp: 1", "rpm"}};
  for (const auto& [text, name] : cases) {
    auto doc = parsed(text);
    auto root = doc.root();
    for (const char* known : {"endpoint", "max_output_tokens", "rpm", "name"}) root.string(known);
    EXPECT_THAT(problems_of(doc),
                HasSubstr("unknown key; did you mean " + std::string(name) + "?"));
  }
}

TEST(yaml_reader, unknown_keys_are_found_inside_maps_and_lists_with_their_path) {
  auto doc = parsed("list:\n  - a: 1\n  - a: 1\n    b: 2\n    inner:\n      zzzzzz: 3\n");
  for (auto item : doc.root().maps("list")) {
    item.integer("a");
    if (auto inner = item.map("inner")) inner->integer("x");
  }
  EXPECT_EQ(problems_of(doc),
            "f.yaml:4: list[1].b: unknown key; expected one of a, inner\n"
            "f.yaml:6: list[1].inner.zzzzzz: unknown key; expected one of x");
}

TEST(yaml_reader, duplicate_keys_are_errors) {
  auto doc = parsed("m:\n  a: 1\n  a: 2\n");
  auto inner = doc.root().map("m");
  EXPECT_EQ(inner->integer("a"), 1);
  EXPECT_EQ(problems_of(doc), "f.yaml:3: m.a: duplicate key; first given on line 2");
}

TEST(yaml_reader, broken_documents_say_where_and_nothing_else) {
  const struct {
    const char* text;
    int line;
  } cases[] = {{"a: [1\nb: 2", 2}, {"a: 1\n b: 2", 2}, {"a: *nowhere", 1}, {"", 1},
               {"- a", 1},         {"just text", 1},   {"a:\n\t- b", 2}};
  for (const auto& c : cases) {
    auto doc = parsed(c.text);
    auto root = doc.root();
    root.string("a", need::required);
    root.maps("b", need::required);
    const auto found = doc.problems();
    ASSERT_EQ(found.size(), 1u) << c.text;
    EXPECT_EQ(found[0].line, c.line) << c.text;
  }
}

TEST(yaml_reader, a_second_document_is_an_error) {
  auto doc = parsed("a: 1\n---\na: 2\n");
  doc.root().integer("a");
  EXPECT_EQ(problems_of(doc), "f.yaml:3: expected one YAML document, found a second one");
}

TEST(yaml_reader, aliases_read_as_what_they_name_and_merge_keys_are_refused) {
  auto doc = parsed("a: &q { x: 1 }\nb: *q\nc: { <<: *q }\n");
  auto root = doc.root();
  for (const char* key : {"a", "b"}) EXPECT_EQ(root.map(key)->integer("x"), 1);
  root.map("c")->integer("x");
  EXPECT_EQ(problems_of(doc), "f.yaml:3: c.<<: merge keys are not supported; write the keys out");
}

TEST(yaml_reader, a_value_where_text_or_structure_is_expected_is_never_shown) {
  auto doc = parsed("auth: sk-secret\nkey: [sk-secret]\n");
  auto root = doc.root();
  root.map("auth");
  root.string("key");
  EXPECT_THAT(problems_of(doc), testing::Not(HasSubstr("sk-secret")));
  EXPECT_EQ(doc.problems().size(), 2u);
}

TEST(yaml_reader, callers_add_problems_of_their_own) {
  auto doc = parsed("pool:\n  name: a b\n");
  auto pool = doc.root().map("pool");
  pool->string("name");
  pool->problem("name", "no blanks");
  pool->problem("auth", "missing");
  EXPECT_EQ(problems_of(doc), "f.yaml:1: pool.auth: missing\nf.yaml:2: pool.name: no blanks");
}

TEST(parse_duration, reads_units_and_refuses_the_rest) {
  EXPECT_EQ(parse_duration("250ms"), duration(250ms));
  EXPECT_EQ(parse_duration("10us"), duration(10us));
  EXPECT_EQ(parse_duration("0"), duration::zero());
  EXPECT_EQ(parse_duration("1.5s"), duration(1500ms));
  EXPECT_EQ(parse_duration("24h"), duration(24h));
  EXPECT_EQ(parse_duration("7d"), duration(7 * 24h));
  for (const char* bad : {"", "s", "10", "-1s", "1 s", "1.2.3s", "10sec", "1e3s", "999999999999h"})
    EXPECT_EQ(parse_duration(bad), std::nullopt) << bad;
  for (const duration d : {duration(250ms), duration(90s), duration(24h), duration(10us)})
    EXPECT_EQ(parse_duration(to_text(d)), d);
  EXPECT_EQ(to_text(10min), "10m");
}

}  // namespace
}  // namespace spillway
