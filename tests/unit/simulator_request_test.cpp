// What the simulator reads of a request: head and body.
#include "workers/simulator/call_reader.hpp"
#include "workers/simulator/input_buffer.hpp"
#include "workers/simulator/request_head.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace spillway::simulated {
namespace {

using testing::HasSubstr;

TEST(simulator_head, what_matters_is_read_whatever_its_case) {
  const std::string text =
      "POST /p/v1/responses?api-version=x HTTP/1.1\r\nHost: h\r\nAUTHORIZATION:  Bearer k \r\n"
      "Api-Key: z\r\nContent-Length: 12\r\nexpect: 100-continue\r\nConnection: close\r\n\r\nrest";
  const parsed_head p = parse_head(text);
  ASSERT_EQ(p.state, head_state::complete);
  EXPECT_EQ(p.head.method, "POST");
  EXPECT_EQ(p.head.path, "/p/v1/responses");
  EXPECT_EQ(p.head.authorization, "Bearer k");
  EXPECT_EQ(p.head.api_key, "z");
  EXPECT_EQ(p.head.content_length, 12u);
  EXPECT_TRUE(p.head.expects_continue);
  EXPECT_FALSE(p.head.keep_alive);
  EXPECT_EQ(text.substr(p.size), "rest");
}

TEST(simulator_head, every_prefix_is_partial) {
  const std::string text = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
  for (std::size_t n = 0; n < text.size(); ++n)
    EXPECT_EQ(parse_head(text.substr(0, n)).state, head_state::partial) << n;
  EXPECT_TRUE(parse_head(text).head.keep_alive);
  EXPECT_FALSE(parse_head("GET / HTTP/1.0\r\n\r\n").head.keep_alive);
}

TEST(simulator_head, what_is_refused) {
  const auto state = [](std::string_view text) { return parse_head(text).state; };
  for (const char* bad :
       {"\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/2\r\n\r\n", " / HTTP/1.1\r\n\r\n",
        "GET x HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nnocolon\r\n\r\n",
        "GET / HTTP/1.1\r\n: v\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"})
    EXPECT_EQ(state(bad), head_state::malformed) << bad;
  EXPECT_EQ(state("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            head_state::length_required);
  for (const char* large : {"67108865", "99999999999999999999999"})
    EXPECT_EQ(state("POST / HTTP/1.1\r\nContent-Length: " + std::string(large) + "\r\n\r\n"),
              head_state::body_too_large);
  EXPECT_EQ(state("GET / HTTP/1.1\r\nA: " + std::string(head_bytes_max, 'x')),
            head_state::too_large);
}

class simulator_call : public testing::Test {
 protected:
  /// Facts of a body; fails the test when it is refused.
  const call_facts& read(call_kind kind, const std::string& body) {
    const call_facts* facts = try_read(kind, body);
    EXPECT_TRUE(facts) << reader_.problem().message;
    static const call_facts none;
    return facts ? *facts : none;
  }
  std::string refusal(call_kind kind, const std::string& body) {
    return try_read(kind, body) ? "" : reader_.problem().message + "|" + reader_.problem().param;
  }

 private:
  const call_facts* try_read(call_kind kind, const std::string& body) {
    buffer_ = body + std::string(call_reader::padding, 'x');
    return reader_.read(kind, std::string_view(buffer_).substr(0, body.size()));
  }
  call_reader reader_;
  std::string buffer_;
};

TEST_F(simulator_call, a_chat_call) {
  const auto& f = read(call_kind::chat, R"({"model":"m\u0041","temperature":0.5,"n":2,"messages":[
      {"role":"system","content":"12345678"},
      {"role":"user","content":[{"type":"text","text":"abcd [[id:x-1]]"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}],
      "max_completion_tokens":77,"tools":[{"deep":[1,null,true]}],"stream":false})");
  EXPECT_EQ(f.model, "mA");
  EXPECT_EQ(f.marker, "x-1");
  EXPECT_EQ(f.max_output, 77);
  EXPECT_EQ(f.choices, 2);
  EXPECT_EQ(f.input_tokens, (8 + 15 + 3) / 4 + 2 * 4 + 300);
}

TEST_F(simulator_call, the_id_is_the_marker_or_else_the_text) {
  const auto id = [&](const std::string& text, const std::string& more = "") {
    return read(call_kind::chat, R"({"model":"m","messages":[{"role":"user","content":")" + text +
                                     "\"}]" + more + "}")
        .id;
  };
  EXPECT_EQ(id("[[id:7]] one"), id("two [[id:7]]"));
  EXPECT_NE(id("[[id:7]]"), id("[[id:8]]"));
  EXPECT_EQ(id("same"), id("same", R"(,"max_tokens":5)"));
  EXPECT_EQ(id("A"), id("\\u0041")) << "the text counts, not how it is written";
  EXPECT_NE(id("same"), id("other"));
  EXPECT_NE(id("[[id:open"), id("[[id:open too")) << "no end, no marker";
}

TEST_F(simulator_call, inputs_of_responses_and_embeddings) {
  EXPECT_EQ(read(call_kind::responses, R"({"model":"m","instructions":"1234","input":"12345678",
      "max_output_tokens":9})")
                .input_tokens,
            3);
  EXPECT_EQ(
      read(call_kind::responses, R"({"model":"m","input":[{"role":"user","content":"12345678"}]})")
          .input_tokens,
      2 + 4);
  EXPECT_EQ(read(call_kind::embeddings, R"({"model":"m","input":"abc"})").inputs.size(), 1u);
  const auto& f =
      read(call_kind::embeddings,
           R"({"model":"m","input":["a","b","a"],"encoding_format":"base64","dimensions":256})");
  ASSERT_EQ(f.inputs.size(), 3u);
  EXPECT_EQ(f.inputs[0], f.inputs[2]);
  EXPECT_NE(f.inputs[0], f.inputs[1]);
  EXPECT_TRUE(f.base64);
  EXPECT_EQ(f.dimensions, 256);
  const auto& ids = read(call_kind::embeddings, R"({"model":"m","input":[1,2,3]})");
  EXPECT_EQ(ids.inputs.size(), 1u);
  EXPECT_EQ(ids.input_tokens, 3);
  EXPECT_EQ(read(call_kind::embeddings, R"({"model":"m","input":[[1,2],[3]]})").inputs.size(), 2u);
}

TEST_F(simulator_call, what_is_refused) {
  const auto chat = [&](const std::string& body) { return refusal(call_kind::chat, body); };
  for (const char* broken : {"", "{", "[]", "nonsense", "{\"model\":\"m\",\"messages\":[{]}",
                             "{\"model\":\"m\" \"messages\":[]}", "\xff\xfe"})
    EXPECT_NE(chat(broken), "") << broken;
  EXPECT_THAT(chat(R"({"messages":[]})"), HasSubstr("must provide a model"));
  EXPECT_THAT(chat(R"({"model":"m"})"), HasSubstr("'messages'"));
  EXPECT_THAT(chat(R"({"model":"m","messages":[],"max_tokens":"x"})"), HasSubstr("|max_tokens"));
  EXPECT_THAT(chat(R"({"model":"m","messages":[],"stream":true})"), HasSubstr("|stream"));
  EXPECT_THAT(chat(R"({"model":"m","messages":[],"n":0})"), HasSubstr("|n"));
  std::string deep = R"({"model":"m","messages":)";
  for (int i = 0; i < 500; ++i) deep += '[';
  for (int i = 0; i < 500; ++i) deep += ']';
  EXPECT_THAT(chat(deep + "}"), HasSubstr("|messages"));
}

TEST(simulator_buffer, bytes_survive_growing_and_moving) {
  input_buffer buffer;
  std::string all;
  std::size_t used = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string piece(static_cast<std::size_t>(i * 37), static_cast<char>('a' + i % 26));
    const auto room = buffer.room(piece.size() + 1);
    ASSERT_GE(room.size(), piece.size() + 1);
    std::copy(piece.begin(), piece.end(), room.begin());
    buffer.received(piece.size());
    all += piece;
    if (i % 3 == 0) {
      const std::size_t n = buffer.view().size() / 2;
      buffer.used(n);
      used += n;
    }
    ASSERT_EQ(buffer.view(), std::string_view(all).substr(used));
  }
  buffer.used(buffer.view().size());
  EXPECT_TRUE(buffer.view().empty());
}

}  // namespace
}  // namespace spillway::simulated
