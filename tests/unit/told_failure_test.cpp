// What lanes may say of failures: useful, but nothing of secrets and prompts.
#include "orchestrator/engine/told_failure.hpp"
#include "orchestrator/runtime/masking.hpp"

#include <gtest/gtest.h>

namespace spillway {
namespace {

outcome refused(std::string message, std::string code = "permission_denied") {
  outcome o;
  o.kind = outcome_kind::lane_down;
  o.down = down_cause::auth;
  o.status = 403;
  o.error_code = std::move(code);
  o.error_message = std::move(message);
  return o;
}

const std::string body =
    R"({"model":"anthropic.claude-sonnet-4-5-20250929-v1:0","messages":[{"role":"user","content":)"
    R"("Patient Ada Lovelace,\nborn 1815: \"fever\" & caf\u00e9 au lait"},)"
    R"({"role":"assistant","content":"PIN 4711-0815"}],"max_tokens":100})";

TEST(told_failure, a_message_that_says_what_is_wrong_stays) {
  for (const char* message : {
           "Your account is not available in this region",
           "The security token included in the request is expired",
           "The request signature we calculated does not match the signature you provided",
           "User: arn:aws:iam::123456789012:user/batch is not authorized to perform: "
           "bedrock:InvokeModel on resource: anthropic.claude-sonnet-4-5-20250929-v1:0",
           "The model `meta-llama/Llama-3.3-70B-Instruct` does not exist",
           "Permission 'aiplatform.endpoints.predict' denied on resource "
           "'//aiplatform.googleapis.com/projects/p1/locations/us-east5'",
           "max_completion_tokens is not for you, assistant",
       })
    EXPECT_EQ(tell_failure(refused(message), body, {}).text,
              std::string("permission_denied: ") + message);
  EXPECT_EQ(tell_failure(refused(""), body, {}).text, "permission_denied");
}

TEST(told_failure, a_message_that_quotes_the_prompt_does_not) {
  for (const char* message : {
           "not allowed: Patient Ada Lovelace",
           "not allowed: patient  ada LOVELACE, born",
           R"(in {"content":"Patient Ada Lovelace,\nborn 1815: \"fever\"..."})",
           "cannot take ,\\nborn 1815: \\\"fe",
           R"(what of "fever" & café au)",
           R"(what of \"fever\" & caf\u00e9 au)",
           "who said PIN 4711-0815?",
       }) {
    const auto told = tell_failure(refused(message), body, {});
    EXPECT_EQ(told.code, "permission_denied");
    EXPECT_EQ(
        told.text,
        "permission_denied (HTTP 403): its message quotes the prompt and is kept to error rows")
        << message;
  }
  EXPECT_FALSE(quotes_prompt("Patient Ada Lov", body)) << "15 bytes";
  EXPECT_TRUE(quotes_prompt("Patient Ada Love", body));
  EXPECT_EQ(tell_failure(refused("m", "Patient Ada Lovelace"), body, {}).code, "http_403");
}

TEST(told_failure, quotations_of_every_form_of_body) {
  EXPECT_TRUE(
      quotes_prompt("bad: the quick brown fox", R"({"input":["x","The quick brown fox"]})"));
  EXPECT_TRUE(quotes_prompt("bad: tell me all", R"({"prompt" : "Tell me all "})"));
  EXPECT_TRUE(quotes_prompt(R"(bad: 😀 and so on to here)",
                            R"({"input":"\ud83d\ude00 and so on to there"})"));
  EXPECT_FALSE(quotes_prompt("unknown model gpt-5.4-mini-2026-01-01",
                             R"({"model":"gpt-5.4-mini-2026-01-01","input":"x"})"));
  EXPECT_FALSE(quotes_prompt("the user may not", R"({"metadata":{"a":"the user"}})"));
  EXPECT_FALSE(quotes_prompt("", R"({"input":""})"));
  EXPECT_FALSE(quotes_prompt("not read: data:image/png;base64,AAAA",
                             R"({"url":"data:image/png;base64,AAAABBBB"})"))
      << "pictures are long and nobody reads them";
  EXPECT_FALSE(quotes_prompt("say \\", R"({"input":"\\","x":"\u00zz \ud800"})"));
}

TEST(told_failure, secrets_are_masked) {
  const std::vector<std::string> secrets = {"sekret", "hunter2-hunter2"};
  const auto told = tell_failure(refused("bad key sekret, Bearer sekret"), body, secrets);
  EXPECT_EQ(told.text, "permission_denied: bad key ***, Bearer ***");
  EXPECT_EQ(tell_failure(refused("m", "sekret"), body, secrets).text, "***: m");
  outcome own;
  own.error_code = "connect_failed";
  own.error_message = "Patient Ada Lovelace, that is no host's name";
  EXPECT_EQ(tell_failure(own, body, {}).text, "connect_failed: " + own.error_message)
      << "no answer: the words are ours";
}

TEST(masking, known_secrets) {
  const std::vector<std::string> secrets = {"hunter2-hunter2"};
  EXPECT_EQ(masked("a hunter2-hunter2hunter2-hunter2", secrets), "a ******");
  EXPECT_EQ(masked("cut: hunter2-hun", secrets), "cut: ***");
  EXPECT_EQ(masked("cut: hunt", secrets), "cut: hunt");
  EXPECT_EQ(masked("", secrets), "");
}

TEST(masking, what_looks_like_one) {
  for (const char* secret : {"sk-proj-abcdefgh1234", "sk-********wxyz", "AKIAIOSFODNN7EXAMPLE",
                             "ya29.a0AfH6SMBx", "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln",
                             "0123456789abcdef0123456789abcdef", "aB3dE5fG7hI9jK1lM3nO5pQ7"})
    EXPECT_EQ(masked_lookalikes("key '" + std::string(secret) + "' is bad"), "key '***' is bad")
        << secret;
  EXPECT_EQ(masked_lookalikes("Authorization: Bearer abc123"), "Authorization: Bearer ***");
  for (const char* plain :
       {"Bearer authentication", "projects/p1/locations/us-east5", "gpt-5.4-mini-2026-01-01",
        "AccessDeniedException", "d9428888-122b-11e1-b85c-61cd3cbb3210", "", "*", "Llama-3.3-70B"})
    EXPECT_EQ(masked_lookalikes(plain), plain);
}

TEST(masking, secrets_of_header_lines) {
  using list = std::vector<std::string>;
  EXPECT_EQ(secrets_in("Authorization: Bearer to.ken=\r\n"), list{"to.ken="});
  EXPECT_EQ(secrets_in("x-api-key: sekret\r\n"), list{"sekret"});
  EXPECT_EQ(secrets_in("api-key: four\r\nanthropic-version: 2023-06-01\r\n"), list{});
  EXPECT_EQ(secrets_in("X-Amz-Date: 20260115T120000Z\r\nX-Amz-Security-Token: to/ken==\r\n"
                       "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260115/r/s/x, "
                       "SignedHeaders=host, Signature=abcdef0123\r\n"),
            (list{"to/ken==", "AKIDEXAMPLE", "abcdef0123"}));
  EXPECT_EQ(secrets_in(""), list{});
}

}  // namespace
}  // namespace spillway
