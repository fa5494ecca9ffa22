// Prompts read as data: every key of a body is either mapped or noticed, and never lost.
#include "workers/provider.hpp"
#include "workers/providers/chat.hpp"
#include "workers/providers/chat_answer.hpp"
#include "workers/providers/embedding.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include <algorithm>
#include <random>
#include <string>

namespace spillway {
namespace {

constexpr std::string_view chat_url = "/v1/chat/completions";

std::string names(prompt_features features) {
  std::string out;
  for (const auto name : names_of(features)) out += (out.empty() ? "" : " ") + std::string(name);
  return out;
}

/// Without those that are pairs of others.
std::string features(std::string_view url, const std::string& body) {
  using enum prompt_feature;
  return names(features_of({url, body})
                   .without(sampling_with_reasoning | sampling_with_effort |
                            temperature_with_top_p | effort_without_room | tools_with_reasoning |
                            forced_with_effort | tools_with_json_object | tools_with_json_schema));
}

std::string parameters(std::string_view url, const std::string& body, prompt_features wanted) {
  std::string out;
  for (const auto& name : parameters_of({url, body}, wanted)) out += name + ' ';
  return out;
}

/// A chat body of one message and `members`.
std::string chat(const std::string& members) {
  return R"({"model":"m","messages":[{"role":"user","content":"hi"}])" +
         (members.empty() ? "" : "," + members) + "}";
}

std::string talk(const std::string& messages) { return R"({"messages":[)" + messages + "]}"; }

TEST(chat_reader, reads_every_field) {
  const auto read = read_chat(chat(
      R"("tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}}],
      "tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false,
      "max_tokens":5,"max_completion_tokens":7,"temperature":1.5,"top_p":1,"presence_penalty":0.5,
      "frequency_penalty":0,"stop":["a","","b\n"],"seed":-3,"n":2,"logprobs":true,"top_logprobs":3,
      "logit_bias":{"50256":-100},"reasoning_effort":"low","service_tier":"flex","user":"u",
      "response_format":{"type":"json_schema","json_schema":{"name":"s","description":"x","schema":{"type":"object"},"strict":false}})"));
  ASSERT_TRUE(read) << read.error().message;
  const chat_request& r = *read;
  ASSERT_EQ(r.tools.size(), 1u);
  EXPECT_EQ(r.tools[0].name + r.tools[0].description + r.tools[0].parameters_json,
            R"(fd{"type":"object"})");
  EXPECT_EQ(r.tools[0].strict, true);
  EXPECT_EQ(r.tool_choice, chat_tool_choice::named);
  EXPECT_EQ(r.tool_name, "f");
  EXPECT_EQ(r.parallel_tool_calls, false);
  EXPECT_EQ(r.max_tokens, 7);
  EXPECT_EQ(r.temperature, 1.5);
  EXPECT_EQ(r.top_p, 1.0);
  EXPECT_EQ(r.presence_penalty, 0.5);
  EXPECT_EQ(r.frequency_penalty, 0.0);
  EXPECT_EQ(r.stop, (std::vector<std::string>{"a", "b\n"}));
  EXPECT_EQ(r.seed, -3);
  EXPECT_EQ(r.n, 2);
  EXPECT_TRUE(r.logprobs);
  EXPECT_EQ(r.top_logprobs, 3);
  EXPECT_EQ(r.logit_bias_json, R"({"50256":-100})");
  EXPECT_EQ(r.reasoning_effort + r.service_tier + r.user, "lowflexu");
  EXPECT_EQ(r.format, chat_format::json_schema);
  EXPECT_EQ(r.schema_name + r.schema_description + r.schema_json, R"(sx{"type":"object"})");
  EXPECT_EQ(r.schema_strict, false);
}

TEST(chat_reader, reads_messages) {
  const auto read = read_chat(talk(
      R"({"role":"developer","content":"be \u00e9"},
      {"role":"user","content":[{"type":"text","text":"look"},
        {"type":"image_url","image_url":{"url":"data:image/JPG;base64,QUJD","detail":"auto"}},
        {"type":"image_url","image_url":{"url":"https://x/y.png"}}]},
      {"role":"assistant","content":null,"refusal":null,"annotations":[],
        "tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
      {"role":"tool","tool_call_id":"c1","name":"f","content":[{"type":"text","text":"42"}]},
      {"role":"assistant","content":[{"type":"refusal","refusal":"no"}]})"));
  ASSERT_TRUE(read) << read.error().message;
  const auto& m = read->messages;
  ASSERT_EQ(m.size(), 5u);
  EXPECT_EQ(m[0].role, chat_role::system);
  EXPECT_EQ(m[0].parts.at(0).text, "be é");
  ASSERT_EQ(m[1].parts.size(), 3u);
  EXPECT_EQ(m[1].parts[1].what, chat_part::kind::image_data);
  EXPECT_EQ(m[1].parts[1].media_type + m[1].parts[1].data, "image/jpegQUJD");
  EXPECT_EQ(m[1].parts[2].what, chat_part::kind::image_url);
  EXPECT_EQ(m[1].parts[2].text, "https://x/y.png");
  ASSERT_EQ(m[2].tool_calls.size(), 1u);
  EXPECT_EQ(m[2].tool_calls[0].id + m[2].tool_calls[0].name + m[2].tool_calls[0].arguments,
            R"(c1f{"a":1})");
  EXPECT_EQ(m[3].tool_call_id + m[3].name + m[3].parts.at(0).text, "c1f42");
  EXPECT_EQ(m[4].parts.at(0).what, chat_part::kind::refusal);
  EXPECT_EQ(names(read->features),
            "tools image_data image_url tools_with_reasoning assistant_last");
}

struct feature_case {
  const char* members;
  const char* features;
};

TEST(chat_features, of_each_key) {
  const feature_case cases[] = {
      {"", ""},
      {R"("user":"u","metadata":{"a":"b"},"store":true,"prompt_cache_key":"k")", ""},
      {R"("safety_identifier":"s","stream":false,"temperature":null,"odd":null)", ""},
      {R"("temperature":0)", "temperature"},
      {R"("temperature":1.0)", ""},
      {R"("temperature":1.01)", "temperature temperature_above_1"},
      {R"("top_p":1)", ""},
      {R"("top_p":0.99)", "top_p"},
      {R"("presence_penalty":0,"frequency_penalty":0.0)", ""},
      {R"("frequency_penalty":-0.1)", "penalties"},
      {R"("n":1)", ""},
      {R"("n":2)", "n"},
      {R"("stop":[])", ""},
      {R"("stop":"x")", "stop"},
      {R"("seed":0)", "seed"},
      {R"("logprobs":false)", ""},
      {R"("logprobs":true)", "logprobs"},
      {R"("top_logprobs":2)", "logprobs"},
      {R"("logit_bias":{})", ""},
      {R"("logit_bias":{"1":1})", "logit_bias"},
      {R"("tools":[])", ""},
      {R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto")", "tools"},
      {R"("tools":[{"type":"custom","custom":{"name":"f"}}])", "tools unknown_content"},
      {R"("tools":[{"type":"function","function":{"name":"f","odd":1}}])",
       "tools unknown_parameter"},
      {R"("tools":[{"type":"function","function":{"name":"f","strict":true}}])",
       "tools strict_tools"},
      {R"("tools":[{"type":"function","function":{"name":"f","strict":false}}])", "tools"},
      {R"("tool_choice":"none")", ""},
      {R"("tool_choice":"required")", "tool_choice"},
      {R"("tool_choice":{"type":"allowed_tools","allowed_tools":{}})", "unknown_content"},
      {R"("parallel_tool_calls":true)", ""},
      {R"("parallel_tool_calls":false)", "parallel_tool_calls"},
      {R"("response_format":{"type":"text"})", ""},
      {R"("response_format":{"type":"json_object"})", "json_object"},
      {R"("response_format":{"type":"grammar","grammar":"x"})",
       "unknown_parameter unknown_content"},
      {R"("reasoning_effort":"none")", "reasoning_off"},
      {R"("stop":["a"," \t\n"])", "stop blank_stop"},
      {R"("seed":-2147483648)", "seed"},
      {R"("seed":2147483648)", "seed wide_seed"},
      {R"("service_tier":"auto")", ""},
      {R"("service_tier":"default")", ""},
      {R"("service_tier":"priority")", "service_tier"},
      {R"("modalities":["text"])", ""},
      {R"("modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"})", "audio"},
      {R"("verbosity":"low")", "verbosity"},
      {R"("verbosity":"medium")", ""},
      {R"("top_k":5)", "unknown_parameter"},
      {R"("functions":[{"name":"f"}])", "unknown_content"},
      {R"("web_search_options":{})", "unknown_content"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(features(chat_url, chat(c.members)), c.features) << c.members;
}

TEST(chat_features, of_messages) {
  const feature_case cases[] = {
      {R"({"role":"user","content":"x","name":"bob"})", "unknown_parameter"},
      {R"({"role":"user","content":[{"type":"text","text":"x","cache_control":{}}]})",
       "unknown_parameter"},
      {R"({"role":"user","content":[{"type":"input_audio","input_audio":{}}]})", "audio"},
      {R"({"role":"user","content":[{"type":"file","file":{}}]})", "file_input"},
      {R"({"role":"user","content":[{"type":"video_url","video_url":{}}]})", "unknown_content"},
      {R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA","detail":"low"}}]})",
       "image_data image_detail"},
      {R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/tiff;base64,AA"}}]})",
       "image_data unknown_content"},
      {R"({"role":"tool","tool_call_id":"c","content":"x"})", "tools"},
      {R"({"role":"assistant","content":"x","reasoning_content":"y"})",
       "assistant_first assistant_last unknown_parameter"},
      {R"({"role":"assistant","function_call":{"name":"f"}})",
       "assistant_first assistant_last unknown_content"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(features(chat_url, talk(c.members)), c.features) << c.members;
}

TEST(chat_features, wrong_shapes_are_left_to_lanes_that_pass_bodies_on) {
  const std::string bodies[] = {"",
                                "[]",
                                "{",
                                "{}",
                                "\xff\xfe",
                                R"({"messages":[]})",
                                R"({"messages":{}})",
                                R"({"messages":["x"]})",
                                talk(R"({"role":"function","content":"x"})"),
                                talk(R"({"role":"user","content":5})"),
                                talk(R"({"role":"tool","content":"x"})"),
                                chat(R"("messages":[{"role":"user","content":"again"}])"),
                                chat(R"("temperature":"warm")"),
                                chat(R"("stop":[1])"),
                                chat(R"("n":0)"),
                                chat(R"("max_tokens":1.5)"),
                                chat(R"("stream":true)"),
                                chat(R"("response_format":{"type":"json_schema"})"),
                                chat(R"("tool_choice":"any")")};
  for (const auto& body : bodies) {
    EXPECT_FALSE(read_chat(body)) << body;
    EXPECT_TRUE(features_of({chat_url, body}).has(prompt_feature::unknown_content)) << body;
  }
}

TEST(chat_features, parameters_are_named) {
  using enum prompt_feature;
  const auto body = chat(
      R"("temperature":2,"odd":1,"verbosity":"low","seed":4,"presence_penalty":1,"frequency_penalty":1)");
  EXPECT_EQ(parameters(chat_url, body, temperature_above_1), "temperature ");
  EXPECT_EQ(parameters(chat_url, body, temperature | temperature_above_1), "temperature ");
  EXPECT_EQ(parameters(chat_url, body, unknown_parameter), "odd ");
  EXPECT_EQ(parameters(chat_url, body, verbosity), "verbosity ");
  EXPECT_EQ(parameters(chat_url, body, penalties | seed),
            "frequency_penalty presence_penalty seed ");
  EXPECT_EQ(parameters(chat_url, body, {}), "");
  EXPECT_EQ(
      parameters(chat_url, talk(R"({"role":"user","name":"b","content":"x"})"), unknown_parameter),
      "messages[].name ");
}

TEST(responses_features, of_each_key) {
  const feature_case cases[] = {
      {R"("input":"x","instructions":"y","max_output_tokens":5,"store":false)", ""},
      {R"("input":"x","temperature":1.2,"top_p":0.5)", "temperature temperature_above_1 top_p"},
      {R"("input":"x","reasoning":{"effort":"low"})", "reasoning_effort"},
      {R"("input":"x","text":{"verbosity":"high"})", "verbosity"},
      {R"("input":"x","include":[])", ""},
      {R"("input":"x","include":["message.output_text.logprobs"])", "logprobs"},
      {R"("input":"x","include":["reasoning.encrypted_content"])", "unknown_parameter"},
      {R"("input":"x","reasoning":{"effort":"low","summary":"auto"})",
       "reasoning_effort unknown_parameter"},
      {R"("input":"x","text":{"format":{"type":"json_schema","schema":{}}})", "json_schema"},
      {R"("input":"x","tools":[{"type":"function","name":"f"}],"tool_choice":"required")",
       "tools tool_choice"},
      {R"("input":"x","tools":[{"type":"web_search"}])", "tools unknown_content"},
      {R"("input":"x","previous_response_id":"r")", "unknown_content"},
      {R"("input":"x","background":true)", "unknown_parameter"},
      {R"("input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AA"},{"type":"input_text","text":"x"}]}])",
       "image_data"},
      {R"("input":[{"role":"user","content":[{"type":"input_image","image_url":"https://x"},{"type":"input_file","file_id":"f"}]}])",
       "image_url file_input"},
      {R"("input":[{"type":"function_call_output","call_id":"c","output":"x"}])", "tools"},
      {R"("input":[{"type":"item_reference","id":"c"}])", "unknown_content"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(features("/v1/responses", "{" + std::string(c.members) + "}"), c.features)
        << c.members;
}

TEST(embedding_features, of_each_key) {
  const feature_case cases[] = {
      {R"("input":"x","user":"u","encoding_format":"float")", ""},
      {R"("input":["x"])", ""},
      {R"("input":["x","y"])", "embedding_many"},
      {R"("input":[1,2,3])", "embedding_tokens"},
      {R"("input":[[1,2],[3]])", "embedding_tokens embedding_many"},
      {R"("input":"x","dimensions":256)", "dimensions"},
      {R"("input":"x","encoding_format":"base64")", "base64_vectors"},
      {R"("input":"x","input_type":"query")", "unknown_parameter"},
      {R"("input":[])", "unknown_content"},
      {R"("input":5)", "unknown_content"},
      {R"("input":"x","encoding_format":"int8")", "unknown_content"},
      {R"("dimensions":5)", "dimensions unknown_content"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(features("/v1/embeddings", "{" + std::string(c.members) + "}"), c.features)
        << c.members;
}

TEST(embedding_reader, reads_texts) {
  const auto read = read_embedding(
      R"({"model":"e","input":["a","b\n"],"dimensions":3,"encoding_format":"base64"})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->texts, (std::vector<std::string>{"a", "b\n"}));
  EXPECT_EQ(read->dimensions, 3);
  EXPECT_TRUE(read->features.has(prompt_feature::base64_vectors));
  EXPECT_EQ(read_embedding(R"({"input":"one"})")->texts.size(), 1u);
  EXPECT_TRUE(read_embedding(R"({"input":[7,8]})")->texts.empty());
  EXPECT_FALSE(read_embedding(R"({"input":{}})"));
  EXPECT_FALSE(read_embedding(R"(nonsense)"));
}

/// Every key that means something, with values of it and the feature it must raise ("" for none).
struct generated_key {
  const char* key;
  const char* value;
  const char* feature;
};

const generated_key generated[] = {
    {"temperature", "0.2", "temperature"},
    {"temperature", "1.7", "temperature_above_1"},
    {"temperature", "1", ""},
    {"top_p", "0.9", "top_p"},
    {"top_p", "1.0", ""},
    {"presence_penalty", "-1", "penalties"},
    {"frequency_penalty", "2", "penalties"},
    {"stop", R"(["."])", "stop"},
    {"stop", R"("\n")", "blank_stop"},
    {"seed", "11", "seed"},
    {"seed", "-2147483649", "wide_seed"},
    {"n", "3", "n"},
    {"logprobs", "true", "logprobs"},
    {"top_logprobs", "1", "logprobs"},
    {"logit_bias", R"({"3":1})", "logit_bias"},
    {"reasoning_effort", R"("high")", "reasoning_effort"},
    {"reasoning_effort", R"("none")", "reasoning_off"},
    {"verbosity", R"("high")", "verbosity"},
    {"service_tier", R"("flex")", "service_tier"},
    {"parallel_tool_calls", "false", "parallel_tool_calls"},
    {"tools", R"([{"type":"function","function":{"name":"f"}}])", "tools"},
    {"tool_choice", R"("required")", "tool_choice"},
    {"response_format", R"({"type":"json_object"})", "json_object"},
    {"response_format", R"({"type":"json_schema","json_schema":{"name":"s"}})", "json_schema"},
    {"modalities", R"(["audio"])", "audio"},
    {"max_tokens", "9", ""},
    {"user", R"("u")", ""},
    {"metadata", "{}", ""},
    {"thinking", "{}", "unknown_parameter"},
    {"min_p", "0.1", "unknown_parameter"},
};

/// The features that are pairs, told from the others and the effort in the text.
prompt_features pairs_in(prompt_features alone, const std::string& members) {
  using enum prompt_feature;
  const bool off = members.find(R"("reasoning_effort":"none")") != std::string::npos;
  const bool hard = members.find(R"("reasoning_effort":"high")") != std::string::npos;
  const auto any = [&](prompt_features of) { return !(alone & of).empty(); };
  prompt_features out;
  if (!off && any(temperature | top_p | penalties | logprobs)) out |= sampling_with_reasoning;
  if (hard && any(temperature | top_p)) out |= sampling_with_effort;
  if (alone.has(temperature) && alone.has(top_p) && !alone.has(temperature_above_1))
    out |= temperature_with_top_p;
  if (!off && alone.has(tools)) out |= tools_with_reasoning;
  if (hard && alone.has(tool_choice)) out |= forced_with_effort;
  if (hard && members.find(R"("max_tokens":9)") != std::string::npos) out |= effort_without_room;
  if (alone.has(tools) && alone.has(json_object)) out |= tools_with_json_object;
  if (alone.has(tools) && alone.has(json_schema)) out |= tools_with_json_schema;
  return out;
}

TEST(chat_features, turns_images_and_schemas_that_some_lanes_refuse) {
  const auto told = [](const std::string& messages) { return features(chat_url, talk(messages)); };
  EXPECT_EQ(told(R"({"role":"system","content":"s"},{"role":"assistant","content":"a"},
      {"role":"user","content":"u"})"),
            "assistant_first");
  EXPECT_EQ(told(R"({"role":"user","content":"u"},{"role":"assistant","content":"a"},
      {"role":"user","content":"u"})"),
            "");
  EXPECT_EQ(told(R"({"role":"user","content":"u"},{"role":"assistant","content":"a"},
      {"role":"system","content":"s"})"),
            "assistant_last");
  const auto image = [&](const std::string& url) {
    return told(R"({"role":"user","content":[{"type":"image_url","image_url":{"url":")" + url +
                R"("}}]})");
  };
  EXPECT_EQ(image("DATA:Image/PNG;BASE64,QUJD"), "image_data");
  EXPECT_EQ(image("data:image/png,hello"), "unknown_content") << "nothing to fetch either";
  EXPECT_EQ(image("https://x/data:image/png;base64,QUJD"), "image_url");
  const auto schema = [](const std::string& text, const std::string& more = R"(,"strict":true)") {
    return features(chat_url, chat(R"("response_format":{"type":"json_schema","json_schema":{)"
                                   R"("name":"s","schema":)" +
                                   text + more + "}}"));
  };
  EXPECT_EQ(schema(R"({"type":"object","additionalProperties":false})"), "json_schema");
  EXPECT_EQ(schema(R"({"anyOf":[{"additionalProperties":{"type":"integer"}}]})"),
            "json_schema open_schema");
  EXPECT_EQ(schema(R"({"properties":{"a":{"additionalProperties":true}}})"),
            "json_schema open_schema");
  EXPECT_EQ(schema(R"({"patternProperties":{"^a":{}}})"),
            "json_schema open_schema schema_constraints");
  // A property may be called like a keyword, and a value may look like a schema.
  EXPECT_EQ(schema(R"({"properties":{"pattern":{"type":"string"},"additionalProperties":{
      "enum":[{"minimum":1}],"default":{"maximum":2},"format":"date","minItems":1}}})"),
            "json_schema");
  for (const char* constraint : {R"("minimum":1)", R"("pattern":"a")", R"("minItems":2)",
                                 R"("uniqueItems":true)", R"("not":{})", R"("minLength":1)"})
    EXPECT_EQ(
        schema(R"({"properties":{"a":{"anyOf":[{"items":{)" + std::string(constraint) + "}}]}}}"),
        "json_schema schema_constraints")
        << constraint;
  EXPECT_EQ(schema(R"({"uniqueItems":false})"), "json_schema");
  EXPECT_EQ(schema(R"({"minimum":1})", ""), "json_schema") << "nobody enforces it";
  EXPECT_EQ(schema(R"({"properties":{"a":{"format":"int32"}}})"), "json_schema");
  const auto tool = [](const std::string& more) {
    return features(chat_url, chat(R"("tools":[{"type":"function","function":{"name":"f",)"
                                   R"("parameters":{"properties":{"a":{"minimum":1}}})" +
                                   more + "}}]"));
  };
  EXPECT_EQ(tool(""), "tools") << "nobody enforces it";
  EXPECT_EQ(tool(R"(,"strict":true)"), "tools strict_tools schema_constraints");
}

TEST(chat_features, pairs_name_what_has_to_go) {
  const auto body = chat(
      R"("temperature":0.5,"top_p":0.9,"logprobs":true,"reasoning_effort":"low","tools":[
      {"type":"function","function":{"name":"f"}}],"response_format":{"type":"json_object"})");
  using enum prompt_feature;
  EXPECT_EQ(parameters(chat_url, body, sampling_with_reasoning), "logprobs temperature top_p ");
  EXPECT_EQ(parameters(chat_url, body, sampling_with_effort), "temperature top_p ");
  EXPECT_EQ(parameters(chat_url, body, temperature_with_top_p), "top_p ");
  EXPECT_EQ(parameters(chat_url, body, tools_with_json_object), "response_format ");
  const auto stops = chat(R"("stop":["a"," "])");
  EXPECT_EQ(parameters(chat_url, stops, blank_stop), "stop[] ") << "the other one is kept";
  const auto hot = chat(R"("temperature":1.5,"top_p":0.3)");
  EXPECT_EQ(
      parameters(chat_url, hot,
                 features_of({chat_url, hot}) & (temperature_above_1 | temperature_with_top_p)),
      "temperature ")
      << "without it nothing is wrong with top_p";
  const std::string response = R"({"input":"x","temperature":0.5,"reasoning":{"effort":"none"}})";
  EXPECT_EQ(names(features_of({"/v1/responses", response})), "temperature reasoning_off");
  EXPECT_EQ(names(features_of({"/v1/responses", R"({"input":"x","top_p":0.5})"})),
            "top_p sampling_with_reasoning");
}

TEST(chat_features, what_goes_without_saying_restricts_nothing_but_is_not_sent_where_refused) {
  const auto body = chat(R"("temperature":1,"top_p":1.0)");
  EXPECT_EQ(names(features_of({chat_url, body})), "");
  EXPECT_EQ(parameters(chat_url, body, prompt_feature::temperature), "temperature ");
  const auto asked = read_chat(chat(R"("temperature":1,"top_p":0.5)"));
  ASSERT_TRUE(asked);
  const auto gone = withheld(*asked, prompt_feature::temperature_with_top_p);
  EXPECT_TRUE(gone.has(prompt_feature::temperature)) << "so that top_p can stay";
  EXPECT_FALSE(gone.has(prompt_feature::top_p));
}

TEST(chat_features, nothing_is_lost_from_generated_bodies) {
  std::mt19937 random(20260115);
  for (int round = 0; round < 3000; ++round) {
    std::string members, expected_names;
    prompt_features expected;
    std::vector<std::string> keys;
    for (const auto& g : generated) {
      if (random() % 4 != 0) continue;
      if (std::find(keys.begin(), keys.end(), g.key) != keys.end()) continue;
      keys.push_back(g.key);
      members += (members.empty() ? "" : ",") + ("\"" + std::string(g.key) + "\":" + g.value);
      for (unsigned i = 0; i < static_cast<unsigned>(prompt_feature::count); ++i)
        if (name_of(static_cast<prompt_feature>(i)) == g.feature)
          expected |= static_cast<prompt_feature>(i);
      if (expected.has(prompt_feature::temperature_above_1))
        expected |= prompt_feature::temperature;
      if (expected.has(prompt_feature::blank_stop)) expected |= prompt_feature::stop;
      if (expected.has(prompt_feature::wide_seed)) expected |= prompt_feature::seed;
    }
    expected |= pairs_in(expected, members);
    const auto body = chat(members);
    const prompt_view prompt{chat_url, body};
    ASSERT_EQ(names(features_of(prompt)), names(expected)) << body;
    const auto read = read_chat(body);
    ASSERT_TRUE(read) << body;
    ASSERT_EQ(read->features, expected) << body;
    for (const auto name : names_of(expected)) {  // each feature names a key that is there
      prompt_features one;
      for (unsigned i = 0; i < static_cast<unsigned>(prompt_feature::count); ++i)
        if (name_of(static_cast<prompt_feature>(i)) == name) one = static_cast<prompt_feature>(i);
      const auto carried = parameters_of(prompt, one);
      ASSERT_FALSE(carried.empty()) << name << ' ' << body;
      for (const auto& key : carried)
        ASSERT_NE(std::find(keys.begin(), keys.end(), key), keys.end()) << key << ' ' << body;
    }
  }
}

TEST(chat_features, damaged_bodies_are_read_or_marked) {
  const std::string whole = chat(
      R"("tools":[{"type":"function","function":{"name":"f","parameters":{"a":[1,2]}}}],"stop":["x"],"n":2)");
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string body = whole;
    for (unsigned k = random() % 3 + 1; k > 0; --k)
      body[random() % body.size()] =
          static_cast<char>(random() % 4 == 0 ? random() % 256 : "{}[]\",:0"[random() % 8]);
    const auto read = read_chat(body);
    const auto seen = features_of({chat_url, body});
    ASSERT_TRUE(read || seen.has(prompt_feature::unknown_content)) << body;
    if (read) {
      ASSERT_EQ(read->features, seen) << body;
    }
    static_cast<void>(features_of({"/v1/responses", body}));
    static_cast<void>(features_of({"/v1/completions", body}));
    static_cast<void>(read_embedding(body));
  }
}

TEST(chat_answer, is_one_line_in_the_openai_form) {
  chat_answer answer;
  answer.id = "chatcmpl-1";
  answer.model = "m\"x";
  answer.created = 1700000000;
  answer.choices.resize(2);
  answer.choices[0].text = "line\nend \"q\" é";
  answer.choices[1].refusal = "no";
  answer.choices[1].tool_calls.push_back({"c", "f", "{\"a\":\"\\n\"}"});
  answer.choices[1].finish_reason = "tool_calls";
  answer.usage = {true, tokens(10), tokens(4), tokens(7)};
  answer.reasoning_tokens = 3;
  answer.service_tier = "flex";
  const auto text = write_chat_answer(answer);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(boost::json::parse(text), boost::json::parse(R"({"id":"chatcmpl-1",
    "object":"chat.completion","created":1700000000,"model":"m\"x","choices":[
    {"index":0,"message":{"role":"assistant","content":"line\nend \"q\" é","refusal":null},
     "logprobs":null,"finish_reason":"stop"},
    {"index":1,"message":{"role":"assistant","content":null,"refusal":"no","tool_calls":[
      {"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":\"\\n\"}"}}]},
     "logprobs":null,"finish_reason":"tool_calls"}],"service_tier":"flex",
    "usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,
     "prompt_tokens_details":{"cached_tokens":4},
     "completion_tokens_details":{"reasoning_tokens":3}}})"));
}

TEST(chat_answer, embeddings_are_a_list) {
  embedding_answer answer{"e", {"[0.5,-1]", "[1]"}, false, {true, tokens(6), {}, {}}};
  EXPECT_EQ(write_embedding_answer(answer),
            R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1]},)"
            R"({"object":"embedding","index":1,"embedding":[1]}],"model":"e",)"
            R"("usage":{"prompt_tokens":6,"total_tokens":6}})");
  answer.base64 = true;  // struct.pack("<2f", 0.5, -1), struct.pack("<f", 1)
  const auto text = write_embedding_answer(answer);
  EXPECT_NE(text.find(R"("embedding":"AAAAPwAAgL8=")"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("embedding":"AACAPw==")"), std::string::npos) << text;
}

TEST(chat_answer, ids_come_from_the_provider_or_the_body) {
  EXPECT_EQ(answer_id("chatcmpl-", "abc", "x"), "chatcmpl-abc");
  EXPECT_EQ(answer_id("chatcmpl-", "", "x"), answer_id("chatcmpl-", "", "x"));
  EXPECT_NE(answer_id("chatcmpl-", "", "x"), answer_id("chatcmpl-", "", "y"));
}

}  // namespace
}  // namespace spillway
