// Checks AWS Signature Version 4 of requests as the service would: written after AWS's description,
// sharing nothing with the code that signs.
#pragma once

#include "schemas/units.hpp"
#include "workers/simulator/reply.hpp"
#include "workers/simulator/request_head.hpp"
#include "workers/simulator/sha256.hpp"

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace spillway::simulated {

/// Keys as their owner knows them.
struct aws_credential {
  std::string secret;
  std::string session_token;  ///< empty: none goes with the key
  std::optional<time_point> expires;
};

/// What a signature must be made for.
struct signing_scope {
  std::string_view region;
  std::vector<std::string_view> services;  ///< any of these; the first is named in the refusal
};

/// What Authorization says; views into it.
struct signature_claim {
  std::string_view access_key_id, date, region, service, signed_headers, signature;
};

/// Nothing: not of the form "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…".
[[nodiscard]] std::optional<signature_claim> read_signature(std::string_view authorization);

/// Thread-safe: keeps one derived key for each access key.
class sigv4_checker {
 public:
  /// Nothing: the signature is right. `known`: the keys that `claim` names, or null.
  [[nodiscard]] std::optional<error_reply> check(const request_head&, std::string_view body,
                                                 const signature_claim& claim,
                                                 const aws_credential* known, const signing_scope&,
                                                 time_point now);

 private:
  struct derived_key {
    std::string scope;  ///< date/region/service, and the secret it was derived from
    digest key{};
  };
  [[nodiscard]] digest signing_key(const signature_claim&, const std::string& secret);

  std::mutex mutex_;
  std::unordered_map<std::string, derived_key> keys_;
};

}  // namespace spillway::simulated
