// Who may call: keys by time, signatures, tokens; who gives them out; what a test may change.
#include "tests/unit/simulator_harness.hpp"
#include "workers/simulator/service_account.hpp"
#include "workers/simulator/sha256.hpp"
#include "workers/simulator/sigv4_check.hpp"

#include <gmock/gmock.h>

#include <ctime>

namespace spillway::simulated {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

std::string hex(const digest& d) {
  std::string out;
  append_hex_digits(bytes_of(d), out);
  return out;
}

TEST(simulator_sha256, known_answers) {  // FIPS 180-4, RFC 4231
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmac_sha256(std::string(131, '\xaa'),
                            "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

// Signed by botocore: see the signer's own test for the same vectors.
class simulator_signature : public testing::Test {
 protected:
  std::optional<error_reply> check(const std::string& signature, const std::string& path,
                                   const std::string& token = "", duration later = 0s,
                                   const std::string& region = "us-east-1",
                                   const std::string& service = "bedrock") {
    const std::string headers = token.empty() ? "content-type;host;x-amz-date"
                                              : "content-type;host;x-amz-date;x-amz-security-token";
    const std::string text =
        "POST " + path + " HTTP/1.1\r\nHost: bedrock-runtime.us-east-1.amazonaws.com\r\n" +
        "Content-Type: application/json\r\nX-Amz-Date: 20260115T120000Z\r\n" +
        (token.empty() ? "" : "X-Amz-Security-Token: " + token + "\r\n") +
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260115/us-east-1/bedrock/"
        "aws4_request, SignedHeaders=" +
        headers + ", Signature=" + signature + "\r\n\r\n";
    const parsed_head p = parse_head(text);
    const auto claim = read_signature(p.head.authorization);
    EXPECT_TRUE(claim);
    const time_point signed_at{std::chrono::seconds(1768478400)};
    const aws_credential keys{"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token, expires_};
    return checker_.check(p.head, body_, *claim, known_ ? &keys : nullptr, {region, {service}},
                          signed_at + later);
  }

  std::string body_ = R"({"messages":[{"role":"user","content":[{"text":"hi"}]}]})";
  bool known_ = true;
  std::optional<time_point> expires_;
  sigv4_checker checker_;
};

const std::string converse_path = "/model/openai.gpt-oss-20b-1%3A0/converse";
const std::string converse_signature =
    "63c1f443550042a6c154d17a3710cb1e3004d9d69b7416086203331f12b44eec";

TEST_F(simulator_signature, those_of_botocore_are_accepted) {
  EXPECT_FALSE(check(converse_signature, converse_path));
  EXPECT_FALSE(check("b995ddf709fbfd774fb3ec29d030ae3496335d2f34fc2928d9f7e243d3a76c76",
                     "/openai/v1/chat/completions"));
  EXPECT_FALSE(check("57703cd00754e907b668be3fc5a42112f6c8825cb706152c32b8795c38568c19",
                     "/openai/v1/chat/completions", "TOKEN"));
}

TEST_F(simulator_signature, whatever_differs_is_refused_with_its_reason) {
  const auto refusal = [](const std::optional<error_reply>& e) {
    return e ? std::string(e->code) + ": " + e->message : "accepted";
  };
  EXPECT_THAT(refusal(check(converse_signature, "/model/other/converse")),
              StartsWith("InvalidSignatureException: The request signature we calculated"));
  EXPECT_THAT(refusal(check(converse_signature, converse_path, "TOKEN")),
              HasSubstr("The request signature we calculated"))
      << "made without the token";
  EXPECT_THAT(refusal(check(converse_signature, converse_path, "", 5min + 1s)),
              HasSubstr("Signature expired: 20260115T120000Z is now earlier than "
                        "20260115T120001Z (20260115T120501Z - 5 min.)"));
  EXPECT_THAT(refusal(check(converse_signature, converse_path, "", -6min)),
              HasSubstr("Signature not yet current"));
  EXPECT_FALSE(check(converse_signature, converse_path, "", 5min));
  EXPECT_THAT(refusal(check(converse_signature, converse_path, "", 0s, "eu-west-1")),
              HasSubstr("scoped to a valid region"));
  EXPECT_THAT(refusal(check(converse_signature, converse_path, "", 0s, "us-east-1", "s3")),
              HasSubstr("scoped to correct service: 's3'"));
  body_ += ' ';
  EXPECT_THAT(refusal(check(converse_signature, converse_path)),
              StartsWith("InvalidSignatureException"));
  expires_ = start - 20000h;
  EXPECT_THAT(refusal(check(converse_signature, converse_path)), StartsWith("ExpiredToken"));
  known_ = false;
  EXPECT_THAT(refusal(check(converse_signature, converse_path)),
              StartsWith("UnrecognizedClientException"));
}

class simulator_access : public simulator_world {
 protected:
  void open_with(std::vector<pool_spec> pools) {
    simulator_config config;
    config.pools = std::move(pools);
    config.identity = identity_;
    world_.emplace(config, start);
    ASSERT_TRUE(world_->open("http://127.0.0.1:1"));
  }
  reply call(const std::string& headers) {
    reply r = post("/p/v1/chat/completions", R"({"model":"m","messages":[]})", headers);
    world_->finish(r.what, true);
    return r;
  }
  reply generate(const std::string& token) {
    reply r = post("/v/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
                   R"({"contents":[{"role":"user","parts":[{"text":"x"}]}]})",
                   "Authorization: Bearer " + token + "\r\n");
    world_->finish(r.what, true);
    return r;
  }
  identity_spec identity_;
};

TEST_F(simulator_access, keys_hold_for_their_time_and_can_be_changed) {
  auto p = pool("p");
  p.api_keys = {{"old", 0s, 10s}, {"new", 5s, duration::max()}};
  open_with({p});
  const auto status = [&](const std::string& key) {
    return call("Authorization: Bearer " + key + "\r\n").what.status;
  };
  EXPECT_EQ(status("old"), 200);
  EXPECT_EQ(status("new"), 401);
  now_ = start + 6s;
  EXPECT_EQ(status("old"), 200);
  EXPECT_EQ(status("new"), 200);
  now_ = start + 10s;
  EXPECT_EQ(status("old"), 401);
  EXPECT_EQ(stat("/pools/p/refused_auth"), 2);
  const reply changed =
      post("/_sim/control", R"({"pool":"p","api_keys":[{"key":"x","from":"2s"}]})");
  EXPECT_THAT(changed.head, HasSubstr("200 OK")) << changed.text;
  EXPECT_EQ(status("new"), 401);
  EXPECT_EQ(status("x"), 401);
  now_ += 2s;
  EXPECT_EQ(status("x"), 200);
}

TEST_F(simulator_access, metadata_gives_tokens_that_expire) {
  identity_.google.emplace();
  identity_.google->project = "p";
  identity_.token_lifetime = 20s;
  auto v = pool("v", provider_kind::vertex);
  v.identity = true;
  open_with({v});
  const std::string path = "/computeMetadata/v1/instance/service-accounts/default/token";
  EXPECT_THAT(get(path).head, HasSubstr("403"));
  const reply given = send("GET " + path + " HTTP/1.1\r\nMetadata-Flavor: Google\r\n\r\n");
  EXPECT_EQ(given.at("/expires_in"), 20);
  const std::string token = given.at("/access_token").as_string().c_str();
  EXPECT_EQ(generate(token).what.status, 200);
  EXPECT_EQ(generate("other").at("/error/details/0/reason"), "ACCESS_TOKEN_TYPE_UNSUPPORTED");
  now_ = start + 20s;
  const reply late = generate(token);
  EXPECT_EQ(late.at("/error/status"), "UNAUTHENTICATED");
  EXPECT_EQ(late.at("/error/details/0/reason"), "ACCESS_TOKEN_EXPIRED");
  EXPECT_EQ(stat("/identity/google/issued"), 1);
  EXPECT_EQ(stat("/identity/google/refused"), 1);
}

TEST_F(simulator_access, control_changes_faults_tokens_and_services) {
  identity_.google.emplace();
  auto v = pool("v", provider_kind::vertex);
  v.identity = true;
  open_with({v});
  now_ = start + 100s;
  const auto token = [&] {
    const reply r = send(
        "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\n"
        "Metadata-Flavor: Google\r\n\r\n");
    return r.body.is_object() ? std::string(r.at("/access_token").is_string()
                                                ? r.at("/access_token").as_string().c_str()
                                                : "none")
                              : "closed";
  };
  const auto control = [&](const std::string& body) {
    const reply r = post("/_sim/control", body);
    return r.head.substr(9, 3) + r.text;
  };
  const std::string first = token();
  EXPECT_EQ(control(R"({"service":"google","faults":[{"kind":"down","to":"5s","close":true}]})"),
            "200");
  EXPECT_EQ(token(), "closed");
  now_ += 5s;
  EXPECT_EQ(generate(first).what.status, 200);
  EXPECT_EQ(control(R"({"service":"google","revoke":true,"token_lifetime":"7s"})"), "200");
  EXPECT_EQ(generate(first).what.status, 401);
  const std::string second = token();
  EXPECT_EQ(control(R"({"pool":"v","faults":[{"kind":"error","status":503,"to":"5s"}]})"), "200");
  EXPECT_EQ(generate(second).what.status, 503);
  now_ += 5s;
  EXPECT_EQ(generate(second).what.status, 200);
  now_ += 2s;
  EXPECT_EQ(generate(second).what.status, 401) << "seven seconds later";

  EXPECT_THAT(control(R"({"pool":"nobody"})"), HasSubstr("nobody"));
  EXPECT_THAT(control(R"({"service":"entra"})"), HasSubstr("identity"));
  EXPECT_THAT(control(R"({"service":"aws2"})"), StartsWith("400"));
  EXPECT_THAT(control(R"({"faults":[]})"), HasSubstr("beside it"));
}

TEST_F(simulator_access, entra_checks_the_secret_and_its_tokens_open_azure) {
  identity_.entra.emplace();
  identity_.entra->tenant = "contoso";
  identity_.entra->client_id = "app";
  identity_.entra->client_secret = "s+s";
  auto a = pool("a", provider_kind::azure_openai);
  a.identity = true;
  open_with({a});
  const auto ask = [&](const std::string& secret) {
    return post("/contoso/oauth2/v2.0/token",
                "grant_type=client_credentials&client_id=app&client_secret=" + secret +
                    "&scope=https%3A%2F%2Fai.azure.com%2F.default");
  };
  EXPECT_THAT(ask("s+s").at("/error_description").as_string().c_str(), StartsWith("AADSTS7000215"))
      << "a plus is a blank in a form";
  const reply given = ask("s%2Bs");
  EXPECT_EQ(given.at("/token_type"), "Bearer");
  const auto status = [&](const std::string& token) {
    return post("/a/openai/v1/chat/completions", R"({"model":"m","messages":[]})",
                "Authorization: Bearer " + token + "\r\n")
        .what.status;
  };
  EXPECT_EQ(status(given.at("/access_token").as_string().c_str()), 200);
  EXPECT_EQ(status("wrong"), 401);
  const reply managed = send(
      "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fx "
      "HTTP/1.1\r\nMetadata: true\r\n\r\n");
  EXPECT_EQ(managed.at("/expires_in"), "3600") << "a text, as the service writes it";
  EXPECT_EQ(status(managed.at("/access_token").as_string().c_str()), 200);
}

TEST_F(simulator_access, instances_give_session_keys_only_with_a_token) {
  identity_.aws.emplace();
  auto b = pool("b", provider_kind::bedrock);
  b.identity = true;
  open_with({b});
  const std::string role = "/latest/meta-data/iam/security-credentials/";
  EXPECT_THAT(get(role).head, HasSubstr("401"));
  const reply token =
      send("PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n");
  const std::string header = "X-aws-ec2-metadata-token: " + token.text + "\r\n";
  const std::string name = send("GET " + role + " HTTP/1.1\r\n" + header + "\r\n").text;
  const reply keys = send("GET " + role + name + " HTTP/1.1\r\n" + header + "\r\n");
  EXPECT_THAT(keys.at("/AccessKeyId").as_string().c_str(), StartsWith("ASIA"));
  EXPECT_EQ(keys.at("/Expiration"), "2027-01-15T09:00:00Z");
  EXPECT_THAT(post("/", "Action=AssumeRoleWithWebIdentity&WebIdentityToken=t&RoleArn=r").text,
              HasSubstr("<SessionToken>"));
  EXPECT_THAT(get("/_sim/container").text, HasSubstr("SecretAccessKey"));
}

TEST(simulator_service_account, a_changed_assertion_is_refused) {
  auto account = service_account::generate("me@p", "p");
  const auto file = boost::json::parse(account.key_file("http://127.0.0.1/_sim/token"));
  EXPECT_EQ(file.at("client_email"), "me@p");
  EXPECT_THAT(file.at("private_key").as_string().c_str(), StartsWith("-----BEGIN PRIVATE KEY"));
  EXPECT_EQ(account.problem_of("a.b", start), "Invalid JWT: not three parts.");
  EXPECT_EQ(account.problem_of("eyJhbGciOiJub25lIn0.e30.", start),
            "Invalid JWT: unsupported algorithm.");
  EXPECT_EQ(account.problem_of("eyJhbGciOiJSUzI1NiJ9.e30.AAAA", start), "Invalid JWT Signature.");
}

}  // namespace
}  // namespace spillway::simulated
