#include "connectors/rows.hpp"

#include "orchestrator/runtime/json_string.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <random>
#include <set>

namespace spillway {
namespace {

using namespace std::chrono_literals;

row_facts sample() {
  row_facts f;
  f.job = "nightly";
  f.file = "in.jsonl";
  f.line = 12;
  f.custom_id_token = R"("id-\"1\"")";
  static const std::string places[] = {"eu", "u\"s"};
  f.origin = {"azure", "mini", "eastus", "gpt-5.4-mini", "azure-openai", places};
  f.dropped = {"seed", "logit_bias"};
  f.service_tier = "flex";
  f.status = 200;
  f.request_id = "req-7";
  f.body = R"({"object":"chat.completion"})";
  f.attempts = 2;
  f.maybe_billed = 1;
  f.usage = {true, tokens(100), tokens(40), tokens(30)};
  f.cost = nano_usd(450'000);
  f.sent_at = time_point(1'790'000'000s + 250ms);
  f.done_at = time_point(1'790'000'001s);
  return f;
}

class parsed_row {
 public:
  explicit parsed_row(const std::string& row) {
    EXPECT_EQ(row.back(), '\n');
    EXPECT_EQ(row.find('\n'), row.size() - 1) << "one line";
    EXPECT_EQ(parser_.parse(row).get(root_), simdjson::SUCCESS) << row;
  }
  simdjson::dom::element at(std::string_view pointer) {
    simdjson::dom::element e;
    EXPECT_EQ(root_.at_pointer(pointer).get(e), simdjson::SUCCESS) << pointer;
    return e;
  }
  std::string text(std::string_view pointer) {
    return std::string(at(pointer).get_string().value());
  }
  std::int64_t number(std::string_view pointer) { return at(pointer).get_int64().value(); }
  bool null(std::string_view pointer) { return at(pointer).is_null(); }
  std::set<std::string> keys(std::string_view pointer) {
    std::set<std::string> out;
    const simdjson::dom::object object = at(pointer).get_object().value();
    for (const auto [key, value] : object) out.emplace(key);
    return out;
  }

 private:
  simdjson::dom::parser parser_;
  simdjson::dom::element root_;
};

const std::set<std::string> our_keys{
    "job",      "pool",         "lane",         "region",        "model",
    "attempts", "maybe_billed", "input_tokens", "cached_tokens", "output_tokens",
    "cost_usd", "dropped",      "service_tier", "file",          "line",
    "sent_at",  "done_at",      "provider",     "residency"};

TEST(make_row, an_answer_has_the_documented_fields) {
  parsed_row row(make_row(sample()));
  EXPECT_EQ(row.keys(""),
            (std::set<std::string>{"id", "custom_id", "response", "error", "spillway"}));
  EXPECT_EQ(row.text("/id").substr(0, 10), "batch_req_");
  EXPECT_EQ(row.text("/custom_id"), "id-\"1\"");
  EXPECT_EQ(row.keys("/response"), (std::set<std::string>{"status_code", "request_id", "body"}));
  EXPECT_EQ(row.number("/response/status_code"), 200);
  EXPECT_EQ(row.text("/response/request_id"), "req-7");
  EXPECT_EQ(row.text("/response/body/object"), "chat.completion");
  EXPECT_TRUE(row.null("/error"));
  EXPECT_EQ(row.keys("/spillway"), our_keys);
  EXPECT_EQ(row.text("/spillway/job"), "nightly");
  EXPECT_EQ(row.text("/spillway/pool"), "azure");
  EXPECT_EQ(row.text("/spillway/lane"), "mini");
  EXPECT_EQ(row.text("/spillway/region"), "eastus");
  EXPECT_EQ(row.text("/spillway/model"), "gpt-5.4-mini");
  EXPECT_EQ(row.number("/spillway/attempts"), 2);
  EXPECT_EQ(row.number("/spillway/maybe_billed"), 1);
  EXPECT_EQ(row.number("/spillway/input_tokens"), 100);
  EXPECT_EQ(row.number("/spillway/cached_tokens"), 40);
  EXPECT_EQ(row.number("/spillway/output_tokens"), 30);
  EXPECT_DOUBLE_EQ(row.at("/spillway/cost_usd").get_double().value(), 0.00045);
  EXPECT_EQ(row.at("/spillway/dropped").get_array().value().size(), 2u);
  EXPECT_EQ(row.text("/spillway/service_tier"), "flex");
  EXPECT_EQ(row.text("/spillway/file"), "in.jsonl");
  EXPECT_EQ(row.number("/spillway/line"), 12);
  EXPECT_EQ(row.text("/spillway/sent_at"), "2026-09-21T14:13:20.250Z");
  EXPECT_EQ(row.text("/spillway/done_at"), "2026-09-21T14:13:21.000Z");
  EXPECT_EQ(row.text("/spillway/provider"), "azure-openai");
  EXPECT_EQ(row.text("/spillway/residency/1"), "u\"s");
  EXPECT_EQ(row.text("/spillway/dropped/0"), "seed");
  EXPECT_EQ(row.text("/spillway/dropped/1"), "logit_bias");
}

TEST(make_row, an_invalid_line_was_never_anywhere) {
  row_facts f;
  f.job = "j";
  f.file = "in.jsonl";
  f.line = 3;
  f.custom_id_token = "null";
  f.error_code = "invalid_json";
  f.error_message = "in.jsonl, line 3, byte 7: not \"JSON\"\x01";
  parsed_row row(make_row(f));
  EXPECT_TRUE(row.null("/custom_id"));
  EXPECT_TRUE(row.null("/response"));
  EXPECT_EQ(row.text("/error/code"), "invalid_json");
  EXPECT_EQ(row.text("/error/message"), f.error_message);
  EXPECT_EQ(row.keys("/spillway"), our_keys);
  for (const char* key : {"pool", "lane", "region", "model", "sent_at", "done_at"})
    EXPECT_TRUE(row.null("/spillway/" + std::string(key))) << key;
  EXPECT_EQ(row.number("/spillway/attempts"), 0);
}

TEST(make_row, a_refusal_keeps_the_providers_answer) {
  auto f = sample();
  f.status = 400;
  f.body = "";
  f.error_code = "bad_request";
  parsed_row row(make_row(f));
  EXPECT_EQ(row.number("/response/status_code"), 400);
  EXPECT_TRUE(row.null("/response/body"));
  EXPECT_EQ(row.text("/error/code"), "bad_request");
}

TEST(make_row, ids_are_the_same_each_time_and_differ_by_line) {
  std::set<std::string> ids;
  for (std::uint64_t line = 1; line <= 1'000; ++line) {
    auto f = sample();
    f.line = line;
    parsed_row row(make_row(f));
    EXPECT_TRUE(ids.insert(row.text("/id")).second);
    EXPECT_EQ(make_row(f), make_row(f));
  }
}

std::string random_text(std::mt19937_64& random) {
  static const std::vector<std::string> pieces{"a", "B",  " ", "\"", "\\", "\n", "\t",   "\x01",
                                               "é", "日", "😀", "/",  "{",  "}",  "\x7f", "'"};
  std::string out;
  for (auto n = random() % 12; n > 0; --n) out += pieces[random() % pieces.size()];
  return out;
}

TEST(read_row, is_the_inverse_of_make_row) {
  std::mt19937_64 random(6);
  for (int i = 0; i < 3'000; ++i) {
    auto f = sample();
    const auto file = "f" + random_text(random), pool = random_text(random),
               lane = random_text(random);
    f.file = file;
    f.origin.pool = pool;
    f.origin.lane = lane;
    f.line = 1 + (random() >> 20);
    f.attempts = static_cast<std::uint32_t>(random() % 100);
    f.usage = {true, tokens(static_cast<std::int64_t>(random() % 1'000'000)),
               tokens(static_cast<std::int64_t>(random() % 1'000)),
               tokens(static_cast<std::int64_t>(random() % 1'000'000))};
    f.cost = nano_usd(static_cast<std::int64_t>(random() >> (24 + random() % 40)));
    const auto back = read_row(make_row(f));
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(back->file, f.file);
    EXPECT_EQ(back->line, f.line);
    EXPECT_EQ(back->pool, pool);
    EXPECT_EQ(back->lane, lane);
    EXPECT_EQ(back->attempts, f.attempts);
    EXPECT_EQ(back->usage.input, f.usage.input);
    EXPECT_EQ(back->usage.cached, f.usage.cached);
    EXPECT_EQ(back->usage.output, f.usage.output);
    EXPECT_EQ(back->cost, f.cost) << "to the last nano-USD";
  }
}

TEST(read_row, a_cost_nobody_knows_is_null) {
  auto f = sample();
  f.cost.reset();
  const auto row = make_row(f);
  EXPECT_NE(row.find(R"("cost_usd":null)"), row.npos);
  EXPECT_EQ(read_row(row)->cost, nano_usd{});
}

TEST(read_row, refuses_what_is_not_ours) {
  for (const char* text : {"", "\n", "hello\n", "{}\n", "[]\n", R"({"spillway":7})",
                           R"({"spillway":{}})", R"({"spillway":{"file":"a"}})",
                           R"({"spillway":{"line":1}})", R"({"spillway":{"file":"a","line":0}})"}) {
    const auto r = read_row(text);
    ASSERT_FALSE(r.has_value()) << text;
    EXPECT_EQ(r.error().kind, failure_kind::storage);
  }
  const auto row = make_row(sample());
  for (std::size_t n = 0; n + 2 < row.size(); ++n) EXPECT_FALSE(read_row(row.substr(0, n))) << n;
}

TEST(json_string, survives_a_parser) {
  std::mt19937_64 random(8);
  simdjson::dom::parser parser;
  for (int i = 0; i < 2'000; ++i) {
    const auto text = random_text(random);
    const auto token = json_string(text);
    EXPECT_EQ(token.find('\n'), std::string::npos);
    EXPECT_EQ(parser.parse("[" + token + "]").at(0).get_string().value(), text);
  }
}

TEST(usd_text, is_exact_and_short) {
  for (const auto& [nano, text] : std::vector<std::pair<std::int64_t, std::string>>{
           {0, "0"},
           {1, "0.000000001"},
           {450'000, "0.00045"},
           {1'000'000'000, "1"},
           {100'500'000'000, "100.5"},
           {-1, "-0.000000001"},
           {-2'500'000'000, "-2.5"},
           {9'000'000'000'000'000'001, "9000000000.000000001"},
           {10'000'000'000, "10"}})
    EXPECT_EQ(usd_text(nano_usd(nano)), text);
}

TEST(iso_time, is_utc_with_milliseconds) {
  EXPECT_EQ(iso_time(time_point{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(iso_time(time_point(1'790'000'000s + 999'999'999ns)), "2026-09-21T14:13:20.999Z");
  EXPECT_EQ(iso_time(time_point(951'782'400s)), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(iso_time(time_point(4'102'444'799s)), "2099-12-31T23:59:59.000Z");
}

}  // namespace
}  // namespace spillway
