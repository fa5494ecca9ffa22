// Credentials that are kept in variables and files: keys, bearer tokens, AWS keys.
#include "workers/auth/secrets.hpp"
#include "workers/auth/sources.hpp"

namespace spillway {
namespace {

class header_source final : public credential_source {
 public:
  header_source(secret key, std::string before)
      : key_(std::move(key)), before_(std::move(before)) {}
  result<credential> get(auth_world&, const std::stop_token&) override {
    credential out;
    auto value = key_.read(out.files);
    if (!value) return value.error();
    out.header = before_ + *value + "\r\n";
    return out;
  }

 private:
  secret key_;
  std::string before_;
};

class aws_keys_source final : public credential_source {
 public:
  aws_keys_source(secret id, secret key, std::optional<secret> token)
      : id_(std::move(id)), key_(std::move(key)), token_(std::move(token)) {}
  result<credential> get(auth_world&, const std::stop_token&) override {
    credential out;
    auto id = id_.read(out.files);
    if (!id) return id.error();
    auto key = key_.read(out.files);
    if (!key) return key.error();
    out.keys = aws_keys{*std::move(id), *std::move(key), {}};
    if (!token_) return out;
    auto token = token_->read(out.files);
    if (!token) return token.error();
    out.keys->session_token = *std::move(token);
    return out;
  }

 private:
  secret id_, key_;
  std::optional<secret> token_;
};

}  // namespace

source_result make_header_source(const secret_ref& ref, std::string before,
                                 const auth_world& world) {
  auto key = secret::make(ref, world);
  if (!key) return key.error();
  return std::unique_ptr<credential_source>(
      std::make_unique<header_source>(*std::move(key), std::move(before)));
}

source_result make_aws_keys_source(const aws_keys_auth& auth, const auth_world& world) {
  auto id = secret::make(auth.access_key_id, world);
  if (!id) return id.error();
  auto key = secret::make(auth.secret_access_key, world);
  if (!key) return key.error();
  std::optional<secret> token;
  if (auth.session_token) {
    auto made = secret::make(*auth.session_token, world);
    if (!made) return made.error();
    token = *std::move(made);
  }
  return std::unique_ptr<credential_source>(
      std::make_unique<aws_keys_source>(*std::move(id), *std::move(key), std::move(token)));
}

}  // namespace spillway
