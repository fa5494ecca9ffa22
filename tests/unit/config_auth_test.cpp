#include "orchestrator/cli/config_sections.hpp"

#include <gmock/gmock.h>

namespace spillway {
namespace {

using testing::HasSubstr;
using testing::Not;

struct reading {
  auth_config auth;
  std::string problems;  ///< empty when there is none
};

reading read(provider_kind provider, const std::string& auth) {
  auto document = yaml_document::parse(auth.empty() ? "{}" : "auth: " + auth, "p");
  auto root = document.root();
  reading out;
  out.auth = read_auth(root, provider, true);
  if (const auto problems = document.check()) out.problems = problems->message;
  return out;
}

template <class Form>
Form form_of(provider_kind provider, const std::string& auth) {
  const auto got = read(provider, auth);
  EXPECT_EQ(got.problems, "") << auth;
  const auto* form = std::get_if<Form>(&got.auth);
  EXPECT_NE(form, nullptr) << auth;
  return form ? *form : Form{};
}

TEST(config_auth, keys_and_bearers) {
  for (const auto provider : {provider_kind::openai, provider_kind::azure_openai,
                              provider_kind::anthropic, provider_kind::openai_compatible}) {
    EXPECT_EQ(form_of<api_key_auth>(provider, "{ api_key: env:K }").key.name, "K");
    EXPECT_EQ(form_of<bearer_auth>(provider, "{ bearer: file:/k }").token.name, "/k");
  }
  for (const auto provider : {provider_kind::bedrock, provider_kind::vertex})
    EXPECT_EQ(form_of<bearer_auth>(provider, "{ bearer: env:T }").token.name, "T");
}

TEST(config_auth, aws) {
  constexpr auto p = provider_kind::bedrock;
  EXPECT_EQ(form_of<aws_default_auth>(p, "{ aws: default }").profile, "");
  const auto chain =
      form_of<aws_default_auth>(p, "{ aws: { profile: dev, signing_name: bedrock } }");
  EXPECT_EQ(chain.profile, "dev");
  EXPECT_EQ(chain.signing_name, "bedrock");
  const auto keys = form_of<aws_keys_auth>(
      p, "{ aws: { access_key_id: env:A, secret_access_key: file:/b, session_token: env:C } }");
  EXPECT_EQ(keys.access_key_id.name, "A");
  EXPECT_EQ(keys.secret_access_key.from, secret_ref::source::file);
  EXPECT_EQ(keys.session_token->name, "C");
}

TEST(config_auth, google) {
  constexpr auto p = provider_kind::vertex;
  EXPECT_EQ(form_of<google_metadata_auth>(p, "{ google: metadata }").host, "");
  EXPECT_EQ(form_of<google_metadata_auth>(p, "{ google: { metadata_host: h:1 } }").host, "h:1");
  const auto account = form_of<google_service_account_auth>(
      p, "{ google: { service_account: file:k.json, token_url: http://127.0.0.1:1/token } }");
  EXPECT_EQ(account.key.name, "k.json");
  EXPECT_EQ(account.token_url, "http://127.0.0.1:1/token");
}

TEST(config_auth, entra) {
  constexpr auto p = provider_kind::azure_openai;
  const auto client = form_of<entra_auth>(
      p, "{ entra: { tenant: t, client_id: c, client_secret: env:S, scope: api://x/.default } }");
  EXPECT_FALSE(client.managed_identity);
  EXPECT_EQ(client.tenant, "t");
  EXPECT_EQ(client.client_id, "c");
  EXPECT_EQ(client.client_secret->name, "S");
  EXPECT_EQ(client.scope, "api://x/.default");
  EXPECT_TRUE(form_of<entra_auth>(p, "{ entra: { managed_identity: true } }").managed_identity);
  EXPECT_EQ(form_of<entra_auth>(p, "{ entra: { managed_identity: true, client_id: c } }").client_id,
            "c");
  EXPECT_EQ(form_of<entra_auth>(
                p, "{ entra: { client_id: c, client_secret: env:S, token_url: https://own/t } }")
                .tenant,
            "");
}

TEST(config_auth, none_is_for_compatible_servers_only) {
  EXPECT_EQ(read(provider_kind::openai_compatible, "").problems, "");
  EXPECT_EQ(read(provider_kind::bedrock, "").problems,
            "p:1: auth: missing; provider bedrock needs auth: { aws: default }");
  EXPECT_EQ(read(provider_kind::vertex, "").problems,
            "p:1: auth: missing; provider vertex needs auth: { google: metadata }");
}

struct mistake {
  provider_kind provider;
  const char* auth;
  const char* problem;
};

constexpr auto openai = provider_kind::openai;
constexpr auto azure = provider_kind::azure_openai;
constexpr auto bedrock = provider_kind::bedrock;
constexpr auto vertex = provider_kind::vertex;

constexpr mistake mistakes[] = {
    {openai, "{}", "p:1: auth: expected api_key or bearer, as in auth: { api_key: env:NAME }"},
    {openai, "{ aws: default }", "p:1: auth.aws: provider openai takes api_key or bearer"},
    {bedrock, "{ api_key: env:K }", "auth.api_key: provider bedrock takes aws or bearer"},
    {vertex, "{ aws: default }", "auth.aws: provider vertex takes google or bearer"},
    {azure, "{ google: metadata }", "auth.google: provider azure-openai takes api_key, bearer or"},
    {provider_kind::anthropic, "{ entra: { managed_identity: true } }", "takes api_key or bearer"},
    {openai, "{ api_key: env:K, bearer: env:K }", "auth: expected one form, found api_key and"},
    {openai, "{ api_keys: env:K }", "auth.api_keys: unknown key; did you mean api_key?"},
    {bedrock, "{ aws: defualt }", "auth.aws: expected default or a mapping"},
    {bedrock, "{ aws: { access_key_id: env:A } }", "auth.aws.secret_access_key: missing"},
    {bedrock, "{ aws: { profile: p, access_key_id: env:A, secret_access_key: env:B } }",
     "auth.aws.profile: expected either a profile or keys"},
    {bedrock, "{ aws: { signing_name: Bedrock! } }", "auth.aws.signing_name: expected the name"},
    {bedrock, "{ aws: { profil: x } }", "auth.aws.profil: unknown key; did you mean profile?"},
    {vertex, "{ google: {} }", "auth.google.service_account: missing"},
    {vertex, "{ google: { service_account: file:k, token_url: http://far/t } }",
     "auth.google.token_url: expected https://"},
    {vertex, "{ google: { service_account: file:k, token_url: nonsense } }", "token_url: endpoint"},
    {azure, "{ entra: { tenant: t, client_id: c } }", "auth.entra.client_secret: missing"},
    {azure, "{ entra: { client_id: c, client_secret: env:S } }", "auth.entra.tenant: missing"},
    {azure, "{ entra: { managed_identity: true, tenant: t } }",
     "auth.entra.tenant: a managed identity has none"},
    {azure, "{ entra: { managed_identity: yes } }", "managed_identity: expected true or false"},
};

TEST(config_auth, mistakes_are_told_with_line_and_key) {
  for (const auto& m : mistakes)
    EXPECT_THAT(read(m.provider, m.auth).problems, HasSubstr(m.problem)) << m.auth;
}

TEST(config_auth, secrets_in_the_wrong_place_are_not_shown) {
  for (const char* auth :
       {"{ aws: hunter2 }", "{ aws: { access_key_id: hunter2, secret_access_key: hunter2 } }",
        "{ google: hunter2 }", "{ google: { service_account: hunter2 } }", "{ bearer: hunter2 }",
        "{ entra: { tenant: t, client_id: c, client_secret: hunter2 } }"}) {
    const auto problems = read(bedrock, auth).problems;
    EXPECT_THAT(problems, Not(HasSubstr("hunter2")));
    EXPECT_NE(problems, "");
  }
}

TEST(config_auth, an_unknown_provider_takes_every_form) {
  auto document = yaml_document::parse("auth: { aws: default }", "p");
  auto root = document.root();
  read_auth(root, provider_kind::openai_compatible, false);
  EXPECT_FALSE(document.check());
}

}  // namespace
}  // namespace spillway
