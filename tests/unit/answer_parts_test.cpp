// Answers of status 200 that are none: errors inside, parts missing, fewer of them than asked for.
#include "workers/providers/answer_parts.hpp"

#include "schemas/prompt.hpp"
#include "tests/unit/provider_verdict.hpp"

namespace spillway {
namespace {

constexpr std::string_view chat = "/v1/chat/completions", responses = "/v1/responses",
                           embeddings = "/v1/embeddings", completions = "/v1/completions";

struct recorded {
  std::string_view url;
  const char* body;
  const char* verdict;
  const char* code;
};

outcome decoded(std::string_view url, std::string body) {
  return decode_reply(provider_kind::openai, 200, std::move(body), {}, url);
}

TEST(answer_parts, an_error_or_nothing_inside_is_no_answer) {
  constexpr const char* broken = "malformed_response";
  const recorded rows[] = {
      {chat, R"({"id":"c","object":"chat.completion","choices":[]})", "Rhcd1", broken},
      {chat, R"({"choices":[{"index":0,"finish_reason":"stop"}]})", "Rhcd1", broken},
      {chat, R"({"choices":[{"index":0,"message":null,"finish_reason":"stop"}]})", "Rhcd1", broken},
      {chat, R"({"choices":[{"message":{"content":"a"}},{"index":1}]})", "Rhcd1", broken},
      {chat, R"({"choices":[null]})", "Rhcd1", broken},
      {chat, R"({"choices":[{"message":{"content":"ha"},"finish_reason":"error"}]})", "Rhc",
       "server_error"},
      {chat,
       R"({"choices":[{"message":{"content":"ha"},"finish_reason":"error","error":{"code":502,"message":"upstream"}}]})",
       "Rhc", "server_error"},
      {chat,
       R"({"choices":[{"message":{"content":""},"error":{"code":"rate_limit_exceeded","message":"m"}}]})",
       "Rq", "rate_limit_exceeded"},
      {chat,
       R"({"choices":[{"message":{"content":""}}],"error":{"message":"upstream failed","code":502}})",
       "Rhc", "server_error"},
      {chat,
       R"({"choices":[{"message":{"content":"x"}}],"error":"died","error_type":"overloaded"})",
       "Rhc", "server_error"},
      {chat,
       R"({"choices":[{"message":{"content":"x"}}],"error":{"code":"upstream_timeout","message":"m"}})",
       "Rhc", "upstream_timeout"},
      {chat, R"({"error":{"code":"overloaded","message":"m"}})", "Rhc", "overloaded"},
      {chat, R"({"choices":[{"error":{"code":"content_filter","message":"m"}}]})", "D",
       "content_filter"},
      {chat, R"({"choices":[{"message":{"content":"x"}}],"error":{}})", "A", ""},
      {chat, R"({"choices":[{"message":{"content":"x"}}],"error":0})", "A", ""},
      {chat, R"({"choices":[{"message":{"content":"x"}}],"error":""})", "A", ""},
      {completions, R"({"choices":[]})", "Rhcd1", broken},
      {completions, R"({"choices":[{"index":0,"finish_reason":"stop"}]})", "Rhcd1", broken},
      {completions, R"({"choices":[{"text":"a","finish_reason":"stop"}]})", "A", ""},
      {responses,
       R"({"object":"response","error":{"code":"server_error","message":"z"},"output":[]})", "Rhc",
       "server_error"},
      {responses,
       R"({"status":"completed","error":{"message":"z"},"output":[{"type":"message","content":[]}]})",
       "Rhc", "server_error"},
      {responses, R"({"object":"response","output":[]})", "Rhcd1", broken},
      {responses, R"({"object":"response","status":"completed"})", "Rhcd1", broken},
      {responses, R"({"status":"completed","error":null,"output":[]})", "A", ""},
      {embeddings, R"({"object":"list","data":[]})", "Rhcd1", broken},
      {embeddings, R"({"data":[{"index":0,"embedding":null}]})", "Rhcd1", broken},
      {embeddings, R"({"data":[{"index":0,"embedding":[]}]})", "Rhcd1", broken},
      {embeddings, R"({"data":[{"index":0,"embedding":[1,null]}]})", "Rhcd1", broken},
      {embeddings, R"({"data":[{"index":0,"embedding":""}]})", "Rhcd1", broken},
      {embeddings, R"({"data":[{"index":0}]})", "Rhcd1", broken},
      {embeddings, R"({"data":[{"embedding":[1]}],"error":{"message":"half"}})", "Rhc",
       "server_error"},
      {embeddings, R"({"data":[{"embedding":"AACAPw=="}]})", "A", ""},
      // What can't be read may be a gateway's: it is tried as often as any other failure.
      {chat, "<html>", "Rhcd", broken},
  };
  for (const auto& row : rows) {
    const auto o = decoded(row.url, row.body);
    EXPECT_EQ(verdict(o), row.verdict) << row.body;
    EXPECT_EQ(o.error_code, row.code) << row.body;
    EXPECT_EQ(o.error_message.empty(), o.kind == outcome_kind::answered) << row.body;
  }
}

TEST(answer_parts, what_is_no_answer_keeps_its_bill_and_its_body) {
  const std::string body = R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}})";
  const auto o = decoded(chat, body);
  EXPECT_EQ(verdict(o), "Rhcd1");
  EXPECT_EQ(o.usage.output, tokens(3));
  EXPECT_EQ(o.body, body);
}

struct asked_row {
  std::string_view url;
  const char* asked;
  const char* answer;
  const char* verdict;
};

TEST(answer_parts, as_many_as_were_asked_for) {
  const asked_row rows[] = {
      {embeddings, R"({"input":"a"})", R"({"data":[{"embedding":[1]}]})", "A"},
      {embeddings, R"({"input":"a"})", R"({"data":[{"embedding":[1]},{"embedding":[2]}]})",
       "Rhcd1"},
      {embeddings, R"({"input":["a"]})", R"({"data":[{"embedding":"AACAPw=="}]})", "A"},
      {embeddings, R"({"input":["a","b"]})", R"({"data":[{"embedding":[1]}]})", "Rhcd1"},
      {embeddings, R"({"input":["a","b"]})",
       R"({"object":"list","data":[{"embedding":[1e-3,2]},{"embedding":[2]}],"model":"e"})", "A"},
      {embeddings, R"({"input":[1,2,3]})", R"({"data":[{"embedding":[1]}]})", "A"},
      {embeddings, R"({"input":[[1,2],[3]]})", R"({"data":[{"embedding":[1]}]})", "Rhcd1"},
      {embeddings, R"({"input":{"of":"another kind"}})", R"({"data":[{"embedding":[1]}]})", "A"},
      {chat, R"({"n":2})", R"({"choices":[{"message":{"content":"a"}}]})", "Scd"},
      {chat, R"({"n":2})",
       R"({"choices":[{"message":{"content":"a"}},{"message":{"content":"b"}}]})", "A"},
      {chat, R"({"n":1})", R"({"choices":[{"message":{"content":"a"}}]})", "A"},
      {chat, R"({"n":null})", R"({"choices":[{"message":{"content":"a"}}]})", "A"},
      {chat, R"({"x":{"n":2}})", R"({"choices":[{"message":{"content":"a"}}]})", "A"},
      // A prompt that was blocked as a whole.
      {chat, R"({"n":3})",
       R"({"choices":[{"message":{"refusal":"no"},"finish_reason":"content_filter"}]})", "A"},
      {completions, R"({"prompt":["a","b"]})", R"({"choices":[{"text":"x"}]})", "Scd"},
      {completions, R"({"prompt":["a","b"]})", R"({"choices":[{"text":"x"},{"text":"y"}]})", "A"},
      {completions, R"({"prompt":"a","best_of":4})", R"({"choices":[{"text":"x"}]})", "A"},
      {completions, R"({"prompt":["a","b"],"n":2})",
       R"({"choices":[{"text":"x"},{"text":"y"},{"text":"z"}]})", "Scd"},
      {responses, R"({"n":2})", R"({"status":"completed","output":[]})", "A"},
  };
  for (const auto& row : rows) {
    auto o = decoded(row.url, row.answer);
    ASSERT_EQ(o.kind, outcome_kind::answered) << row.answer;
    o.usage.known = true;
    prompt_view prompt;
    prompt.url = row.url;
    prompt.body = row.asked;
    require_parts(prompt, provider_kind::openai, o);
    EXPECT_EQ(verdict(o), row.verdict) << row.asked << row.answer;
    EXPECT_EQ(o.error_code.empty(), o.kind == outcome_kind::answered) << row.asked;
    EXPECT_TRUE(o.usage.known) << "it was billed";
    EXPECT_EQ(o.body, row.answer);
  }
}

/// Other forms come as the OpenAI form, with as many parts as they had.
struct foreign_row {
  provider_kind kind;
  lane_surface surface;
  const char* model;
  std::string_view url;
  const char* asked;
  const char* answer;
  const char* verdict;
};

TEST(answer_parts, of_every_form) {
  const foreign_row rows[] = {
      {provider_kind::vertex, lane_surface::predict, "text-embedding-005", embeddings,
       R"({"input":["a","b"]})",
       R"({"predictions":[{"embeddings":{"values":[0.1],"statistics":{"token_count":3}}}]})",
       "Rhcd1"},
      {provider_kind::vertex, lane_surface::predict, "text-embedding-005", embeddings,
       R"({"input":"a"})", R"({"predictions":[{"embeddings":{"values":[0.1]}}]})", "A"},
      {provider_kind::vertex, lane_surface::predict, "text-embedding-005", embeddings,
       R"({"input":"a"})", R"({"predictions":[{"embeddings":{"values":[]}}]})", "Rhcd1"},
      {provider_kind::bedrock, lane_surface::invoke, "cohere.embed-english-v3", embeddings,
       R"({"input":["a","b"]})", R"({"embeddings":{"float":[[0.5]]}})", "Rhcd1"},
      {provider_kind::bedrock, lane_surface::invoke, "cohere.embed-english-v3", embeddings,
       R"({"input":["a","b"]})", R"({"embeddings":{"float":[[0.5],null]}})", "Rhcd1"},
      {provider_kind::bedrock, lane_surface::invoke, "cohere.embed-english-v3", embeddings,
       R"({"input":["a","b"]})", R"({"embeddings":{"float":[[0.5],[0.25]]}})", "A"},
      {provider_kind::bedrock, lane_surface::invoke, "amazon.titan-embed-text-v2:0", embeddings,
       R"({"input":["a"]})", R"({"embedding":[0.5],"inputTextTokenCount":1})", "A"},
      {provider_kind::bedrock, lane_surface::invoke, "amazon.titan-embed-text-v2:0", embeddings,
       R"({"input":"a"})", R"({"embedding":null})", "Rhcd1"},
      {provider_kind::vertex, lane_surface::generate_content, "gemini-3.8-flash", chat,
       R"({"n":2})",
       R"({"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]})", "Scd"},
      {provider_kind::vertex, lane_surface::generate_content, "gemini-3.8-flash", chat,
       R"({"n":2})", R"({"promptFeedback":{"blockReason":"SAFETY"}})", "A"},
  };
  for (const auto& row : rows) {
    pool_config pool;
    pool.provider = row.kind;
    pool.endpoint = "https://example.com";
    lane_config lane;
    lane.surface = row.surface;
    lane.model = lane.as = row.model;
    call_result call;
    call.written = true;
    call.response.status = 200;
    call.response.body = row.answer;
    auto o = make_provider(pool)->decode(row.url, call, lane);
    prompt_view prompt;
    prompt.url = row.url;
    prompt.body = row.asked;
    require_parts(prompt, row.kind, o);
    EXPECT_EQ(verdict(o), row.verdict) << row.asked << row.answer;
  }
}

}  // namespace
}  // namespace spillway
