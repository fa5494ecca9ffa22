#include "workers/auth/answers.hpp"
#include "workers/auth/aws_profiles.hpp"

#include <gmock/gmock.h>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr time_point noon = time_point(duration(1'768'478'400s));  // 2026-01-15 12:00:00 UTC

TEST(auth_answers, times) {
  EXPECT_EQ(parse_iso_time("2026-01-15T12:00:00Z"), noon);
  EXPECT_EQ(parse_iso_time("2026-01-15T12:00:00.123456Z"), noon);
  EXPECT_EQ(parse_iso_time("2026-01-15T14:30:00+02:30"), noon);
  EXPECT_EQ(parse_iso_time("2026-01-15T04:00:00-08:00"), noon);
  for (const char* wrong : {"", "2026-01-15", "2026-13-15T12:00:00Z", "2026-01-15 12:00:00Z",
                            "2026-01-15T12:00:00", "2026-01-15T1x:00:00Z", "2026-02-30T12:00:00Z"})
    EXPECT_EQ(parse_iso_time(wrong), std::nullopt) << wrong;
}

TEST(auth_answers, bearers) {
  const auto got = bearer_of({200, R"({"access_token":"abc","expires_in":3599})"}, "x", noon);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->header, "Authorization: Bearer abc\r\n");
  EXPECT_EQ(got->expires, noon + 3599s);
  const auto quoted = bearer_of({200, R"({"access_token":"a","expires_in":"60"})"}, "x", noon);
  EXPECT_EQ(quoted->expires, noon + 60s);
  const auto moment =
      bearer_of({200, R"({"access_token":"a","expires_on":"1768478460"})"}, "x", noon);
  EXPECT_EQ(moment->expires, noon + 60s);
}

std::string why(const result<credential>& got) {
  return got ? "a credential" : got.error().message;
}

TEST(auth_answers, what_is_no_bearer) {
  EXPECT_EQ(why(bearer_of({400, R"({"error":"invalid_grant","error_description":"Bad\nmore"})"},
                          "The endpoint", noon)),
            "The endpoint answered 400 (invalid_grant: Bad)");
  EXPECT_EQ(why(bearer_of({502, "<html>"}, "x", noon)), "x answered 502");
  EXPECT_EQ(why(bearer_of({200, R"({"expires_in":1})"}, "x", noon)), "x answered without a token");
  EXPECT_EQ(why(bearer_of({200, R"({"access_token":"a"})"}, "x", noon)),
            "x answered without an expiry");
  EXPECT_THAT(why(bearer_of({200, R"({"access_token":"a\r\nEvil: 1","expires_in":1})"}, "x", noon)),
              HasSubstr("without a token"));
  EXPECT_THAT(why(bearer_of({200, "[]"}, "x", noon)), HasSubstr("without a token"));
  EXPECT_THAT(why(bearer_of({403, R"({"error":{"status":"DENIED","message":"no"}})"}, "x", noon)),
              HasSubstr("(DENIED: no)"));
}

TEST(auth_answers, aws_keys_of_metadata) {
  const std::string body =
      R"({"Code":"Success","AccessKeyId":"A","SecretAccessKey":"S","Token":"T",)"
      R"("Expiration":"2026-01-15T13:00:00Z"})";
  // The machine's clock is 10 minutes ahead of the engine's: expiries are told by the former.
  const auto got = aws_keys_of_json({200, body}, "x", noon, noon + 10min);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->keys, (aws_keys{"A", "S", "T"}));
  EXPECT_EQ(got->expires, noon + 50min);
  EXPECT_EQ(why(aws_keys_of_json({200, R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"m"})"},
                                 "x", noon, noon)),
            "x answered 200 (AssumeRoleUnauthorizedAccess: m)");
  EXPECT_THAT(why(aws_keys_of_json({200, R"({"AccessKeyId":"A"})"}, "x", noon, noon)),
              HasSubstr("without keys"));
  EXPECT_EQ(why(aws_keys_of_json({404, ""}, "x", noon, noon)), "x answered 404");
}

TEST(auth_answers, aws_keys_of_sts) {
  const std::string body =
      "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser><AssumedRoleId>x</AssumedRoleId>"
      "</AssumedRoleUser><Credentials>\n <AccessKeyId>A</AccessKeyId>\n"
      " <SecretAccessKey>S/+=</SecretAccessKey>\n <SessionToken>T==</SessionToken>\n"
      " <Expiration>2026-01-15T13:00:00Z</Expiration>\n</Credentials></AssumeRoleResult>"
      "</AssumeRoleResponse>";
  const auto got = aws_keys_of_sts({200, body}, "STS", noon, noon);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->keys, (aws_keys{"A", "S/+=", "T=="}));
  EXPECT_EQ(got->expires, noon + 1h);
  EXPECT_EQ(why(aws_keys_of_sts({403,
                                 "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not "
                                 "you</Message></Error></ErrorResponse>"},
                                "STS", noon, noon)),
            "STS answered 403 (AccessDenied: not you)");
}

TEST(auth_answers, forms_and_urls) {
  EXPECT_EQ(form_of({{"a", "b c&d"}, {"e", "~é"}}), "a=b%20c%26d&e=~%C3%A9");
  EXPECT_TRUE(is_safe_url("https://sts.example/?a=b"));
  EXPECT_TRUE(is_safe_url("http://127.0.0.1:8080/token"));
  EXPECT_FALSE(is_safe_url("http://sts.example/"));
  EXPECT_FALSE(is_safe_url("ftp://127.0.0.1/"));
}

// What botocore reads of the same text is compared by integration.auth.
TEST(aws_profiles, ini_texts) {
  const auto file = parse_ini(
      "stray = 1\n"
      "# comment\n"
      "[default]\n"
      "AWS_Access_Key_Id=AK # part of it\r\n"
      "  aws_secret_access_key : S=1\n"
      "  ; comment\n"
      "[profile dev]\n"
      "s3 =\n"
      "  addressing_style = path\n"
      "region = eu-west-1\n");
  EXPECT_THAT(
      file.at("default"),
      ElementsAre(Pair("aws_access_key_id", "AK # part of it\naws_secret_access_key : S=1")));
  EXPECT_THAT(file.at("profile dev"),
              ElementsAre(Pair("region", "eu-west-1"), Pair("s3", "\naddressing_style = path")));
  const auto indented = parse_ini("[a]\n  x = 1\n  y = 2\n");
  EXPECT_THAT(indented.at("a"), ElementsAre(Pair("x", "1"), Pair("y", "2")));
}

TEST(aws_profiles, heads_of_the_config_file) {
  const auto profiles = profiles_of_config(
      parse_ini("[default]\na = 1\n[profile dev]\na = 2\n[profile \"with space\"]\na = 3\n"
                "[plain]\na = 4\n[sso-session x]\na = 5\n"));
  std::vector<std::string> names;
  for (const auto& [name, values] : profiles) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("default", "dev", "with space"));
}

TEST(aws_profiles, the_credentials_file_comes_first) {
  aws_profiles profiles;
  profiles.shared["p"] = {{"a", "1"}};
  profiles.config["p"] = {{"a", "2"}, {"b", "3"}};
  EXPECT_THAT(profiles.merged("p"), ElementsAre(Pair("a", "1"), Pair("b", "3")));
  EXPECT_TRUE(profiles.has("p"));
  EXPECT_FALSE(profiles.has("q"));
}

}  // namespace
}  // namespace spillway
