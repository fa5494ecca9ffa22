#include "workers/auth/authenticator.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

namespace spillway {
namespace {

constexpr std::size_t key_bytes_max = 16u << 10;

class no_credentials final : public authenticator {
 public:
  [[nodiscard]] result<credential_use> authenticate(http_request&) const override {
    return credential_use{};
  }
};

class static_header final : public authenticator {
 public:
  explicit static_header(std::string line) : line_(std::move(line)) {}
  [[nodiscard]] result<credential_use> authenticate(http_request& request) const override {
    request.headers += line_;
    return credential_use{};
  }

 private:
  std::string line_;  // "Name: value\r\n"
};

std::string describe(const secret_ref& ref) {
  return (ref.from == secret_ref::source::env ? "env:" : "file:") + ref.name;
}

failure bad_secret(const secret_ref& ref, std::string_view what) {
  return {failure_kind::usage, "the secret " + describe(ref) + " " + std::string(what)};
}

result<std::string> read_env(const secret_ref& ref) {
  const char* value = std::getenv(ref.name.c_str());
  if (value == nullptr)
    return bad_secret(ref, "is not there: set the environment variable " + ref.name);
  return std::string(value);
}

result<std::string> read_file(const secret_ref& ref) {
  errno = 0;
  std::ifstream file(ref.name, std::ios::binary);
  if (!file) return bad_secret(ref, std::string("cannot be read: ") + std::strerror(errno));
  std::string value(key_bytes_max + 1, '\0');
  file.read(value.data(), static_cast<std::streamsize>(value.size()));
  if (file.bad() || (file.fail() && !file.eof())) return bad_secret(ref, "cannot be read");
  value.resize(static_cast<std::size_t>(file.gcount()));
  if (value.size() > key_bytes_max) return bad_secret(ref, "is too large to be a key");
  while (value.ends_with('\n') || value.ends_with('\r')) value.pop_back();
  return value;
}

result<std::string> read_secret(const secret_ref& ref) {
  auto value = ref.from == secret_ref::source::env ? read_env(ref) : read_file(ref);
  if (!value) return value;
  if (value->empty()) return bad_secret(ref, "is empty");
  const bool printable =
      std::all_of(value->begin(), value->end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (!printable || value->front() == ' ' || value->back() == ' ')
    return bad_secret(ref,
                      "holds characters a header cannot carry (line breaks, control or non-ASCII "
                      "characters, or spaces around it)");
  return value;
}

}  // namespace

result<std::unique_ptr<authenticator>> make_authenticator(const pool_config& pool) {
  if (std::holds_alternative<std::monostate>(pool.auth))
    return std::unique_ptr<authenticator>(std::make_unique<no_credentials>());

  const std::string context = "pool " + pool.name;
  const auto url = parse_endpoint(pool.endpoint);
  if (!url) return url.error().within(context);
  if (!url->tls && !url->is_loopback())
    return failure{failure_kind::usage, context + ": a key is not sent over plain HTTP to " +
                                            url->host +
                                            ": use an https:// endpoint, or remove auth"};
  const auto* key = std::get_if<api_key_auth>(&pool.auth);
  const auto* bearer = std::get_if<bearer_auth>(&pool.auth);
  if (key == nullptr && bearer == nullptr)
    return failure{failure_kind::usage, context + ": this form of auth is not supported yet"};
  auto secret = read_secret(key ? key->key : bearer->token);
  if (!secret) return secret.error().within(context);

  const std::string_view name = bearer != nullptr ? "Authorization: Bearer "
                                : pool.provider == provider_kind::azure_openai ? "api-key: "
                                : pool.provider == provider_kind::anthropic
                                    ? "x-api-key: "
                                    : "Authorization: Bearer ";
  return std::unique_ptr<authenticator>(
      std::make_unique<static_header>(std::string(name) + *secret + "\r\n"));
}

}  // namespace spillway
