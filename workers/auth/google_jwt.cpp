#include "workers/auth/google_jwt.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <boost/json.hpp>

namespace spillway {
namespace {

constexpr const char* audience = "https://oauth2.googleapis.com/token";
constexpr const char* scope = "https://www.googleapis.com/auth/cloud-platform";

std::string base64url(std::string_view bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  unsigned held = 0, bits = 0;
  for (const char c : bytes) {
    held = held << 8 | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6;) out += digits[held >> (bits -= 6) & 63];
  }
  if (bits > 0) out += digits[held << (6 - bits) & 63];
  return out;
}

failure no_key(std::string_view what) {
  return {failure_kind::usage, "this is no key of a Google service account: " + std::string(what)};
}

std::string text_of(const boost::json::object& o, std::string_view name) {
  const auto* value = o.if_contains(name);
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::string(*text) : std::string();
}

}  // namespace

struct google_account::private_key {
  EVP_PKEY* handle = nullptr;
  private_key() = default;
  private_key(const private_key&) = delete;
  private_key& operator=(const private_key&) = delete;
  ~private_key() { EVP_PKEY_free(handle); }
};

result<google_account> google_account::parse(std::string_view text) {
  boost::json::error_code error;
  const auto value = boost::json::parse(text, error);
  if (error || !value.is_object()) return no_key("it is not a JSON object");
  const auto& object = value.as_object();
  if (text_of(object, "type") != "service_account")
    return no_key("its type is not service_account");
  google_account out;
  out.email_ = text_of(object, "client_email");
  out.key_id_ = text_of(object, "private_key_id");
  out.token_url_ = text_of(object, "token_uri");
  if (out.token_url_.empty()) out.token_url_ = audience;
  if (out.email_.empty()) return no_key("client_email is missing");
  const auto pem = text_of(object, "private_key");
  auto key = std::make_shared<private_key>();
  BIO* from = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  // Without a callback OpenSSL would ask a terminal for the password of an encrypted key.
  const auto no_password = [](char*, int, int, void*) { return 0; };
  key->handle = PEM_read_bio_PrivateKey(from, nullptr, no_password, nullptr);
  BIO_free(from);
  ERR_clear_error();
  if (key->handle == nullptr || EVP_PKEY_get_base_id(key->handle) != EVP_PKEY_RSA)
    return no_key("private_key is not an RSA key in PEM form");
  out.key_ = std::move(key);
  return out;
}

result<std::string> google_account::assertion(time_point wall) const {
  const auto issued = std::chrono::floor<std::chrono::seconds>(wall).time_since_epoch().count();
  boost::json::object header{{"typ", "JWT"}, {"alg", "RS256"}};
  if (!key_id_.empty()) header["kid"] = key_id_;
  const boost::json::object claims{{"iat", issued},
                                   {"exp", issued + 3600},
                                   {"iss", email_},
                                   {"aud", audience},
                                   {"scope", scope}};
  std::string out =
      base64url(boost::json::serialize(header)) + "." + base64url(boost::json::serialize(claims));
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  std::string signature(static_cast<std::size_t>(EVP_PKEY_get_size(key_->handle)), '\0');
  std::size_t size = signature.size();
  const bool made =
      EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key_->handle) == 1 &&
      EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                     reinterpret_cast<const unsigned char*>(out.data()), out.size()) == 1;
  EVP_MD_CTX_free(context);
  if (!made) {
    ERR_clear_error();
    return failure{failure_kind::usage, "the service account's key cannot sign"};
  }
  signature.resize(size);
  return out + "." + base64url(signature);
}

}  // namespace spillway
