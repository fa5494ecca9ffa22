// The calls that AWS credentials come by: STS, container and instance metadata.
#pragma once

#include "workers/auth/aws_profiles.hpp"
#include "workers/auth/credential.hpp"

namespace spillway {

/// What the calls go by.
struct aws_place {
  std::string region;
  std::string ca_file;
  ini_section profile;  ///< options of the chosen profile
};

/// A role to take: `aws_keys` to sign with, or a web identity token.
struct aws_role {
  std::string arn, session_name, external_id;
  std::string duration_seconds;  ///< empty: what STS gives by itself
};
/// AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL and the profile's endpoint_url are honoured.
[[nodiscard]] result<credential> assume_role(const aws_role&, const aws_keys&, const aws_place&,
                                             auth_world&, const std::stop_token&);
[[nodiscard]] result<credential> assume_role_with_token(const aws_role&,
                                                        const std::string& token_file,
                                                        const aws_place&, auth_world&,
                                                        const std::stop_token&);

/// Whether AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI is set.
[[nodiscard]] bool in_container(const auth_world&);
[[nodiscard]] result<credential> container_keys(auth_world&, const std::stop_token&);

/// IMDSv2 only; AWS_EC2_METADATA_SERVICE_ENDPOINT, _ENDPOINT_MODE, AWS_IMDS_USE_IPV6,
/// AWS_EC2_METADATA_DISABLED, AWS_METADATA_SERVICE_TIMEOUT and _NUM_ATTEMPTS are honoured.
[[nodiscard]] result<credential> instance_keys(const aws_place&, auth_world&,
                                               const std::stop_token&);

}  // namespace spillway
