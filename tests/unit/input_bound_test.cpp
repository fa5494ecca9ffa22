// Input that is billed and not in the body.
#include "workers/input_bound.hpp"

#include <gtest/gtest.h>

#include <string>

namespace spillway {
namespace {

std::string found(endpoint_kind endpoint, const std::string& rest) {
  const std::string body = R"({"model":"m",)" + rest + "}";
  return unbounded_input({url_of(endpoint), body, 9, 3});
}

TEST(unbounded_input, of_responses) {
  const auto in = [](const std::string& rest) { return found(endpoint_kind::responses, rest); };
  EXPECT_EQ(in(R"("input":"x","previous_response_id":"r")"), "previous_response_id");
  EXPECT_EQ(in(R"("input":"x","conversation":{"id":"c"})"), "conversation");
  EXPECT_EQ(in(R"("prompt":{"id":"p"})"), "prompt");
  for (const std::string tool : {"file_search", "web_search", "web_search_preview",
                                 "code_interpreter", "mcp", "image_generation"})
    EXPECT_EQ(
        in(R"("input":"x","tools":[{"type":"function","name":"f"},{"type":")" + tool + "\"}]"),
        "tools[]." + tool);
  const auto part = [&](const std::string& fields) {
    return in(R"("input":[{"role":"user","content":[{"type":"input_text","text":"x"},{)" + fields +
              "}]}]");
  };
  EXPECT_EQ(part(R"("type":"input_file","file_id":"f")"), "input[].input_file");
  EXPECT_EQ(part(R"("type":"input_file","file_data":"JVBERi0=")"), "input[].input_file");
  EXPECT_EQ(part(R"("type":"input_image","file_id":"f")"), "") << "an image is bounded";
  EXPECT_EQ(part(R"("type":"input_text","text":"input_file")"), "");
  EXPECT_EQ(in(R"("input":[{"type":"item_reference","id":"i"}])"), "input[].item_reference");
  EXPECT_EQ(in(R"("input":"x","previous_response_id":null,"conversation":null,"prompt":null)"), "");
  EXPECT_EQ(in(R"("input":"x","tools":[{"type":"function","name":"f"},{"type":"custom"}])"), "");
}

TEST(unbounded_input, of_a_chat) {
  const auto in = [](const std::string& rest) {
    return found(endpoint_kind::chat_completions, rest);
  };
  const auto part = [&](const std::string& fields) {
    return in(R"("messages":[{"role":"user","content":[{)" + fields + "}]}]");
  };
  EXPECT_EQ(part(R"("type":"file","file":{"file_id":"f"})"), "messages[].file");
  EXPECT_EQ(part(R"("type":"video_url","video_url":{"url":"https://x"})"), "messages[].video_url");
  EXPECT_EQ(part(R"("type":"image_url","image_url":{"url":"https://x"})"), "");
  EXPECT_EQ(part(R"("type":"input_audio","input_audio":{"data":"AA","format":"wav"})"), "");
  EXPECT_EQ(in(R"("messages":[{"role":"assistant","audio":{"id":"a"}}])"), "messages[].audio.id");
  EXPECT_EQ(in(R"("messages":[],"web_search_options":{})"), "web_search_options");
  EXPECT_EQ(in(R"("messages":[],"data_sources":[{"type":"azure_search"}])"), "data_sources");
  EXPECT_EQ(in(R"("messages":[],"tools":[{"type":"google_search"}])"), "tools[].google_search");
  EXPECT_EQ(in(R"("messages":[],"previous_response_id":"r")"), "") << "no key of a chat";
  EXPECT_EQ(in(R"("messages":[{"role":"user","content":"x"}],"tools":[{"type":"function",
    "function":{"name":"f","parameters":{"type":"object","properties":{"file":{}}}}}])"),
            "");
}

TEST(unbounded_input, other_endpoints_hold_all_of_theirs) {
  EXPECT_EQ(found(endpoint_kind::completions, R"("prompt":"x")"), "");
  EXPECT_EQ(found(endpoint_kind::embeddings, R"("input":["x"])"), "");
}

}  // namespace
}  // namespace spillway
