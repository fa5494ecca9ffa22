// The ways to get a credential; each file of this folder that ends in _source.cpp makes some.
#pragma once

#include "schemas/config.hpp"
#include "workers/auth/credential.hpp"

#include <memory>

namespace spillway {

using source_result = result<std::unique_ptr<credential_source>>;

/// "NAME: value" of a secret, `before` being "NAME: " and what else stands before it.
[[nodiscard]] source_result make_header_source(const secret_ref&, std::string before,
                                               const auth_world&);
[[nodiscard]] source_result make_aws_keys_source(const aws_keys_auth&, const auth_world&);
/// The credential chain of the AWS SDKs, or AWS_BEARER_TOKEN_BEDROCK.
[[nodiscard]] source_result make_aws_chain_source(const aws_default_auth&, std::string region,
                                                  std::string ca_file, const auth_world&);
/// Fails when the key file is not one; its text is read again whenever it changes.
[[nodiscard]] source_result make_google_account_source(const google_service_account_auth&,
                                                       std::string ca_file, const auth_world&);
[[nodiscard]] source_result make_google_metadata_source(const google_metadata_auth&,
                                                        const auth_world&);
[[nodiscard]] source_result make_entra_source(const entra_auth&, std::string ca_file,
                                              const auth_world&);

}  // namespace spillway
