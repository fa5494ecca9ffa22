#include "workers/simulator/service_account.hpp"

#include "workers/simulator/sha256.hpp"
#include "workers/simulator/web_text.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <boost/json.hpp>

#include <algorithm>
#include <optional>

namespace spillway::simulated {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

constexpr std::string_view audience = "https://oauth2.googleapis.com/token";
constexpr std::string_view scope = "https://www.googleapis.com/auth/cloud-platform";
constexpr auto clock_slack = 5min;
constexpr auto life_max = 1h;

struct free_bio {
  void operator()(BIO* b) const { BIO_free_all(b); }
};
struct free_context {
  void operator()(EVP_MD_CTX* c) const { EVP_MD_CTX_free(c); }
};
using bio = std::unique_ptr<BIO, free_bio>;

std::string text_of(BIO* b) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(b, &data);
  return {data, static_cast<std::size_t>(size)};
}

bool verifies(EVP_PKEY* key, std::string_view text, std::string_view signature) {
  const std::unique_ptr<EVP_MD_CTX, free_context> c(EVP_MD_CTX_new());
  return EVP_DigestVerifyInit(c.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
         EVP_DigestVerify(c.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                          signature.size(), reinterpret_cast<const unsigned char*>(text.data()),
                          text.size()) == 1;
}

json::object object_in(std::string_view encoded) {
  const auto text = base64url_decoded(encoded);
  json::error_code ec;
  json::value value = text ? json::parse(*text, ec) : json::value();
  return !ec && value.is_object() ? value.get_object() : json::object();
}

std::string text_in(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::optional<time_point> time_in(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  if (!value || !value->is_number()) return std::nullopt;
  return time_point(std::chrono::seconds(value->to_number<std::int64_t>()));
}

std::string problem_of_claims(const json::object& claims, const std::string& email,
                              time_point now) {
  if (text_in(claims, "iss") != email) return "Invalid grant: account not found";
  if (text_in(claims, "aud") != audience) return "Invalid JWT: Failed audience check.";
  if (text_in(claims, "scope").find(scope) == std::string::npos)
    return "Invalid OAuth scope or ID token audience provided.";
  const auto issued = time_in(claims, "iat"), expires = time_in(claims, "exp");
  const bool timely = issued && expires && *issued <= now + clock_slack && now < *expires &&
                      *expires - *issued <= life_max;
  if (timely) return {};
  return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
         "timeframe. Check your iat and exp values in the JWT claim.";
}

}  // namespace

struct service_account::key_pair {
  struct free_key {
    void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
  };
  std::unique_ptr<EVP_PKEY, free_key> key;
  bool is_private = false;
};

service_account::service_account() : key_(std::make_unique<key_pair>()) {}
service_account::service_account(service_account&&) noexcept = default;
service_account& service_account::operator=(service_account&&) noexcept = default;
service_account::~service_account() = default;

service_account service_account::generate(std::string email, std::string project) {
  service_account made;
  made.email_ = std::move(email);
  made.project_ = std::move(project);
  made.rotate();
  return made;
}

result<service_account> service_account::with_public_key(std::string email,
                                                         const std::string& pem) {
  service_account made;
  made.email_ = std::move(email);
  const bio source(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  made.key_->key.reset(PEM_read_bio_PUBKEY(source.get(), nullptr, nullptr, nullptr));
  if (!made.key_->key)
    return failure{failure_kind::usage,
                   "identity.google.public_key_file: expected a public key "
                   "as PEM (BEGIN PUBLIC KEY)"};
  return made;
}

void service_account::rotate() {
  key_->key.reset(EVP_RSA_gen(2048));
  ensure(key_->key != nullptr, "OpenSSL makes RSA keys");
  key_->is_private = true;
  const bio out(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(out.get(), key_->key.get());
  key_id_.clear();
  append_hex_digits(bytes_of(sha256(text_of(out.get()))), key_id_);
  key_id_.resize(40);
}

bool service_account::has_private_key() const { return key_->is_private; }

std::string service_account::key_file(const std::string& token_uri) const {
  const bio out(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(out.get(), key_->key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  const json::object file{{"type", "service_account"},
                          {"project_id", project_},
                          {"private_key_id", key_id_},
                          {"private_key", text_of(out.get())},
                          {"client_email", email_},
                          {"client_id", "100000000000000000001"},
                          {"auth_uri", "https://accounts.google.com/o/oauth2/auth"},
                          {"token_uri", token_uri},
                          {"universe_domain", "googleapis.com"}};
  return json::serialize(file) + "\n";
}

std::string service_account::problem_of(std::string_view assertion, time_point now) const {
  const auto first = assertion.find('.');
  const auto second = first == std::string_view::npos ? first : assertion.find('.', first + 1);
  if (second == std::string_view::npos) return "Invalid JWT: not three parts.";
  const auto header = object_in(assertion.substr(0, first));
  const auto claims = object_in(assertion.substr(first + 1, second - first - 1));
  const auto signature = base64url_decoded(assertion.substr(second + 1));
  if (text_in(header, "alg") != "RS256") return "Invalid JWT: unsupported algorithm.";
  if (const auto id = text_in(header, "kid"); !id.empty() && !key_id_.empty() && id != key_id_)
    return "Invalid JWT Signature.";
  if (!signature || !verifies(key_->key.get(), assertion.substr(0, second), *signature))
    return "Invalid JWT Signature.";
  return problem_of_claims(claims, email_, now);
}

}  // namespace spillway::simulated
