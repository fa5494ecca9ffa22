// AWS Signature Version 4 of a request, as botocore computes it for every service but S3. Pure.
#pragma once

#include "schemas/units.hpp"
#include "workers/http.hpp"

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace spillway {

struct aws_keys {
  std::string access_key_id, secret_access_key;
  std::string session_token;  ///< empty for keys that do not expire
  bool operator==(const aws_keys&) const = default;
};

/// What a signature is bound to.
struct sigv4_scope {
  std::string host;  ///< value of the Host header
  std::string region;
  std::string service;  ///< the signing name
};

/// `bedrock` or `bedrock-mantle`, by the host a pool calls; `bedrock` for hosts of other names.
[[nodiscard]] std::string_view signing_name_of(std::string_view host);

/// The region within bedrock-runtime.REGION.amazonaws.com and its like; empty for other hosts.
[[nodiscard]] std::string_view region_of(std::string_view host);

/// The path as it is signed: dot segments and doubled slashes gone, every byte but letters, digits
/// and "/-_.~" encoded, '%' too: what is encoded on the wire is signed encoded twice.
[[nodiscard]] std::string canonical_path(std::string_view path);
/// Name=value pairs in the order of their bytes, encoding left as it is.
[[nodiscard]] std::string canonical_query(std::string_view query);

/// Signs requests with one set of keys. Thread-safe: the derived key of a day is kept.
class sigv4_signer {
 public:
  sigv4_signer(aws_keys keys, sigv4_scope scope)
      : keys_(std::move(keys)), scope_(std::move(scope)) {}

  /// Appends X-Amz-Date, X-Amz-Security-Token and Authorization to a POST request that is otherwise
  /// complete. Signed are all of its headers but those that a client or proxy may change
  /// (user-agent, connection, transfer-encoding, expect, trace headers), and Host. `now` is
  /// wall-clock time.
  void sign(http_request&, time_point now) const;

  [[nodiscard]] const aws_keys& keys() const { return keys_; }
  [[nodiscard]] const sigv4_scope& scope() const { return scope_; }

 private:
  struct day_key {
    std::string date;  ///< YYYYMMDD
    std::array<unsigned char, 32> key{};
  };
  [[nodiscard]] std::shared_ptr<const day_key> key_of(std::string_view date) const;

  aws_keys keys_;
  sigv4_scope scope_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const day_key> key_;
};

}  // namespace spillway
