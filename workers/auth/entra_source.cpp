// Microsoft Entra: client credentials, or the identity a machine of Azure was given.
#include "workers/auth/answers.hpp"
#include "workers/auth/secrets.hpp"
#include "workers/auth/sources.hpp"
#include "workers/http.hpp"

namespace spillway {
namespace {

constexpr std::string_view default_scope = "https://ai.azure.com/.default";
constexpr std::string_view authority = "https://login.microsoftonline.com/";
constexpr std::string_view instance_url = "http://169.254.169.254/metadata/identity/oauth2/token";
constexpr std::string_view form_type =
    "Content-Type: application/x-www-form-urlencoded\r\nAccept: application/json\r\n";

std::string scope_of(const entra_auth& auth) {
  return auth.scope.empty() ? std::string(default_scope) : auth.scope;
}

class client_source final : public credential_source {
 public:
  client_source(entra_auth auth, secret client_secret, std::string ca_file)
      : auth_(std::move(auth)), secret_(std::move(client_secret)), ca_file_(std::move(ca_file)) {}

  result<credential> get(auth_world& world, const std::stop_token& stop) override {
    std::vector<file_stamp> files;
    const auto key = secret_.read(files);
    if (!key) return key.error();
    token_request request;
    request.method = "POST";
    request.url = auth_.token_url;
    request.headers = form_type;
    request.ca_file = ca_file_;
    request.body = form_of({{"client_id", auth_.client_id},
                            {"client_secret", *key},
                            {"scope", scope_of(auth_)},
                            {"grant_type", "client_credentials"}});
    const auto answer = world.fetch(request, stop);
    if (!answer) return answer.error();
    auto out = bearer_of(*answer, "Entra's token endpoint", world.now());
    if (out) out->files = std::move(files);
    return out;
  }

 private:
  entra_auth auth_;
  secret secret_;
  std::string ca_file_;
};

class managed_source final : public credential_source {
 public:
  explicit managed_source(entra_auth auth) : auth_(std::move(auth)) {}

  result<credential> get(auth_world& world, const std::stop_token& stop) override {
    auto resource = scope_of(auth_);
    constexpr std::string_view suffix = "/.default";
    if (resource.ends_with(suffix)) resource.resize(resource.size() - suffix.size());
    token_request request;
    request.timeout = std::chrono::seconds(10);
    const auto endpoint = world.environment("IDENTITY_ENDPOINT").value_or("");
    const auto key = world.environment("IDENTITY_HEADER").value_or("");
    std::string version = "2018-02-01";
    if (!auth_.token_url.empty()) {
      request.url = auth_.token_url;
      request.headers = "Metadata: true\r\n";
    } else if (!endpoint.empty() && fits_header(key)) {
      // App Service and Container Apps; the address is one of the container itself.
      request.url = endpoint;
      request.headers = "X-IDENTITY-HEADER: " + key + "\r\n";
      version = "2019-08-01";
    } else {
      request.url = instance_url;
      request.headers = "Metadata: true\r\n";
    }
    request.url += (request.url.find('?') == std::string::npos ? "?" : "&") +
                   form_of({{"api-version", version}, {"resource", resource}});
    if (!auth_.client_id.empty()) request.url += "&" + form_of({{"client_id", auth_.client_id}});
    const auto answer = world.fetch(request, stop);
    if (!answer) return answer.error().within("managed identity");
    return bearer_of(*answer, "the managed identity's endpoint", world.now());
  }

 private:
  entra_auth auth_;
};

}  // namespace

source_result make_entra_source(const entra_auth& auth, std::string ca_file,
                                const auth_world& world) {
  if (auth.managed_identity || !auth.client_secret)
    return std::unique_ptr<credential_source>(std::make_unique<managed_source>(auth));
  auto key = secret::make(*auth.client_secret, world, secret::form::document);
  if (!key) return key.error();
  auto settled = auth;
  if (settled.token_url.empty())
    settled.token_url =
        std::string(authority) + percent_encoded(auth.tenant) + "/oauth2/v2.0/token";
  if (!is_safe_url(settled.token_url))
    return failure{failure_kind::usage,
                   "entra.token_url: a client secret is not sent over plain HTTP"};
  return std::unique_ptr<credential_source>(
      std::make_unique<client_source>(std::move(settled), *std::move(key), std::move(ca_file)));
}

}  // namespace spillway
