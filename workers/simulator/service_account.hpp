// The key of a simulated Google service account, and the check of assertions signed with it.
#pragma once

#include "schemas/result.hpp"
#include "schemas/units.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace spillway::simulated {

class service_account {
 public:
  /// A new RSA key.
  [[nodiscard]] static service_account generate(std::string email, std::string project);
  /// Checks with the public key in a PEM text; there is no key file to write then.
  [[nodiscard]] static result<service_account> with_public_key(std::string email,
                                                               const std::string& pem);
  service_account(service_account&&) noexcept;
  service_account& operator=(service_account&&) noexcept;
  ~service_account();

  /// Replaces the key; assertions signed with the one before are refused from now on.
  void rotate();
  /// What Google's console offers as JSON; `token_uri`: where assertions are to be sent.
  [[nodiscard]] std::string key_file(const std::string& token_uri) const;
  [[nodiscard]] bool has_private_key() const;
  [[nodiscard]] const std::string& email() const { return email_; }

  /// Empty: the assertion is good. Else what Google says about it.
  [[nodiscard]] std::string problem_of(std::string_view assertion, time_point now) const;

 private:
  struct key_pair;
  service_account();
  std::string email_, project_, key_id_;
  std::unique_ptr<key_pair> key_;
};

}  // namespace spillway::simulated
