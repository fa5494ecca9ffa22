#include "orchestrator/cli/pool_check.hpp"

#include "connectors/jsonl.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr time_point noon = std::chrono::sys_days(std::chrono::year(2026) / 9 / 20) + 12h;

pool_config pool(provider_kind provider = provider_kind::openai) {
  pool_config p;
  p.name = "p";
  p.provider = provider;
  p.endpoint = "https://example.com/v1";
  p.auth = api_key_auth{};
  for (const char* as : {"gpt-a", "gpt-b"}) {
    lane_config lane;
    lane.model = lane.as = as;
    p.lanes.push_back(lane);
  }
  return p;
}

http_response answer(int status, std::string body, std::string date = "") {
  http_response r;
  r.status = status;
  r.body = std::move(body);
  if (!date.empty()) r.headers.emplace_back("date", std::move(date));
  return r;
}

outcome refused(outcome_kind kind, down_cause down, int status, std::string code) {
  outcome out;
  out.kind = kind;
  out.down = down;
  out.status = status;
  out.error_code = std::move(code);
  return out;
}

TEST(pool_check, models_are_listed_beside_the_calls) {
  EXPECT_EQ(models_path("/v1/chat/completions"), "/v1/models");
  EXPECT_EQ(models_path("/openai/v1/embeddings"), "/openai/v1/models");
  EXPECT_EQ(models_path("/v1/messages"), "/v1/models");
  EXPECT_EQ(models_path("/openai/deployments/d/chat/completions?api-version=2024-10-21"),
            "/openai/models?api-version=2024-10-21");
  EXPECT_EQ(models_path("/model/x/converse"), "");
}

TEST(pool_check, a_list_proves_credentials_and_models) {
  const auto found = judge_list(
      pool(), answer(200, R"({"object":"list","data":[{"id":"gpt-a","object":"model"}]})"), {});
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].what, "credentials");
  EXPECT_EQ(found[0].level, check_level::ok);
  EXPECT_EQ(found[1].lane, "gpt-a");
  EXPECT_EQ(found[1].level, check_level::ok);
  EXPECT_EQ(found[2].level, check_level::problem);
  EXPECT_THAT(found[2].text, HasSubstr("does not list gpt-b; it lists gpt-a"));
  EXPECT_FALSE(found[2].remedy.empty());
}

TEST(pool_check, azure_lists_models_and_not_deployments) {
  const auto found = judge_list(pool(provider_kind::azure_openai),
                                answer(200, R"({"data":[{"id":"gpt-a"}]})"), {});
  EXPECT_EQ(found[2].level, check_level::warning);
  EXPECT_THAT(found[2].remedy, HasSubstr("--send"));
}

TEST(pool_check, what_is_no_list_proves_no_model) {
  for (const char* body : {"", "<html>", "[]", R"({"data":{}})", R"({"models":[]})"}) {
    EXPECT_FALSE(read_model_list(body)) << body;
    const auto found = judge_list(pool(), answer(200, body), {});
    EXPECT_EQ(found[1].level, check_level::warning) << body;
  }
  const auto local = pool(provider_kind::openai_compatible);
  EXPECT_EQ(judge_list(local, answer(404, ""), {})[0].level, check_level::warning);
}

TEST(pool_check, servers_of_ones_own_tell_their_health) {
  EXPECT_TRUE(tells_health(pool(provider_kind::openai_compatible)));
  EXPECT_FALSE(tells_health(pool(provider_kind::openai)));
  EXPECT_EQ(health_path("/v1"), "/health");
  EXPECT_EQ(health_path(""), "/health");
  EXPECT_EQ(health_path("/gpu/v1"), "/gpu/health");
  EXPECT_EQ(health_path("/gpu"), "/gpu/health");
  EXPECT_EQ(health_path("/vllm"), "/vllm/health");
  const auto judged = [](int status) {
    probe_answer a;
    a.response = answer(status, "");
    return judge_health(a);
  };
  EXPECT_EQ(judged(200).text, "healthy");
  for (const int none : {301, 400, 401, 403, 404, 405, 429, 501}) {
    EXPECT_EQ(judged(none).level, check_level::ok) << none;
    EXPECT_THAT(judged(none).text, HasSubstr("HTTP " + std::to_string(none)));
  }
  EXPECT_EQ(judged(503).level, check_level::problem);
  EXPECT_THAT(judged(503).text, HasSubstr("loading"));
  EXPECT_THAT(judged(503).remedy, HasSubstr("wait"));
  EXPECT_EQ(judged(500).level, check_level::problem);
  EXPECT_FALSE(judged(500).remedy.empty());
  probe_answer silent;
  silent.fault = probe_fault::timed_out;
  silent.detail = "no answer";
  EXPECT_EQ(judge_health(silent).level, check_level::warning);
}

TEST(pool_check, refusals_tell_credentials_from_trouble) {
  const auto bad_key =
      judge_list(pool(), answer(401, ""),
                 refused(outcome_kind::lane_down, down_cause::auth, 401, "invalid_api_key"));
  ASSERT_EQ(bad_key.size(), 1u);
  EXPECT_EQ(bad_key[0].what, "credentials");
  EXPECT_EQ(bad_key[0].level, check_level::problem);
  EXPECT_THAT(bad_key[0].text, HasSubstr("HTTP 401 invalid_api_key"));
  const auto billing =
      judge_list(pool(), answer(429, ""),
                 refused(outcome_kind::lane_down, down_cause::billing, 429, "insufficient_quota"));
  EXPECT_THAT(billing[0].text, HasSubstr("billing"));
  EXPECT_THAT(billing[0].remedy, HasSubstr("credit"));
  const auto down =
      judge_list(pool(), answer(503, ""), refused(outcome_kind::retry, down_cause::none, 503, "x"));
  EXPECT_EQ(down[0].what, "reachable");
  EXPECT_EQ(down[0].level, check_level::problem);
  auto busy = refused(outcome_kind::retry, down_cause::none, 429, "rate_limit_exceeded");
  busy.quota_signal = true;
  EXPECT_EQ(judge_list(pool(), answer(429, ""), busy)[0].level, check_level::warning);
}

TEST(pool_check, a_call_without_content_gets_past_credentials_and_model_or_not) {
  const auto p = pool(provider_kind::bedrock);
  const auto& lane = p.lanes[0];
  const auto judged = [&](outcome_kind kind, down_cause down, int status) {
    return judge_refusal(p, lane, refused(kind, down, status, "code"));
  };
  const auto good = judged(outcome_kind::rejected, down_cause::none, 400);
  ASSERT_EQ(good.size(), 2u);
  EXPECT_EQ(good[0].level, check_level::ok);
  EXPECT_EQ(good[1].level, check_level::warning) << "the content may be judged before the model";
  EXPECT_THAT(good[1].text, HasSubstr("not proved"));
  EXPECT_THAT(good[1].remedy, HasSubstr("--send"));
  EXPECT_EQ(judged(outcome_kind::answered, down_cause::none, 200)[1].level, check_level::ok);
  const auto no_model = judge_refusal(
      p, lane, refused(outcome_kind::lane_down, down_cause::missing_model, 404, "model_not_found"));
  EXPECT_EQ(no_model[0].what, "model");
  EXPECT_EQ(no_model[0].level, check_level::problem);
  auto stale = refused(outcome_kind::retry, down_cause::none, 403, "InvalidSignatureException");
  stale.stale_credentials = true;
  EXPECT_EQ(judge_refusal(p, lane, stale)[0].what, "credentials");
  auto converse = lane;
  converse.surface = lane_surface::converse;
  EXPECT_EQ(empty_body(converse), "{}");
  EXPECT_EQ(empty_body(lane), R"({"model":"gpt-a"})");
}

TEST(pool_check, a_404_that_names_no_model_is_a_wrong_path) {
  const auto azure = pool(provider_kind::azure_openai), aws = pool(provider_kind::bedrock),
             google = pool(provider_kind::vertex);
  const auto not_found = [](const char* code, down_cause down = down_cause::none) {
    const auto kind = down == down_cause::none ? outcome_kind::spill : outcome_kind::lane_down;
    return refused(kind, down, 404, code);
  };
  const check_findings all[] = {
      judge_list(azure, answer(404, ""), not_found("404")),
      judge_refusal(aws, aws.lanes[0], not_found("UnknownOperationException")),
      judge_refusal(aws, aws.lanes[0], not_found("http_404")),
      judge_refusal(google, google.lanes[0], not_found("http_404", down_cause::missing_model)),
      judge_prompt(azure, azure.lanes[0], not_found("404")),
  };
  for (const auto& found : all) {
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].what, "endpoint");
    EXPECT_EQ(found[0].level, check_level::problem);
    EXPECT_THAT(found[0].remedy, HasSubstr("check the endpoint's version prefix"));
  }
  auto gone = not_found("NOT_FOUND", down_cause::missing_model);
  gone.error_message = "Publisher Model `x` was not found";
  EXPECT_EQ(judge_refusal(google, google.lanes[0], gone)[0].what, "model");
}

TEST(pool_check, credentials_that_cannot_be_had_have_a_remedy_by_cause) {
  const std::string none = "there is no credential yet: ";
  const std::pair<std::string, const char*> rows[] = {
      {none + "Entra's token endpoint answered 401 (invalid_client: AADSTS7000215: Invalid client "
              "secret provided.)",
       "as its value"},
      {none + "Entra's token endpoint answered 400 (invalid_request: AADSTS90002: Tenant 'x' not "
              "found.)",
       "tenant is the id"},
      {none + "Entra's token endpoint answered 503", "try again later"},
      {none + "login.microsoftonline.com: Couldn't connect to server", "reaches the token"},
      {none + "oauth2.googleapis.com: Couldn't resolve host name", "reaches the token"},
      {"the credential is being fetched", "reaches the token"},
      {none + "the metadata server (is this a machine of Google's cloud?): "
              "metadata.google.internal: Couldn't resolve host name",
       "machine of that cloud"},
      {none + "managed identity: 169.254.169.254: Timeout was reached", "machine of that cloud"},
      {none + "the managed identity's endpoint answered 400 (invalid_request: Identity not found)",
       "assigned"},
      {"the secret file:/x cannot be read: Permission denied", "readable for this user"},
      {"the secret env:K is not there: set the environment variable K", "readable for this user"},
  };
  for (const auto& [why, remedy] : rows) {
    const auto found = no_credentials(why);
    EXPECT_EQ(found.level, check_level::problem);
    EXPECT_THAT(found.text, HasSubstr(why.substr(0, 40)));
    EXPECT_THAT(found.remedy, HasSubstr(remedy)) << why;
  }
}

TEST(pool_check, clocks_that_differ_are_told_and_matter_most_to_signatures) {
  auto p = pool();
  const auto at = [&](const char* date) {
    return clock_of(p, answer(200, "", date), noon - 1s, noon + 1s);
  };
  EXPECT_FALSE(at(""));
  EXPECT_FALSE(at("yesterday"));
  EXPECT_EQ(at("Sun, 20 Sep 2026 12:00:10 GMT")->level, check_level::ok);
  const auto behind = at("Sun, 20 Sep 2026 12:10:00 GMT");
  EXPECT_EQ(behind->level, check_level::warning);
  EXPECT_THAT(behind->text, HasSubstr("10m 00s behind"));
  EXPECT_THAT(at("Sun, 20 Sep 2026 11:58:00 GMT")->text, HasSubstr("ahead"));
  p.auth = aws_default_auth{};
  EXPECT_EQ(at("Sun, 20 Sep 2026 12:10:00 GMT")->level, check_level::problem);
  EXPECT_EQ(at("Sun, 20 Sep 2026 12:02:00 GMT")->level, check_level::warning);
}

TEST(pool_check, limits_below_the_quota_are_told) {
  auto lane = pool().lanes[0];
  outcome out;
  EXPECT_FALSE(limits_of(lane, out));
  out.requests.limit = 500;
  out.tokens_rate.limit = 200'000;
  EXPECT_EQ(limits_of(lane, out)->level, check_level::ok);
  EXPECT_EQ(limits_of(lane, out)->text, "500 requests/min, 200,000 tokens/min");
  lane.quota.rpm = 600;
  lane.quota.tpm = tokens(200'000);
  const auto above = limits_of(lane, out);
  EXPECT_EQ(above->level, check_level::warning);
  EXPECT_THAT(above->text, HasSubstr("configured: requests/min 600"));
}

TEST(pool_check, each_fault_of_the_network_has_its_remedy) {
  std::set<std::string> remedies;
  for (const auto fault : {probe_fault::name, probe_fault::connect, probe_fault::tls,
                           probe_fault::timed_out, probe_fault::other}) {
    probe_answer a;
    a.fault = fault;
    a.detail = "why";
    const auto found = reached(pool(), a);
    EXPECT_EQ(found.level, check_level::problem);
    EXPECT_THAT(found.text, HasSubstr("why"));
    remedies.insert(found.remedy);
  }
  EXPECT_EQ(remedies.size(), 5u);
}

TEST(pool_check, prompts_of_its_own_are_valid) {
  for (std::size_t k = 0; k < endpoint_kinds; ++k) {
    auto line = smallest_prompt("a \"model\"", static_cast<endpoint_kind>(k));
    const auto size = line.size();
    line.append(64, ' ');
    line_parser parser;
    const auto parsed = parser.parse(std::string_view(line).substr(0, size));
    EXPECT_EQ(parsed.code, "") << parsed.message;
    EXPECT_EQ(parsed.model, "a \"model\"");
  }
}

}  // namespace
}  // namespace spillway
