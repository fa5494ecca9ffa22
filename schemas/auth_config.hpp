// How a pool proves who it is, as the configuration says it.
#pragma once

#include <optional>
#include <string>
#include <variant>

namespace spillway {

/// A secret by reference; the value is read when it is used and never stored here.
struct secret_ref {
  enum class source { env, file } from = source::env;
  std::string name;  ///< variable name or path
};

/// A key in the provider's own header: `Authorization: Bearer`, `api-key`, `x-api-key`.
struct api_key_auth {
  secret_ref key;
};
/// A token sent as `Authorization: Bearer`, whatever the provider.
struct bearer_auth {
  secret_ref token;
};
/// Microsoft Entra: client credentials, or the machine's managed identity.
struct entra_auth {
  bool managed_identity = false;
  std::string tenant,
      client_id;  ///< with a managed identity, `client_id` names a user-assigned one
  std::optional<secret_ref> client_secret;
  std::string scope;      ///< empty: the documented default
  std::string token_url;  ///< empty: derived from the tenant, or the metadata address
};
/// The chain of the AWS SDKs: environment, profile files, web identity, container, instance.
struct aws_default_auth {
  std::string profile;       ///< empty: AWS_PROFILE, else "default"
  std::string signing_name;  ///< empty: by the host
};
struct aws_keys_auth {
  secret_ref access_key_id, secret_access_key;
  std::optional<secret_ref> session_token;
  std::string signing_name;  ///< empty: by the host
};
/// The service account of the machine, asked of the metadata server.
struct google_metadata_auth {
  std::string host;  ///< empty: GCE_METADATA_HOST, else metadata.google.internal
};
/// A service-account key, in a JSON file.
struct google_service_account_auth {
  secret_ref key;
  std::string token_url;  ///< empty: what the key says
};

using auth_config =
    std::variant<std::monostate, api_key_auth, bearer_auth, entra_auth, aws_default_auth,
                 aws_keys_auth, google_metadata_auth, google_service_account_auth>;

}  // namespace spillway
