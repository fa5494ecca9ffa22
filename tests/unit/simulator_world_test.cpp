// Decisions of the simulated providers in fake time: replies in each provider's form, counters.
#include "tests/unit/simulator_harness.hpp"

#include <gmock/gmock.h>

namespace spillway::simulated {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

TEST_F(simulator_world, chat_answers_in_each_providers_form) {
  auto openai = pool("o"), azure = pool("a", provider_kind::azure_openai),
       vllm = pool("v", provider_kind::openai_compatible);
  for (auto* p : {&openai, &azure, &vllm}) p->cached_share = 0.5;
  open({openai, azure, vllm});
  const reply o = chat("/o/v1", "[[id:q1]] hello there", R"(,"n":2)");
  EXPECT_EQ(o.what.status, 200);
  EXPECT_EQ(o.at("/object"), "chat.completion");
  EXPECT_EQ(o.at("/created"), 1'800'000'000);
  EXPECT_EQ(o.at("/choices/1/index"), 1);
  EXPECT_EQ(o.at("/choices/0/finish_reason"), "stop");
  EXPECT_THAT(o.at("/choices/0/message/content").as_string().c_str(),
              testing::StartsWith("[[re:q1]] "));
  EXPECT_EQ(o.at("/usage/prompt_tokens"), 6 + 4);
  EXPECT_EQ(o.at("/usage/prompt_tokens_details/cached_tokens"), 5);
  EXPECT_EQ(o.at("/usage/total_tokens").as_int64(),
            10 + o.at("/usage/completion_tokens").as_int64());
  EXPECT_THAT(o.header("x-request-id"), testing::StartsWith("req_"));

  const reply a = chat("/a/openai/v1", "[[id:q1]] hello there");
  EXPECT_EQ(a.at("/choices/0/message/content"), o.at("/choices/0/message/content"));
  EXPECT_FALSE(a.at("/prompt_filter_results/0/content_filter_results/hate/filtered").as_bool());
  EXPECT_EQ(a.header("apim-request-id").size(), 36u);

  const reply v = chat("/v/v1", "[[id:q1]] hello there");
  EXPECT_EQ(v.at("/choices/0/message/content"), o.at("/choices/0/message/content"));
  EXPECT_EQ(v.at("/usage/prompt_tokens_details/cached_tokens"), 5);
  EXPECT_TRUE(v.at("/kv_transfer_params").is_null());
  EXPECT_THAT(v.head, Not(HasSubstr("ratelimit")));
}

TEST_F(simulator_world, the_limit_on_output_cuts_the_answer) {
  auto p = pool("o");
  p.price = {pico_usd_per_token(1'000'000), pico_usd_per_token(2'000'000), {}};
  open({p});
  const reply r = chat("/o/v1", "1234", R"(,"max_tokens":3)");
  EXPECT_EQ(r.at("/choices/0/finish_reason"), "length");
  EXPECT_EQ(r.at("/usage/completion_tokens"), 3);
  EXPECT_EQ(stat("/input_tokens"), 5);
  EXPECT_NEAR(json::parse(world_->stats()).at("billed_usd").as_double(), (5 + 3 * 2) / 1e6, 1e-12);
}

TEST_F(simulator_world, responses_and_embeddings) {
  open({pool("o")});
  const reply r = post("/o/v1/responses", R"({"model":"m","input":"hi","max_output_tokens":2})");
  EXPECT_EQ(r.at("/status"), "incomplete");
  EXPECT_EQ(r.at("/incomplete_details/reason"), "max_output_tokens");
  EXPECT_EQ(r.at("/output/0/content/0/type"), "output_text");
  EXPECT_EQ(r.at("/usage/output_tokens"), 2);
  const reply e = post("/o/v1/embeddings", R"({"model":"m","input":["a","b"],"dimensions":3})");
  EXPECT_EQ(e.at("/data").as_array().size(), 2u);
  EXPECT_EQ(e.at("/data/1/embedding").as_array().size(), 3u);
  EXPECT_EQ(e.at("/usage/prompt_tokens"), e.at("/usage/total_tokens"));
  const reply b = post("/o/v1/embeddings",
                       R"({"model":"m","input":"a","dimensions":3,"encoding_format":"base64"})");
  EXPECT_EQ(b.at("/data/0/embedding").as_string().size(), 16u) << "12 bytes";
}

TEST_F(simulator_world, refusals_by_quota_in_each_providers_form) {
  std::vector<pool_spec> pools{pool("o"), pool("a", provider_kind::azure_openai),
                               pool("v", provider_kind::openai_compatible)};
  for (auto& p : pools) {
    p.quota.rpm = 6;
    p.quota.burst = 10s;  // one request
  }
  open(pools);
  for (const char* base : {"/o/v1", "/a/openai/v1", "/v/v1"})
    EXPECT_EQ(chat(base, "x").what.status, 200);
  now_ += 500ms;
  const reply o = chat("/o/v1", "x");
  EXPECT_EQ(o.what.status, 429);
  EXPECT_EQ(o.at("/error/code"), "rate_limit_exceeded");
  EXPECT_EQ(o.at("/error/type"), "requests");
  EXPECT_THAT(o.text, HasSubstr("Limit 6, Used 6, Requested 1. Please try again in 9.5s."));
  EXPECT_EQ(o.header("retry-after-ms"), "9500");
  EXPECT_EQ(o.header("retry-after"), "10");
  EXPECT_EQ(o.header("x-ratelimit-limit-requests"), "6");
  EXPECT_EQ(o.header("x-ratelimit-remaining-requests"), "0");
  EXPECT_EQ(o.header("x-ratelimit-reset-requests"), "9.5s");
  const reply a = chat("/a/openai/v1", "x");
  EXPECT_EQ(a.at("/error/code"), "429");
  EXPECT_THAT(a.text, HasSubstr("call rate limit"));
  EXPECT_EQ(a.header("x-ratelimit-reset-requests"), "10") << "plain seconds";
  const reply v = chat("/v/v1", "x");
  EXPECT_EQ(v.at("/error/code"), 429);
  EXPECT_EQ(v.header("retry-after"), "10");
  EXPECT_EQ(v.header("retry-after-ms"), "");
  EXPECT_EQ(stat("/refused_429"), 3);
  EXPECT_EQ(stat("/pools/o/distinct_ids"), 1);
  EXPECT_EQ(stat("/repeated_ids"), 2) << "the same prompt in three pools; refusals do not count";
  now_ += 9500ms;
  EXPECT_EQ(chat("/o/v1", "x").what.status, 200);
  EXPECT_EQ(stat("/pools/o/repeated_ids"), 1);
}

TEST_F(simulator_world, a_call_larger_than_the_limit_is_told_so) {
  auto o = pool("o"), a = pool("a", provider_kind::azure_openai);
  o.quota.tpm = a.quota.tpm = 100;
  open({o, a});
  const reply r = chat("/o/v1", "x", R"(,"max_tokens":500)");
  EXPECT_THAT(r.text, HasSubstr("Request too large for m"));
  EXPECT_THAT(r.text, HasSubstr("Limit 100, Requested 500."));
  EXPECT_EQ(r.header("retry-after"), "");
  EXPECT_THAT(chat("/a/openai/v1", "x", R"(,"max_tokens":500)").text,
              HasSubstr("retry after 86400 seconds"));
}

TEST_F(simulator_world, keys_models_and_paths) {
  auto o = pool("o"), a = pool("a", provider_kind::azure_openai),
       v = pool("v", provider_kind::openai_compatible);
  for (auto* p : {&o, &a, &v}) {
    p->api_key = "k";
    p->models = {"m"};
  }
  open({o, a, v});
  const std::string call = R"({"model":"m","messages":[]})";
  const auto status = [&](const std::string& base, const std::string& key) {
    return post(base + "/chat/completions", call, key).what.status;
  };
  EXPECT_EQ(status("/o/v1", "Authorization: Bearer k\r\n"), 200);
  EXPECT_EQ(status("/o/v1", "Authorization: Bearer x\r\n"), 401);
  EXPECT_EQ(status("/o/v1", "api-key: k\r\n"), 401);
  EXPECT_EQ(status("/a/openai/v1", "api-key: k\r\n"), 200);
  EXPECT_EQ(status("/a/openai/v1", "Authorization: Bearer k\r\n"), 200);
  EXPECT_EQ(status("/a/openai/v1", ""), 401);
  EXPECT_EQ(status("/a/v1", "api-key: k\r\n"), 404);
  EXPECT_EQ(post("/v/v1/chat/completions", call).text, R"({"error":"Unauthorized"})");
  const auto missing = [&](const std::string& base) {
    return post(base + "/chat/completions", R"({"model":"n\"","messages":[]})",
                "Authorization: Bearer k\r\n");
  };
  EXPECT_EQ(missing("/o/v1").at("/error/code"), "model_not_found");
  EXPECT_EQ(missing("/a/openai/v1").at("/error/code"), "DeploymentNotFound");
  EXPECT_EQ(missing("/v/v1").at("/error/code"), 404);
  EXPECT_EQ(post("/o/v1/files", "", "Authorization: Bearer k\r\n").at("/error/code"),
            "unknown_url");
  EXPECT_EQ(post("/o/v1/responses", "{", "Authorization: Bearer k\r\n").what.status, 400);
  EXPECT_THAT(get("/nobody/v1/models").head, HasSubstr("404"));
  EXPECT_THAT(get("/o/health").head, HasSubstr("200 OK"));
  EXPECT_THAT(get("/o/v1/models").head, HasSubstr("401"));
  EXPECT_THAT(send("GET /o/v1/models HTTP/1.1\r\nAuthorization: Bearer k\r\n\r\n").text,
              HasSubstr(R"("id":"m")"));
}

TEST_F(simulator_world, faults_by_share) {
  auto failing = pool("failing"), hanging = pool("hanging"), cut = pool("cut"),
       broke = pool("broke");
  failing.faults = {fault(fault_kind::error)};
  failing.faults[0].status = 503;
  hanging.faults = {fault(fault_kind::hang)};
  hanging.quota.concurrency = 1;
  cut.faults = {fault(fault_kind::reset)};
  cut.price.input = pico_usd_per_token(1'000'000);
  broke.faults = {fault(fault_kind::error)};
  broke.faults[0].status = 429;
  broke.faults[0].code = "insufficient_quota";
  broke.faults[0].retry_after = 3s;
  open({failing, hanging, cut, broke});

  EXPECT_EQ(chat("/failing/v1", "x").at("/error/code"), "server_is_overloaded");
  EXPECT_EQ(stat("/pools/failing/failed_5xx"), 1);
  EXPECT_EQ(stat("/pools/failing/distinct_ids"), 1);

  const reply hung = post("/hanging/v1/chat/completions", R"({"model":"m","messages":[]})");
  EXPECT_EQ(hung.what.what, action::hang);
  EXPECT_EQ(chat("/hanging/v1", "x").what.status, 429)
      << "the place is taken until the client goes";
  world_->finish(hung.what, false);
  EXPECT_EQ(stat("/pools/hanging/dropped"), 1);
  EXPECT_EQ(chat("/hanging/v1", "x").what.what, action::hang);

  EXPECT_EQ(chat("/cut/v1", "1234").what.what, action::reset);
  EXPECT_EQ(stat("/pools/cut/dropped"), 1);
  EXPECT_EQ(stat("/pools/cut/answered"), 0);
  EXPECT_EQ(stat("/pools/cut/input_tokens"), 5) << "the answer had been made: billed";

  const reply no_money = chat("/broke/v1", "x");
  EXPECT_EQ(no_money.at("/error/code"), "insufficient_quota");
  EXPECT_EQ(no_money.header("retry-after"), "3");
  EXPECT_EQ(stat("/pools/broke/refused_429"), 1);
  EXPECT_EQ(stat("/pools/broke/distinct_ids"), 0) << "refused";
}

TEST_F(simulator_world, faults_by_time) {
  auto p = pool("o");
  p.faults = {fault(fault_kind::down), fault(fault_kind::missing_model), fault(fault_kind::quota)};
  p.faults[0].from = 5s;
  p.faults[0].to = 6s;
  p.faults[1].to = 1s;
  p.faults[2].from = 8s;
  p.faults[2].to = 20s;
  p.faults[2].factor = 0;
  p.quota.rpm = 600;
  auto closing = p;
  closing.name = "closing";
  closing.faults[0].close = true;
  open({p, closing});
  EXPECT_EQ(chat("/o/v1", "x").what.status, 404);
  now_ = start + 2s;
  EXPECT_EQ(chat("/o/v1", "x").what.status, 200);
  now_ = start + 5s;
  EXPECT_EQ(chat("/o/v1", "x").what.status, 503);
  EXPECT_THAT(get("/o/health").head, HasSubstr("503"));
  EXPECT_EQ(chat("/closing/v1", "x").what.what, action::close);
  now_ = start + 9s;
  const reply none = chat("/o/v1", "x");
  EXPECT_EQ(none.what.status, 429);
  EXPECT_EQ(none.header("retry-after"), "11") << "until the quota comes back";
}

TEST_F(simulator_world, calls_in_flight_are_counted_to_their_peak) {
  auto p = pool("o");
  p.latency.median = 20ms;
  open({p, pool("other")});
  std::vector<verdict> open_calls;
  for (int i = 0; i < 3; ++i) {
    open_calls.push_back(
        post("/o/v1/chat/completions", R"({"model":"m","messages":[)" + std::to_string(i) + "]}")
            .what);
    EXPECT_EQ(open_calls.back().delay, 20ms);
  }
  EXPECT_EQ(stat("/in_flight"), 3);
  for (const auto& v : open_calls) world_->finish(v, true);
  chat("/o/v1", "again");
  chat("/other/v1", "again");
  EXPECT_EQ(stat("/in_flight"), 0);
  EXPECT_EQ(stat("/pools/o/peak_concurrency"), 3);
  EXPECT_EQ(stat("/pools/o/answered"), 4);
  EXPECT_EQ(stat("/distinct_ids"), 4);
  EXPECT_EQ(stat("/repeated_answers"), 1);
  EXPECT_EQ(stat("/pools/other/repeated_answers"), 0);
}

TEST(simulator_reply, go_durations) {
  const auto text = [](duration d) {
    std::string out;
    append_go_duration(d, out);
    return out;
  };
  EXPECT_EQ(text(0s), "0s");
  EXPECT_EQ(text(1ns), "1ms") << "rounded up";
  EXPECT_EQ(text(20ms), "20ms");
  EXPECT_EQ(text(1s), "1s");
  EXPECT_EQ(text(6min), "6m0s");
  EXPECT_EQ(text(17h + 3min + 2500ms), "17h3m2.5s");
  EXPECT_EQ(text(1h), "1h0m0s");
  EXPECT_EQ(text(1010ms), "1.01s");
}

}  // namespace
}  // namespace spillway::simulated
