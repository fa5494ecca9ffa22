#include "connectors/jsonl.hpp"

#include <gtest/gtest.h>

#include <set>

namespace spillway {
namespace {

/// Parses with the padding that a shard has.
parsed_line parse(const std::string& line) {
  static line_parser parser;
  const auto padded = line + std::string(64, '\0');
  return parser.parse(std::string_view(padded).substr(0, line.size()));
}

parsed_line parse_kept(std::string& line) {
  static line_parser parser;
  const auto size = line.size();
  line.append(64, '\0');
  auto out = parser.parse(std::string_view(line).substr(0, size));
  line.resize(size);
  return out;
}

/// A line with the given body, and everything else as it should be.
std::string with_body(const std::string& body, const std::string& url = "/v1/chat/completions") {
  return R"({"custom_id":"a","method":"POST","url":")" + url + R"(","body":)" + body + "}";
}

struct bad_line {
  const char* name;
  std::string text;
  const char* code;
  const char* token = "\"a\"";
};

class jsonl_bad : public testing::TestWithParam<bad_line> {};

TEST_P(jsonl_bad, line_is_told_apart) {
  const auto p = parse(GetParam().text);
  EXPECT_EQ(p.code, GetParam().code) << p.message;
  EXPECT_EQ(p.custom_id_token, GetParam().token);
  EXPECT_FALSE(p.message.empty());
}

const std::string ok_body = R"({"model":"m"})";

INSTANTIATE_TEST_SUITE_P(
    kinds, jsonl_bad,
    testing::Values(
        bad_line{"text", "hello", "invalid_json", "null"},
        bad_line{"truncated", R"({"custom_id":"a","method")", "invalid_json", "null"},
        bad_line{"two_values", with_body(ok_body) + "{}", "invalid_json", "null"},
        bad_line{"trailing_comma", R"({"custom_id":"a",})", "invalid_json", "null"},
        bad_line{"bad_utf8", "{\"custom_id\":\"\xff\"}", "invalid_json", "null"},
        bad_line{"raw_control", "{\"custom_id\":\"a\x01\"}", "invalid_json", "null"},
        bad_line{"lone_surrogate", R"({"custom_id":"\ud800"})", "invalid_json", "null"},
        bad_line{"number_beyond_64_bits", with_body(R"({"model":"m","n":99999999999999999999})"),
                 "invalid_json", "null"},
        bad_line{"array", "[1]", "not_an_object", "null"},
        bad_line{"number", "7", "not_an_object", "null"},
        bad_line{"null_value", "null", "not_an_object", "null"},
        bad_line{"no_id", R"({"method":"POST"})", "missing_custom_id", "null"},
        bad_line{"null_id", R"({"custom_id":null})", "missing_custom_id", "null"},
        bad_line{"number_id", R"({"custom_id":7})", "invalid_custom_id", "null"},
        bad_line{"empty_id", R"({"custom_id":""})", "empty_custom_id", "null"},
        bad_line{"no_method", R"({"custom_id":"a","url":"/v1/responses"})", "invalid_method"},
        bad_line{"get", R"({"custom_id":"a","method":"GET"})", "invalid_method"},
        bad_line{"lower_case_post", R"({"custom_id":"a","method":"post"})", "invalid_method"},
        bad_line{"no_url", R"({"custom_id":"a","method":"POST"})", "invalid_url"},
        bad_line{"odd_url", with_body(ok_body, "/v1/images"), "invalid_url"},
        bad_line{"url_without_version", with_body(ok_body, "/chat/completions"), "invalid_url"},
        bad_line{"number_url", R"({"custom_id":"a","method":"POST","url":1})", "invalid_url"},
        bad_line{"no_body", R"({"custom_id":"a","method":"POST","url":"/v1/responses"})",
                 "missing_body"},
        bad_line{"array_body", with_body("[]"), "missing_body"},
        bad_line{"null_body", with_body("null"), "missing_body"},
        bad_line{"no_model", with_body("{}"), "missing_model"},
        bad_line{"null_model", with_body(R"({"model":null})"), "missing_model"},
        bad_line{"empty_model", with_body(R"({"model":""})"), "missing_model"},
        bad_line{"stream", with_body(R"({"model":"m","stream":true})"), "stream_not_supported"},
        bad_line{"stream_text", with_body(R"({"model":"m","stream":"no"})"),
                 "stream_not_supported"},
        bad_line{"background", with_body(R"({"model":"m","background":true})", "/v1/responses"),
                 "background_not_supported"},
        bad_line{"background_text",
                 with_body(R"({"model":"m","background":"no"})", "/v1/responses"),
                 "background_not_supported"},
        bad_line{"zero_n", with_body(R"({"model":"m","n":0})"), "invalid_n"},
        bad_line{"many_n", with_body(R"({"model":"m","n":1001})"), "invalid_n"},
        bad_line{"twice_body",
                 R"({"custom_id":"a","method":"POST","url":"/v1/responses","body":{},)"
                 R"("body":{}})",
                 "invalid_json"},
        bad_line{"twice_model", with_body(R"({"model":"m","model":"n"})"), "invalid_json"},
        bad_line{"twice_model_escaped", with_body(R"({"model":"m","m\u006fdel":"n"})"),
                 "invalid_json"}),
    [](const auto& i) { return i.param.name; });

TEST(jsonl, a_repeated_custom_id_is_refused) {
  const auto p = parse(R"({"custom_id":"a","custom_id":"b","method":"POST"})");
  EXPECT_EQ(p.code, "invalid_json");
  EXPECT_FALSE(p.custom_id.empty());
}

TEST(jsonl, finds_the_parts_of_a_line) {
  std::string line = R"( { "method" : "POST" , "body" : { "x":1, "model" : "gpt" } , "custom_id")"
                     R"( : "id-1" , "url":"/v1/responses" } )";
  const auto p = parse_kept(line);
  ASSERT_EQ(p.code, "") << p.message;
  EXPECT_EQ(p.custom_id, "id-1");
  EXPECT_EQ(p.custom_id_token, "\"id-1\"");
  EXPECT_EQ(p.model, "gpt");
  EXPECT_EQ(p.value.endpoint, endpoint_kind::responses);
  const auto part = [&](text_span s) { return line.substr(s.offset, s.length); };
  EXPECT_EQ(part(p.value.custom_id), "\"id-1\"");
  EXPECT_EQ(part(p.value.body), R"({ "x":1, "model" : "gpt" })");
  EXPECT_EQ(part(p.value.model), "\"gpt\"");
}

TEST(jsonl, sees_through_escapes) {
  std::string line =
      R"({"cust\u006fm_id":"a\"b\u00e9\n","method":"P\u004fST","url":"\/v1\/embeddings",)"
      R"("b\u006fdy":{"m\u006fdel":"g\u0070t","input":"}\"{"}})";
  const auto p = parse_kept(line);
  ASSERT_EQ(p.code, "") << p.message;
  EXPECT_EQ(p.custom_id, "a\"b\xc3\xa9\n");
  EXPECT_EQ(p.custom_id_token, R"("a\"b\u00e9\n")") << "the token as it was written";
  EXPECT_EQ(p.model, "gpt");
  EXPECT_EQ(p.value.endpoint, endpoint_kind::embeddings);
  const auto part = [&](text_span s) { return line.substr(s.offset, s.length); };
  EXPECT_EQ(part(p.value.body), R"({"m\u006fdel":"g\u0070t","input":"}\"{"})");
  EXPECT_EQ(part(p.value.model), R"("g\u0070t")");
}

TEST(jsonl, keys_further_in_do_not_count) {
  const auto p = parse(
      with_body(R"({"input":[{"model":"x","stream":true,"n":0,"max_tokens":"no"}],"model":"m"})"));
  EXPECT_EQ(p.code, "") << p.message;
  EXPECT_EQ(p.model, "m");
}

TEST(jsonl, unicode_ids_and_unknown_keys_are_fine) {
  const auto p = parse(R"({"extra":[1,{"body":2}],"custom_id":"日本😀","method":"POST",)"
                       R"("url":"/v1/responses","body":{"model":"モデル"}})");
  EXPECT_EQ(p.code, "") << p.message;
  EXPECT_EQ(p.custom_id, "日本😀");
  EXPECT_EQ(p.model, "モデル");
}

TEST(jsonl, deep_nesting_is_read_or_refused_but_never_fatal) {
  for (const int depth : {10, 500, 1'100, 100'000}) {
    const auto p = parse(with_body(R"({"model":"m","x":)" + std::string(depth, '[') +
                                   std::string(depth, ']') + "}"));
    if (depth <= 500) {
      EXPECT_EQ(p.code, "") << depth;
    } else if (depth > 2'000) {
      EXPECT_EQ(p.code, "invalid_json") << depth;
    }
  }
}

struct limit_case {
  const char* body;
  std::int64_t output;  ///< -1: invalid
  std::int64_t choices = 1;
};

TEST(jsonl, reads_the_output_limit_in_all_its_forms) {
  for (const auto& [body, output, choices] :
       {limit_case{R"({"model":"m"})", 0},
        {R"({"model":"m","max_tokens":5})", 5},
        {R"({"model":"m","max_completion_tokens":7})", 7},
        {R"({"model":"m","max_output_tokens":9})", 0},
        {R"({"model":"m","max_tokens":5,"max_completion_tokens":7})", 7},
        {R"({"model":"m","max_tokens":null})", 0},
        {R"({"model":"m","max_tokens":5,"n":3})", 15, 3},
        {R"({"model":"m","n":3})", 0, 3},
        {R"({"model":"m","n":null,"stream":null})", 0},
        {R"({"model":"m","stream":false})", 0},
        {R"({"model":"m","max_tokens":1000000000})", 1'000'000'000},
        {R"({"model":"m","max_tokens":1000000001})", -1},
        {R"({"model":"m","max_tokens":0})", -1},
        {R"({"model":"m","max_tokens":-5})", -1},
        {R"({"model":"m","max_tokens":1.5})", -1},
        {R"({"model":"m","max_tokens":1e3})", -1},
        {R"({"model":"m","max_tokens":"5"})", -1}}) {
    const auto p = parse(with_body(body));
    EXPECT_EQ(p.code, output < 0 ? "invalid_max_tokens" : "") << body;
    if (output < 0) continue;
    EXPECT_EQ(p.value.max_output, tokens(output)) << body;
    EXPECT_EQ(p.value.choices, choices) << body;
  }
}

struct endpoint_limit_case {
  const char* url;
  const char* body;
  std::int64_t output;
  std::int64_t choices = 1;
};

TEST(jsonl, only_the_endpoints_own_keys_limit_its_answers) {
  const char *chat = "/v1/chat/completions", *responses = "/v1/responses",
             *completions = "/v1/completions", *embeddings = "/v1/embeddings";
  for (const auto& [url, body, output, choices] : {
           endpoint_limit_case{chat, R"({"model":"m","max_output_tokens":1})", 0},
           {chat, R"({"model":"m","max_output_tokens":"x","max_output_tokens":1})", 0},
           {completions, R"({"model":"m","max_completion_tokens":1,"max_output_tokens":1})", 0},
           {completions, R"({"model":"m","max_completion_tokens":9,"max_tokens":2})", 2},
           {responses, R"({"model":"m","max_tokens":1,"max_completion_tokens":1})", 0},
           {responses, R"({"model":"m","max_tokens":1,"max_output_tokens":20})", 20},
           {responses, R"({"model":"m","background":false})", 0},
           {responses, R"({"model":"m","background":null})", 0},
           {chat, R"({"model":"m","background":true})", 0},
           {embeddings, R"({"model":"m","max_tokens":1})", 0},
       }) {
    const auto p = parse(with_body(body, url));
    EXPECT_EQ(p.code, "") << url << body << p.message;
    EXPECT_EQ(p.value.max_output, tokens(output)) << url << body;
    EXPECT_EQ(p.value.choices, choices) << url << body;
  }
}

TEST(jsonl, each_prompt_of_a_list_is_answered) {
  for (const auto& [body, choices] :
       std::vector<std::pair<std::string, std::int64_t>>{{R"("a")", 1},
                                                         {R"(["a"])", 1},
                                                         {R"(["a","b","c"])", 3},
                                                         {R"([1,2,3])", 1},
                                                         {R"([[1,2],[3]])", 2},
                                                         {R"([1,"a"])", 2},
                                                         {R"([])", 1},
                                                         {R"(null)", 1},
                                                         {R"("a","n":4)", 4},
                                                         {R"(["a","b"],"n":2,"best_of":4)", 8}}) {
    const auto p = parse(
        with_body(R"({"model":"m","max_tokens":5,"prompt":)" + body + "}", "/v1/completions"));
    EXPECT_EQ(p.code, "") << body << p.message;
    EXPECT_EQ(p.value.choices, choices) << body;
    EXPECT_EQ(p.value.max_output, tokens(5 * choices)) << body;
  }
  EXPECT_EQ(parse(with_body(R"({"model":"m","prompt":["a","b"]})")).value.choices, 1)
      << "no key of a chat";
  EXPECT_EQ(
      parse(with_body(R"({"model":"m","prompt":["a"],"prompt":["a","b"]})", "/v1/completions"))
          .code,
      "invalid_json");
  std::string many = R"({"model":"m","n":1000,"prompt":["a")";
  for (int i = 0; i < 100; ++i) many += R"(,"a")";
  EXPECT_EQ(parse(with_body(many + "]}", "/v1/completions")).code, "invalid_n");
}

TEST(jsonl, what_the_reader_cannot_hold_is_not_called_bad_json) {
  const auto message = [](const std::string& body) { return parse(with_body(body)).message; };
  const auto number = message(R"({"model":"m","metadata":{"id":99999999999999999999}})");
  EXPECT_NE(number.find("64 bits"), std::string::npos) << number;
  EXPECT_EQ(number.find("not valid JSON"), std::string::npos) << number;
  const auto escape = message(R"({"model":"m","input":"\ud83d"})");
  EXPECT_NE(escape.find("escape"), std::string::npos) << escape;
  EXPECT_EQ(escape.find("not valid JSON"), std::string::npos) << escape;
  EXPECT_NE(message(R"({"model":"m",})").find("not valid JSON"), std::string::npos);
}

TEST(jsonl, counts_images_at_least_once_each) {
  const auto p = parse(with_body(
      R"({"model":"m","messages":[{"content":[{"type":"image_url","image_url":{"url":"u"}},)"
      R"({"type":"text","text":"image_url"}]}]})"));
  EXPECT_EQ(p.code, "");
  EXPECT_GE(p.value.images, 1);
  EXPECT_EQ(parse(with_body(R"({"model":"m","input":"an image_url, in words"})")).value.images, 0);
}

TEST(jsonl, every_cut_of_a_good_line_is_bad) {
  const auto line =
      with_body(R"({"model":"m","messages":[{"role":"user","content":"é\"x"}],"n":2})");
  ASSERT_EQ(parse(line).code, "");
  for (std::size_t n = 0; n < line.size(); ++n) EXPECT_NE(parse(line.substr(0, n)).code, "") << n;
}

std::vector<std::pair<std::string, std::uint64_t>> lines_of(std::string_view text,
                                                            std::uint64_t first = 1) {
  std::vector<std::pair<std::string, std::uint64_t>> out;
  for (const auto& l : split_lines(text, first))
    out.emplace_back(text.substr(l.offset, l.length), l.number);
  return out;
}

TEST(split_lines, leaves_out_line_ends_and_blank_lines) {
  using lines = std::vector<std::pair<std::string, std::uint64_t>>;
  EXPECT_EQ(lines_of(""), lines{});
  EXPECT_EQ(lines_of("\n\r\n \t\n"), lines{});
  EXPECT_EQ(lines_of("a\nb"), (lines{{"a", 1}, {"b", 2}}));
  EXPECT_EQ(lines_of("a\r\n\r\n\nb\r\n", 10), (lines{{"a", 10}, {"b", 13}}));
  EXPECT_EQ(lines_of(" a \n"), (lines{{" a ", 1}}));
  EXPECT_EQ(lines_of("a\rb\n"), (lines{{"a\rb", 1}})) << "a carriage return alone ends nothing";
  EXPECT_EQ(lines_of(std::string_view("\0\n", 2)).size(), 1u) << "not blank: an invalid line";
}

TEST(hash_custom_id, is_stable_and_never_zero) {
  EXPECT_EQ(hash_custom_id("a"), hash_custom_id(std::string("a")));
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 10'000; ++i) seen.insert(hash_custom_id("id-" + std::to_string(i)));
  EXPECT_EQ(seen.size(), 10'000u);
  EXPECT_FALSE(seen.contains(0));
  // Stored in states: another value would forget the ids of resumed jobs.
  EXPECT_EQ(hash_custom_id("request-1"), 4002112897250542239u);
}

}  // namespace
}  // namespace spillway
