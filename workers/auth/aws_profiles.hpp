// The configuration files that the AWS command line and SDKs share, read as botocore reads them.
#pragma once

#include "schemas/result.hpp"
#include "workers/auth/file_stamp.hpp"
#include "workers/auth/world.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

using ini_section = std::map<std::string, std::string, std::less<>>;  ///< names in lower case
using ini_file = std::map<std::string, ini_section, std::less<>>;

/// Sections of an INI text. Indented lines behind an option go on with its value. Pure.
[[nodiscard]] ini_file parse_ini(std::string_view text);

struct aws_profiles {
  ini_file shared;  ///< of the credentials file: its sections are named as profiles are
  ini_file config;  ///< of the config file: the profiles only, by name
  std::vector<file_stamp> files;  ///< both, as they were just before they were read

  /// Both files' values for a profile, those of the credentials file before the other's.
  [[nodiscard]] ini_section merged(std::string_view profile) const;
  [[nodiscard]] bool has(std::string_view profile) const;
};

/// A profile of the config file is named in the head of its section: "[profile NAME]", "[default]".
[[nodiscard]] ini_file profiles_of_config(ini_file);

/// Reads AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE, else those in ~/.aws; a file that is not
/// there is empty. Fails when one can't be read.
[[nodiscard]] result<aws_profiles> read_aws_profiles(const auth_world&);

}  // namespace spillway
