// Parts of the configuration file that stand in files of their own. Internal to config.cpp.
#pragma once

#include "orchestrator/runtime/yaml_reader.hpp"
#include "schemas/config.hpp"

#include <optional>
#include <string_view>

namespace spillway {

inline constexpr const char* plain_name_expected =
    R"(expected at most 64 letters, digits, ".", "_" and "-")";

/// env:NAME or file:PATH.
[[nodiscard]] std::optional<secret_ref> read_secret(yaml_map&, std::string_view key, need);
/// `auth` of a pool: problems for a form the provider does not take, when the provider is known.
auth_config read_auth(yaml_map& pool, provider_kind, bool provider_known);
kafka_config read_kafka(yaml_map&);
member_config read_member(yaml_map&);

}  // namespace spillway
