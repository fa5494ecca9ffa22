#include "workers/auth/sigv4.hpp"

#include <gmock/gmock.h>

namespace spillway {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

constexpr std::string_view runtime = "bedrock-runtime.us-east-1.amazonaws.com";
const time_point noon = std::chrono::sys_days(std::chrono::year(2026) / 1 / 15) + 12h;

aws_keys example_keys(std::string session_token = {}) {
  return {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", std::move(session_token)};
}

http_request example(std::string target) {
  return {std::move(target), "Content-Type: application/json\r\n",
          R"({"messages":[{"role":"user","content":[{"text":"hi"}]}]})"};
}

std::string headers_after(const sigv4_signer& signer, http_request request, time_point now = noon) {
  signer.sign(request, now);
  return request.headers;
}

sigv4_signer example_signer(std::string session_token = {}) {
  return {example_keys(std::move(session_token)), {std::string(runtime), "us-east-1", "bedrock"}};
}

// The signatures of the next three are botocore's.

TEST(sigv4, a_converse_path_is_encoded_twice) {
  EXPECT_EQ(headers_after(example_signer(), example("/model/openai.gpt-oss-20b-1%3A0/converse")),
            "Content-Type: application/json\r\n"
            "X-Amz-Date: 20260115T120000Z\r\n"
            "Authorization: AWS4-HMAC-SHA256 "
            "Credential=AKIDEXAMPLE/20260115/us-east-1/bedrock/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, Signature="
            "63c1f443550042a6c154d17a3710cb1e3004d9d69b7416086203331f12b44eec\r\n");
}

TEST(sigv4, openai_surface) {
  EXPECT_THAT(headers_after(example_signer(), example("/openai/v1/chat/completions")),
              HasSubstr("b995ddf709fbfd774fb3ec29d030ae3496335d2f34fc2928d9f7e243d3a76c76"));
}

TEST(sigv4, a_session_token_is_sent_and_signed) {
  const auto headers =
      headers_after(example_signer("TOKEN"), example("/openai/v1/chat/completions"));
  EXPECT_THAT(headers, HasSubstr("X-Amz-Security-Token: TOKEN\r\n"));
  EXPECT_THAT(headers, HasSubstr("host;x-amz-date;x-amz-security-token"));
  EXPECT_THAT(headers,
              HasSubstr("57703cd00754e907b668be3fc5a42112f6c8825cb706152c32b8795c38568c19"));
}

TEST(sigv4, every_part_of_the_request_counts) {
  const auto signer = [](sigv4_scope scope) { return sigv4_signer(example_keys(), scope); };
  const sigv4_scope scope{std::string(runtime), "us-east-1", "bedrock"};
  const auto right = headers_after(signer(scope), example("/m"));
  auto other_body = example("/m");
  other_body.body += ' ';
  auto other_header = example("/m");
  other_header.headers = "Content-Type: text/plain\r\n";
  // Compare without the lines that differ by themselves.
  const auto signature = [](std::string headers) {
    return headers.substr(headers.find("Signature="));
  };
  EXPECT_NE(signature(headers_after(signer(scope), other_body)), signature(right));
  EXPECT_NE(signature(headers_after(signer(scope), other_header)), signature(right));
  EXPECT_NE(signature(headers_after(signer(scope), example("/m?a"))), signature(right));
  EXPECT_NE(signature(headers_after(signer(scope), example("/m"), noon + 1s)), signature(right));
  for (auto member : {&sigv4_scope::host, &sigv4_scope::region, &sigv4_scope::service}) {
    auto other = scope;
    other.*member += 'x';
    EXPECT_NE(signature(headers_after(signer(other), example("/m"))), signature(right));
  }
}

TEST(sigv4, the_key_of_a_day_is_not_used_the_next_day) {
  const auto used_before = example_signer();
  headers_after(used_before, example("/m"), noon - 24h);
  EXPECT_EQ(headers_after(used_before, example("/m")),
            headers_after(example_signer(), example("/m")));
}

TEST(sigv4, headers_that_change_on_the_way_are_not_signed) {
  auto request = example("/m");
  request.headers +=
      "User-Agent: a\r\nConnection: b\r\nTransfer-Encoding: c\r\nExpect: d\r\n"
      "X-Amzn-Trace-Id: e\r\nX-Amzn-Bedrock-Service-Tier: flex\r\n";
  EXPECT_THAT(headers_after(example_signer(), request),
              HasSubstr("SignedHeaders=content-type;host;x-amz-date;x-amzn-bedrock-service-tier,"));
}

TEST(sigv4, canonical_paths) {
  EXPECT_EQ(canonical_path(""), "/");
  EXPECT_EQ(canonical_path("/"), "/");
  EXPECT_EQ(canonical_path("/a//b/./c/../d/"), "/a/b/d/");
  EXPECT_EQ(canonical_path("/../a"), "/a");
  EXPECT_EQ(canonical_path("/model/a%3A0/x"), "/model/a%253A0/x");
  EXPECT_EQ(canonical_path("/model/a:0/x~y_z.w-v"), "/model/a%3A0/x~y_z.w-v");
  EXPECT_EQ(canonical_path("/\xc3\xa9+ "), "/%C3%A9%2B%20");
}

TEST(sigv4, canonical_queries) {
  EXPECT_EQ(canonical_query(""), "");
  EXPECT_EQ(canonical_query("b=2&a=1&a=0"), "a=0&a=1&b=2");
  EXPECT_EQ(canonical_query("flag&x=a=b"), "flag=&x=a=b");
}

TEST(sigv4, names_by_host) {
  EXPECT_EQ(signing_name_of(runtime), "bedrock");
  EXPECT_EQ(signing_name_of("bedrock-runtime-fips.eu-west-1.amazonaws.com"), "bedrock");
  EXPECT_EQ(signing_name_of("bedrock-mantle.us-west-2.api.aws"), "bedrock-mantle");
  EXPECT_EQ(signing_name_of("127.0.0.1:8080"), "bedrock");
  EXPECT_EQ(region_of(runtime), "us-east-1");
  EXPECT_EQ(region_of("bedrock-mantle.us-west-2.api.aws"), "us-west-2");
  EXPECT_EQ(region_of("bedrock-runtime.cn-north-1.amazonaws.com.cn"), "cn-north-1");
  EXPECT_EQ(region_of("bedrock.internal.example"), "");
  EXPECT_EQ(region_of("localhost"), "");
}

}  // namespace
}  // namespace spillway
