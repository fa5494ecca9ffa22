// The assertion a Google service account signs to be given a token. Pure.
#pragma once

#include "schemas/result.hpp"
#include "schemas/units.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace spillway {

/// A service account's key file, read.
class google_account {
 public:
  /// Fails when the text is no key of a service account; the failure quotes nothing of it.
  [[nodiscard]] static result<google_account> parse(std::string_view json);

  /// The RS256 JWT that is good for an hour from `wall`, as google-auth makes it: the audience is
  /// fixed, whatever endpoint it is sent to.
  [[nodiscard]] result<std::string> assertion(time_point wall) const;
  /// Where the key says that tokens are given.
  [[nodiscard]] const std::string& token_url() const { return token_url_; }

 private:
  struct private_key;
  google_account() = default;
  std::string email_, key_id_, token_url_;
  std::shared_ptr<const private_key> key_;
};

}  // namespace spillway
