// Google OAuth tokens: for a service account's key, and for the account of the machine.
#include "workers/auth/answers.hpp"
#include "workers/auth/google_jwt.hpp"
#include "workers/auth/secrets.hpp"
#include "workers/auth/sources.hpp"

namespace spillway {
namespace {

class account_source final : public credential_source {
 public:
  account_source(secret key, std::string token_url, std::string ca_file)
      : key_(std::move(key)), token_url_(std::move(token_url)), ca_file_(std::move(ca_file)) {}

  /// Reads the key and says what is wrong with it.
  result<google_account> account(std::vector<file_stamp>& files) const {
    const auto text = key_.read(files);
    if (!text) return text.error();
    auto account = google_account::parse(*text);
    if (!account) return account.error().within(describe(key_.ref()));
    if (!is_safe_url(url_for(*account)))
      return failure{failure_kind::usage,
                     describe(key_.ref()) + ": an assertion is not sent over plain HTTP"};
    return account;
  }

  result<credential> get(auth_world& world, const std::stop_token& stop) override {
    std::vector<file_stamp> files;
    const auto from = account(files);
    if (!from) return from.error();
    const auto assertion = from->assertion(world.wall());
    if (!assertion) return assertion.error();
    token_request request;
    request.method = "POST";
    request.url = url_for(*from);
    request.headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    request.ca_file = ca_file_;
    request.body = form_of(
        {{"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"}, {"assertion", *assertion}});
    const auto answer = world.fetch(request, stop);
    if (!answer) return answer.error();
    auto out = bearer_of(*answer, "Google's token endpoint", world.now());
    if (out) out->files = std::move(files);
    return out;
  }

 private:
  std::string url_for(const google_account& account) const {
    return token_url_.empty() ? account.token_url() : token_url_;
  }

  secret key_;
  std::string token_url_, ca_file_;
};

class metadata_source final : public credential_source {
 public:
  explicit metadata_source(std::string host) : host_(std::move(host)) {}

  result<credential> get(auth_world& world, const std::stop_token& stop) override {
    token_request request;
    request.url = "http://" + host_ + "/computeMetadata/v1/instance/service-accounts/default/token";
    request.headers = "Metadata-Flavor: Google\r\n";
    request.timeout = std::chrono::seconds(10);
    const auto answer = world.fetch(request, stop);
    if (!answer)
      return answer.error().within("the metadata server (is this a machine of Google's cloud?)");
    return bearer_of(*answer, "the metadata server", world.now());
  }

 private:
  std::string host_;
};

}  // namespace

source_result make_google_account_source(const google_service_account_auth& auth,
                                         std::string ca_file, const auth_world& world) {
  auto key = secret::make(auth.key, world, secret::form::document);
  if (!key) return key.error();
  auto source =
      std::make_unique<account_source>(*std::move(key), auth.token_url, std::move(ca_file));
  std::vector<file_stamp> unused;
  if (const auto account = source->account(unused); !account) return account.error();
  return std::unique_ptr<credential_source>(std::move(source));
}

source_result make_google_metadata_source(const google_metadata_auth& auth,
                                          const auth_world& world) {
  std::string host = auth.host;
  for (const char* name : {"GCE_METADATA_HOST", "GCE_METADATA_ROOT"})
    if (host.empty()) host = world.environment(name).value_or("");
  if (host.empty()) host = "metadata.google.internal";
  return std::unique_ptr<credential_source>(std::make_unique<metadata_source>(std::move(host)));
}

}  // namespace spillway
