#include "workers/simulator/sha256.hpp"

#include "schemas/result.hpp"

#include <openssl/evp.h>

#include <memory>

namespace spillway::simulated {
namespace {

struct free_context {
  void operator()(EVP_MD_CTX* c) const { EVP_MD_CTX_free(c); }
};

/// Looked up once: OpenSSL 3 would search its providers at each use.
const EVP_MD* algorithm() {
  static const EVP_MD* const found = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  ensure(found != nullptr, "OpenSSL has SHA-256");
  return found;
}

digest of_two(std::string_view first, std::string_view second) {
  thread_local const std::unique_ptr<EVP_MD_CTX, free_context> context(EVP_MD_CTX_new());
  digest out{};
  const bool done = EVP_DigestInit_ex2(context.get(), algorithm(), nullptr) == 1 &&
                    EVP_DigestUpdate(context.get(), first.data(), first.size()) == 1 &&
                    EVP_DigestUpdate(context.get(), second.data(), second.size()) == 1 &&
                    EVP_DigestFinal_ex(context.get(), out.data(), nullptr) == 1;
  ensure(done, "hashing cannot fail");
  return out;
}

constexpr std::size_t block_bytes = 64;

}  // namespace

digest sha256(std::string_view text) { return of_two(text, {}); }

// RFC 2104.
digest hmac_sha256(std::string_view key, std::string_view message) {
  std::array<char, block_bytes> inner{}, outer{};
  const digest shortened = key.size() > block_bytes ? sha256(key) : digest{};
  if (key.size() > block_bytes) key = bytes_of(shortened);
  for (std::size_t i = 0; i < block_bytes; ++i) {
    const char k = i < key.size() ? key[i] : '\0';
    inner[i] = static_cast<char>(k ^ 0x36);
    outer[i] = static_cast<char>(k ^ 0x5c);
  }
  const digest first = of_two({inner.data(), inner.size()}, message);
  return of_two({outer.data(), outer.size()}, bytes_of(first));
}

void append_hex_digits(std::string_view bytes, std::string& out) {
  static constexpr char digits[] = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
}

}  // namespace spillway::simulated
