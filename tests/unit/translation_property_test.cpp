// Whatever a prompt asks: it reaches the lane, or the lane says that it can't.
#include "tests/unit/provider_verdict.hpp"
#include "tests/unit/translation_harness.hpp"
#include "workers/providers/chat.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace spillway {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

/// A random chat body, and what has to be found again with the feature it stands for.
struct sample {
  std::string body;
  std::vector<std::pair<std::string, prompt_features>> marks;
};

class sampler {
 public:
  explicit sampler(unsigned seed) : random_(seed) {}

  sample make() {
    object body{{"model", "m"}};
    array messages;
    if (chance(2)) messages.push_back(message("system"));
    if (chance(4)) messages.push_back(message("developer"));
    for (unsigned turn = 0, turns = 1 + pick(3); turn < turns; ++turn) {
      messages.push_back(object{{"role", "user"}, {"content", parts()}});
      if (chance(3))
        add_calls(messages);
      else if (chance(2))
        messages.push_back(message("assistant"));
    }
    messages.push_back(message("user"));
    body["messages"] = std::move(messages);
    if (chance(2)) add_tools(body);
    add_settings(body);
    out_.body = boost::json::serialize(body);
    return std::move(out_);
  }

 private:
  unsigned pick(unsigned count) { return static_cast<unsigned>(random_() % count); }
  bool chance(unsigned one_in) { return pick(one_in) == 0; }

  std::string mark(prompt_features needs = {}) {
    auto text = "mark" + std::to_string(number(needs));
    return text;
  }
  std::int64_t number(prompt_features needs) {
    const std::int64_t n = 1'000'000 + count_++ * 1000 + pick(1000);
    out_.marks.emplace_back(std::to_string(n), needs);
    return n;
  }
  std::string text() {
    static constexpr const char* odd[] = {
        "", "\"quoted\\\"", "\n\t\x01", "h\xC3\xA9 \xF0\x9F\x99\x82", "</s>", "{\"a\":[1,2"};
    return odd[pick(std::size(odd))] + mark() + odd[pick(std::size(odd))];
  }
  object message(const char* role) { return {{"role", role}, {"content", text()}}; }

  value parts() {
    if (chance(2)) return value(text());
    array out{object{{"type", "text"}, {"text", text()}}};
    if (chance(2)) {
      const auto data = mark(prompt_feature::image_data);
      out.push_back(
          object{{"type", "image_url"}, {"image_url", {{"url", "data:image/png;base64," + data}}}});
    }
    if (chance(3)) {
      const auto url = "https://x.example/" + mark(prompt_feature::image_url);
      out.push_back(object{{"type", "image_url"}, {"image_url", {{"url", url}}}});
    }
    return out;
  }

  void add_calls(array& messages) {
    array calls, results;
    for (unsigned i = 0, n = 1 + pick(3); i < n; ++i) {
      const auto id = chance(3) ? "call_0" : "call_" + std::to_string(pick(1000));
      const auto arguments =
          chance(4) ? text() : boost::json::serialize(object{{"x", number({})}, {"y", text()}});
      calls.push_back(object{{"id", id},
                             {"type", "function"},
                             {"function", {{"name", mark()}, {"arguments", arguments}}}});
      results.push_back(object{{"role", "tool"}, {"tool_call_id", id}, {"content", text()}});
    }
    object asked{{"role", "assistant"}, {"tool_calls", std::move(calls)}};
    if (chance(2)) asked["content"] = text();
    messages.push_back(std::move(asked));
    for (auto& result : results) messages.push_back(std::move(result));
  }

  void add_tools(object& body) {
    array tools;
    std::string name;
    for (unsigned i = 0, n = 1 + pick(3); i < n; ++i) {
      name = mark();
      object function{{"name", name}, {"description", text()}};
      if (chance(2))
        function["parameters"] =
            object{{"type", "object"}, {"properties", {{mark(), {{"type", "string"}}}}}};
      tools.push_back(object{{"type", "function"}, {"function", std::move(function)}});
    }
    body["tools"] = std::move(tools);
    if (chance(3))
      body["tool_choice"] = object{{"type", "function"}, {"function", {{"name", name}}}};
  }

  void add_settings(object& body) {
    if (chance(2)) body["max_completion_tokens"] = number({});
    if (chance(2)) body["seed"] = number(prompt_feature::seed);
    if (chance(2)) body["stop"] = array{mark(prompt_feature::stop), mark(prompt_feature::stop)};
    if (chance(3))
      body["logit_bias"] = object{{std::to_string(number(prompt_feature::logit_bias)), 1}};
    if (chance(3)) {
      const auto name = mark(prompt_feature::json_schema);
      object property{{"type", "integer"}, {"maximum", number(prompt_feature::json_schema)}};
      object schema{{"type", "object"}, {"properties", {{name, std::move(property)}}}};
      body["response_format"] = object{
          {"type", "json_schema"}, {"json_schema", {{"name", "n"}, {"schema", std::move(schema)}}}};
    }
    if (chance(2)) body["temperature"] = decimal(prompt_feature::temperature);
    if (chance(2)) body["top_p"] = decimal(prompt_feature::top_p);
    if (chance(3)) body["presence_penalty"] = decimal(prompt_feature::penalties);
    if (chance(3)) body["frequency_penalty"] = decimal(prompt_feature::penalties);
  }
  /// Found by the digits after its point.
  double decimal(prompt_features needs) { return static_cast<double>(number(needs)) / 1e8; }

  std::mt19937 random_;
  sample out_;
  std::int64_t count_ = 0;
};

/// All texts, keys and numbers of a tree, also of JSON within texts, by their digits.
void collect(const value& from, std::string& into) {
  if (const auto* fields = from.if_object()) {
    for (const auto& [key, member] : *fields) {
      into.append(key).append("\n");
      collect(member, into);
    }
  } else if (const auto* list = from.if_array()) {
    for (const auto& item : *list) collect(item, into);
  } else if (const auto* text = from.if_string()) {
    into.append(*text).append("\n");
  } else if (const auto* number = from.if_double()) {
    into.append(std::to_string(std::llround(*number * 1e8))).append("\n");
  } else {
    into.append(boost::json::serialize(from)).append("\n");
  }
}

struct form {
  const char* name;
  provider_kind kind;
  const char* model;
  lane_surface surface;
};
const form forms[] = {
    {"generateContent", provider_kind::vertex, "gemini-2.5-flash", lane_surface::generate_content},
    {"generateContent 3", provider_kind::vertex, "gemini-3.8-flash",
     lane_surface::generate_content},
    {"responses", provider_kind::vertex, "gpt-6-sol", lane_surface::responses},
    {"messages", provider_kind::anthropic, "claude-sonnet-4-5", lane_surface::messages},
    {"messages 5", provider_kind::anthropic, "claude-opus-5-5", lane_surface::messages},
    {"converse", provider_kind::bedrock, "us.anthropic.claude-sonnet-4-5-v1:0",
     lane_surface::converse},
    {"converse gpt", provider_kind::bedrock, "global.openai.gpt-6-sol", lane_surface::converse},
    {"converse gpt-oss", provider_kind::bedrock, "openai.gpt-oss-120b-1:0", lane_surface::converse},
    {"converse llama", provider_kind::bedrock, "us.meta.llama4-scout-v1:0", lane_surface::converse},
    {"bedrock openai", provider_kind::bedrock, "openai.gpt-oss-120b-1:0", lane_surface::openai},
    {"bedrock openai gpt", provider_kind::bedrock, "openai.gpt-6-sol", lane_surface::openai},
    {"bedrock responses", provider_kind::bedrock, "openai.gpt-5.5", lane_surface::responses},
};

TEST(translations, nothing_asked_is_lost_unless_the_lane_says_so) {
  for (const form& f : forms) {
    const auto adapter = make_provider(cloud_pool(f.kind));
    const auto lane = cloud_lane(f.model, f.surface);
    const auto unmappable = adapter->unmappable(endpoint_kind::chat_completions, lane);
    std::size_t found = 0;
    for (unsigned seed = 0; seed < 400; ++seed) {
      const sample s = sampler(seed).make();
      const auto prompt = view_of(s.body);
      ASSERT_EQ(features_of(prompt) & prompt_feature::unknown_content, prompt_features()) << s.body;
      const auto sent = json(adapter->encode(prompt, lane).body);
      ASSERT_TRUE(sent.is_object()) << f.name << ' ' << s.body;
      std::string all;
      collect(sent, all);
      const auto lost = withheld(read_chat(s.body).value(), unmappable);
      for (const auto& [text, needs] : s.marks) {
        const bool there = all.find(text) != std::string::npos;
        found += there ? 1 : 0;
        if ((needs & lost) == prompt_features()) {
          EXPECT_TRUE(there) << f.name << " lost " << text << " of " << s.body << "\nin "
                             << boost::json::serialize(sent);
        }
      }
    }
    EXPECT_GT(found, 2000u) << f.name;
  }
}

TEST(translations, every_form_limits_an_answer_that_the_prompt_does_not) {
  for (const form& f : forms) {
    auto lane = cloud_lane(f.model, f.surface);
    lane.max_output_tokens = tokens(777);
    const std::string body = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
    const auto sent = make_provider(cloud_pool(f.kind))->encode(view_of(body), lane).body;
    EXPECT_NE(sent.find(":777"), std::string::npos) << f.name << ' ' << sent;
  }
}

TEST(translations, droppable_features_a_lane_lacks_are_not_sent) {
  for (const form& f : forms) {
    const auto adapter = make_provider(cloud_pool(f.kind));
    const auto lane = cloud_lane(f.model, f.surface);
    const auto unmappable = adapter->unmappable(endpoint_kind::chat_completions, lane);
    for (unsigned seed = 0; seed < 100; ++seed) {
      const sample s = sampler(seed).make();
      std::string all;
      collect(json(adapter->encode(view_of(s.body), lane).body), all);
      const auto dropped = withheld(read_chat(s.body).value(), unmappable) & droppable_features;
      for (const auto& [text, needs] : s.marks) {
        if ((needs & dropped) != prompt_features()) {
          EXPECT_EQ(all.find(text), std::string::npos) << f.name << ' ' << text;
        }
      }
    }
  }
}

const char* const answers[] = {
    R"({"candidates":[{"content":{"role":"model","parts":[{"text":"hi"},{"functionCall":{"name":"f",
      "args":{"a":1}},"thoughtSignature":"c2ln"}]},"finishReason":"STOP","logprobsResult":{
      "chosenCandidates":[{"token":"a","logProbability":-0.5}],"topCandidates":[{"candidates":[
      {"token":"a","logProbability":-0.5}]}]}}],"usageMetadata":{"promptTokenCount":1,
      "totalTokenCount":9223372036854775807},"promptFeedback":{"blockReason":"SAFETY"}})",
    R"({"id":"r","status":"completed","output":[{"type":"message","content":[{"type":"output_text",
      "text":"x","logprobs":[{"token":"a"}]},{"type":"refusal","refusal":"no"}]},{"type":
      "function_call","call_id":"c","name":"f","arguments":"{}"}],"usage":{"input_tokens":1,
      "output_tokens":9223372036854775807}})",
    R"({"id":"m","content":[{"type":"text","text":"x"},{"type":"tool_use","id":"t","name":"f",
      "input":{"a":[]}}],"stop_reason":"refusal","stop_details":{"explanation":"e"},"usage":{
      "input_tokens":9223372036854775807,"cache_read_input_tokens":9223372036854775807,
      "output_tokens":1}})",
    R"({"predictions":[{"embeddings":{"values":[1,2],"statistics":{"token_count":1e300}}}]})",
    R"([{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m","details":[{"@type":
      "type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3s"}]}}])",
    R"({"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":
      "ramp_limit_exceeded"}}})",
    R"({"output":{"message":{"role":"assistant","content":[{"text":"x"},{"toolUse":{"toolUseId":"t",
      "name":"f","input":{"a":[1]}}},{"citationsContent":{"content":[{"text":"y"}]}}]}},
      "stopReason":"malformed_tool_use","serviceTier":{"type":"flex"},"usage":{"inputTokens":
      9223372036854775807,"outputTokens":9223372036854775807,"cacheReadInputTokens":1},
      "additionalModelResponseFields":{"usage":{"output_tokens_details":{"thinking_tokens":5}}}})",
    R"({"embedding":[0.5,1],"embeddings":{"float":[[1],[2]]},"inputTextTokenCount":3})",
    R"({"__type":"a#ModelErrorException:x","originalStatusCode":500,"Message":"tokens per day"})",
    R"({"id":"c","choices":[{"message":{"content":"<reasoning>x</reasoning>y","tool_calls":[
      {"id":"call_0","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}]})",
};

TEST(translations, damaged_answers_are_read_without_harm) {
  std::mt19937 random(7);
  const auto damage = [&](std::string text) {
    for (unsigned cuts = static_cast<unsigned>(random() % 4); cuts > 0 && !text.empty(); --cuts) {
      const std::size_t at = random() % text.size();
      switch (random() % 4) {
        case 0: text.erase(at, 1 + random() % 9); break;
        case 1: text[at] = static_cast<char>(random()); break;
        case 2: text.insert(at, text.substr(random() % text.size(), random() % 20)); break;
        default: text.insert(at, "\"{}[]:,0\\\xFF" + random() % 9, 1); break;
      }
    }
    return text;
  };
  for (const form& f : forms) {
    const auto adapter = make_provider(cloud_pool(f.kind));
    for (const lane_surface surface :
         {f.surface, lane_surface::predict, lane_surface::invoke, lane_surface::openai}) {
      const auto lane = cloud_lane(f.model, surface);
      for (int i = 0; i < 600; ++i) {
        const int status = i % 3 == 0 ? 429 : 200;
        const auto o =
            adapter->decode("/v1/chat/completions",
                            reply(status, damage(answers[random() % std::size(answers)])), lane);
        EXPECT_EQ(o.kind == outcome_kind::answered, o.error_code.empty());
        if (o.kind == outcome_kind::answered) {
          EXPECT_TRUE(json(o.body).is_object()) << o.body;
        }
        if (!o.body.empty()) {
          EXPECT_EQ(o.body.find('\n'), std::string::npos);
        }
      }
    }
  }
}

TEST(translations, damaged_prompts_are_written_as_json) {
  std::mt19937 random(11);
  for (const form& f : forms) {
    const auto adapter = make_provider(cloud_pool(f.kind));
    const auto lane = cloud_lane(f.model, f.surface);
    if (f.surface == lane_surface::openai) continue;  // passed on as they are
    for (unsigned seed = 0; seed < 100; ++seed) {
      auto s = sampler(seed).make();
      const std::size_t at = random() % s.body.size();
      s.body[at] = static_cast<char>(random());
      const auto out = adapter->encode({"/v1/chat/completions", s.body, 0, 3}, lane);
      EXPECT_TRUE(json(out.body).is_object()) << out.body;
    }
  }
}

}  // namespace
}  // namespace spillway
