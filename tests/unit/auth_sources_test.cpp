// Every way to get a credential, in a world without machine and network.
#include "tests/support/temp_folder.hpp"
#include "tests/unit/fake_auth_world.hpp"
#include "workers/auth/authenticator.hpp"

#include <gmock/gmock.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

secret_ref variable(const char* name) { return {secret_ref::source::env, name}; }

pool_config pool_of(auth_config auth, provider_kind provider = provider_kind::bedrock) {
  pool_config pool;
  pool.name = "p";
  pool.provider = provider;
  pool.endpoint = "https://bedrock-runtime.us-east-1.amazonaws.com";
  pool.auth = std::move(auth);
  return pool;
}

class auth_sources : public testing::Test {
 protected:
  std::unique_ptr<authenticator> made(auth_config auth) {
    auto out = make_authenticator(pool_of(std::move(auth)), world_);
    EXPECT_TRUE(out) << out.error().message;
    return out ? *std::move(out) : nullptr;
  }
  std::string failure_of(auth_config auth) {
    auto out = make_authenticator(pool_of(std::move(auth)), world_);
    return out ? "made" : out.error().message;
  }
  std::string headers_of(const authenticator& a) {
    http_request request{"/m", "", "{}"};
    const auto used = a.authenticate(request);
    return used ? request.headers : "failed: " + used.error().message;
  }
  std::string file(const std::string& name, const std::string& text) {
    return folder_.write(name, text);
  }
  void serve(const std::string& url, int status, std::string body) {
    world_.servers[url] = [=](const token_request&) { return token_response{status, body}; };
  }
  /// No profile files but those that a test writes.
  void set_home() { world_.variables["HOME"] = folder_.path(); }
  void write_profile(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(folder_ / ".aws");
    file(".aws/" + name, text);
  }

  temp_folder folder_;
  fake_auth_world world_;
};

TEST_F(auth_sources, entra_client_credentials) {
  world_.variables["S"] = "p&ss";
  serve("https://login.microsoftonline.com/ten/oauth2/v2.0/token", 200,
        R"({"access_token":"tok","expires_in":3600})");
  entra_auth auth;
  auth.tenant = "ten";
  auth.client_id = "cli";
  auth.client_secret = variable("S");
  const auto a = made(auth);
  EXPECT_EQ(headers_of(*a), "Authorization: Bearer tok\r\n");
  ASSERT_EQ(world_.asked.size(), 1u);
  EXPECT_EQ(world_.asked[0].method, "POST");
  EXPECT_EQ(world_.asked[0].body,
            "client_id=cli&client_secret=p%26ss&scope=https%3A%2F%2Fai.azure.com%2F.default&"
            "grant_type=client_credentials");
  world_.at += 54min;
  EXPECT_THAT(headers_of(*a), HasSubstr("tok"));
  EXPECT_EQ(world_.asked.size(), 1u);
  world_.at += 2min;
  EXPECT_THAT(headers_of(*a), HasSubstr("tok"));
  EXPECT_EQ(world_.asked.size(), 2u) << "five minutes before it expires";
}

TEST_F(auth_sources, entra_managed_identity) {
  serve("http://169.254.169.254/metadata/identity/oauth2/token", 200,
        R"({"access_token":"tok","expires_in":"86400"})");
  entra_auth auth;
  auth.managed_identity = true;
  auth.client_id = "own";
  EXPECT_EQ(headers_of(*made(auth)), "Authorization: Bearer tok\r\n");
  EXPECT_EQ(world_.asked.at(0).url,
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&"
            "resource=https%3A%2F%2Fai.azure.com&client_id=own");
  EXPECT_EQ(world_.asked[0].headers, "Metadata: true\r\n");
  world_.variables["IDENTITY_ENDPOINT"] = "http://127.0.0.1:4141/token";
  world_.variables["IDENTITY_HEADER"] = "h";
  serve("http://127.0.0.1:4141/token?api-version=2019-08-01&", 200,
        R"({"access_token":"app","expires_on":"1768482000"})");
  EXPECT_EQ(headers_of(*made(auth)), "Authorization: Bearer app\r\n");
  EXPECT_EQ(world_.asked.back().headers, "X-IDENTITY-HEADER: h\r\n");
}

TEST_F(auth_sources, what_an_endpoint_refuses_is_told) {
  world_.variables["S"] = "secret-value";
  serve(
      "https://login.microsoftonline.com/", 401,
      R"({"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret."})");
  entra_auth auth;
  auth.tenant = "t";
  auth.client_id = "c";
  auth.client_secret = variable("S");
  const auto a = made(auth);
  EXPECT_THAT(headers_of(*a), AllOf(HasSubstr("failed: there is no credential yet"),
                                    HasSubstr("AADSTS7000215"), Not(HasSubstr("secret-value"))));
  EXPECT_TRUE(a->missing());
}

/// Made once: a key takes a good part of a second.
std::string make_key() {
  EVP_PKEY* key = EVP_RSA_gen(2048);
  BIO* out = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(out, &data);
  std::string pem(data, static_cast<std::size_t>(size));
  BIO_free(out);
  EVP_PKEY_free(key);
  for (auto at = pem.find('\n'); at != std::string::npos; at = pem.find('\n', at + 2))
    pem.replace(at, 1, "\\n");
  return pem;
}

const std::string& generated_key() {
  static const std::string key = make_key();
  return key;
}

TEST_F(auth_sources, google_service_account) {
  const auto path = file("k.json", R"({"type":"service_account","client_email":"a@b",)"
                                   R"("private_key_id":"k1","token_uri":"https://t.example/token",)"
                                   R"("private_key":")" +
                                       generated_key() + "\"}");
  serve("https://t.example/token", 200, R"({"access_token":"ya29","expires_in":3599})");
  const auto a = made(google_service_account_auth{{secret_ref::source::file, path}, ""});
  EXPECT_EQ(headers_of(*a), "Authorization: Bearer ya29\r\n");
  EXPECT_THAT(world_.asked.at(0).body,
              HasSubstr("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&"
                        "assertion="));
  serve("http://127.0.0.1:9/t", 200, R"({"access_token":"own","expires_in":3599})");
  EXPECT_EQ(headers_of(*made(google_service_account_auth{{secret_ref::source::file, path},
                                                         "http://127.0.0.1:9/t"})),
            "Authorization: Bearer own\r\n");
}

TEST_F(auth_sources, what_is_no_service_account_is_told_at_once) {
  const auto made_of = [&](const std::string& text) {
    return failure_of(
        google_service_account_auth{{secret_ref::source::file, file("k.json", text)}, ""});
  };
  EXPECT_THAT(made_of("hunter2"), AllOf(HasSubstr("not a JSON object"), Not(HasSubstr("hunter2"))));
  EXPECT_THAT(made_of(R"({"type":"authorized_user"})"), HasSubstr("not service_account"));
  EXPECT_THAT(made_of(R"({"type":"service_account","client_email":"a","private_key":"hunter2"})"),
              AllOf(HasSubstr("not an RSA key"), Not(HasSubstr("hunter2"))));
  const auto far = R"({"type":"service_account","client_email":"a","private_key":")" +
                   generated_key() + R"(","token_uri":"http://far/t"})";
  EXPECT_THAT(made_of(far), HasSubstr("plain HTTP"));
}

TEST_F(auth_sources, google_metadata) {
  serve(
      "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token",
      200, R"({"access_token":"m","expires_in":300})");
  EXPECT_EQ(headers_of(*made(google_metadata_auth{})), "Authorization: Bearer m\r\n");
  EXPECT_EQ(world_.asked.at(0).headers, "Metadata-Flavor: Google\r\n");
  world_.variables["GCE_METADATA_HOST"] = "127.0.0.1:1";
  serve("http://127.0.0.1:1/computeMetadata/", 200, R"({"access_token":"n","expires_in":300})");
  EXPECT_EQ(headers_of(*made(google_metadata_auth{})), "Authorization: Bearer n\r\n");
}

TEST_F(auth_sources, aws_keys_sign) {
  world_.variables = {{"A", "AKID"}, {"B", "secret"}};
  auto pool = pool_of(aws_keys_auth{variable("A"), variable("B"), {}, ""});
  auto a = make_authenticator(pool, world_);
  ASSERT_TRUE(a) << a.error().message;
  world_.wall_ahead =
      1h;  // the signature goes by the machine's clock, the deadline by the engine's
  http_request request{"/m", "", "{}"};
  const auto used = (*a)->authenticate(request);
  ASSERT_TRUE(used);
  EXPECT_EQ(used->send_before, world_.at + 4min);
  EXPECT_THAT(request.headers, HasSubstr("X-Amz-Date: 20260115T130000Z"));
  EXPECT_THAT(request.headers, HasSubstr("AKID/20260115/us-east-1/bedrock/aws4_request"));
  EXPECT_EQ((*a)->refused(used->generation), refused_advice::stop) << "variables do not change";

  pool.endpoint = "https://bedrock-mantle.us-west-2.api.aws/v1";
  EXPECT_THAT(headers_of(**make_authenticator(pool, world_)),
              HasSubstr("/us-west-2/bedrock-mantle/aws4_request"));
  pool.region = "eu-west-1";
  std::get<aws_keys_auth>(pool.auth).signing_name = "bedrock";
  EXPECT_THAT(headers_of(**make_authenticator(pool, world_)),
              HasSubstr("/eu-west-1/bedrock/aws4_request"));
  pool.region.clear();
  pool.endpoint = "https://proxy.example";
  EXPECT_THAT(make_authenticator(pool, world_).error().message, HasSubstr("region"));
  world_.variables["AWS_REGION"] = "ap-south-1";
  EXPECT_THAT(headers_of(**make_authenticator(pool, world_)), HasSubstr("/ap-south-1/bedrock/"));
}

TEST_F(auth_sources, aws_bearer_key_of_the_environment_comes_first) {
  set_home();
  world_.variables["AWS_ACCESS_KEY_ID"] = "AK";
  world_.variables["AWS_SECRET_ACCESS_KEY"] = "S";
  EXPECT_THAT(headers_of(*made(aws_default_auth{})), HasSubstr("Credential=AK/"));
  world_.variables["AWS_BEARER_TOKEN_BEDROCK"] = "ABSK";
  EXPECT_EQ(headers_of(*made(aws_default_auth{})), "Authorization: Bearer ABSK\r\n");
  auto pool = pool_of(aws_default_auth{});
  pool.endpoint = "http://far.example";
  EXPECT_THAT(make_authenticator(pool, world_).error().message, HasSubstr("plain HTTP"));
}

TEST_F(auth_sources, aws_profiles_that_need_a_person_are_refused_clearly) {
  set_home();
  const struct {
    const char* config;
    const char* why;
  } cases[] = {
      {"[default]\nsso_account_id = 1\nsso_role_name = r\n", "IAM Identity Center"},
      {"[default]\ncredential_process = /bin/x\n", "credential_process, which is not run"},
      {"[default]\nlogin_session = x\n", "console login"},
      {"[default]\nrole_arn = r\nsource_profile = default\nmfa_serial = m\n"
       "aws_access_key_id = a\naws_secret_access_key = s\n",
       "second factor"},
      {"[default]\nrole_arn = r\nsource_profile = b\n[profile b]\nrole_arn = r\n"
       "source_profile = default\n",
       "circle"},
      {"[default]\nrole_arn = r\nsource_profile = gone\n", "source_profile that is not there"},
      {"[default]\nrole_arn = r\n", "neither source_profile nor credential_source"},
      {"[default]\naws_access_key_id = a\n", "no aws_secret_access_key"},
      {"", "AWS_EC2_METADATA_DISABLED is set"},
  };
  world_.variables["AWS_EC2_METADATA_DISABLED"] = "true";
  for (const auto& [config, why] : cases) {
    write_profile("config", config);
    EXPECT_THAT(headers_of(*made(aws_default_auth{})), AllOf(HasSubstr("failed"), HasSubstr(why)));
  }
  EXPECT_THAT(headers_of(*made(aws_default_auth{"gone", ""})),
              HasSubstr("AWS profile gone is neit"));
  EXPECT_EQ(world_.asked.size(), 0u);
}

TEST_F(auth_sources, secrets_for_sts_and_containers_go_to_safe_places_only) {
  set_home();
  world_.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = file("token", "jwt");
  world_.variables["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/r";
  world_.variables["AWS_ENDPOINT_URL_STS"] = "http://sts.far.example";
  EXPECT_THAT(headers_of(*made(aws_default_auth{})), HasSubstr("plain HTTP"));
  world_.variables.erase("AWS_WEB_IDENTITY_TOKEN_FILE");
  world_.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://far.example/creds";
  EXPECT_THAT(headers_of(*made(aws_default_auth{})), HasSubstr("names the host far.example"));
  EXPECT_EQ(world_.asked.size(), 0u);
}

TEST_F(auth_sources, a_changed_profile_file_is_used) {
  set_home();
  write_profile("credentials", "[default]\naws_access_key_id = A1\naws_secret_access_key = s\n");
  const auto a = made(aws_default_auth{});
  EXPECT_THAT(headers_of(*a), HasSubstr("Credential=A1/"));
  write_profile("credentials", "[default]\naws_access_key_id = AK2\naws_secret_access_key = s\n");
  world_.at += 2s;
  EXPECT_THAT(headers_of(*a), HasSubstr("Credential=AK2/"));
  EXPECT_EQ(a->generation(), 2u);
}

}  // namespace
}  // namespace spillway
