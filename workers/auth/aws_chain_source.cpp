// Where AWS credentials are looked for, in botocore's order.
#include "workers/auth/answers.hpp"
#include "workers/auth/aws_calls.hpp"
#include "workers/auth/secrets.hpp"
#include "workers/auth/sources.hpp"

#include <algorithm>

namespace spillway {
namespace {

using found = std::optional<result<credential>>;  ///< nothing: look further

std::string option(const ini_section& section, std::string_view name) {
  const auto it = section.find(name);
  return it == section.end() ? std::string() : it->second;
}
bool has(const ini_section& section, std::string_view name) {
  return section.find(name) != section.end();
}

/// One look for credentials.
class aws_chain {
 public:
  aws_chain(auth_world& world, const std::stop_token& stop, const aws_profiles& profiles,
            aws_place place)
      : world_(world), stop_(stop), profiles_(profiles), place_(std::move(place)) {}

  result<credential> look(const std::string& profile, bool profile_is_explicit) {
    if (!profile_is_explicit)
      if (auto keys = environment_keys()) return *std::move(keys);
    visited_ = {profile};
    if (takes_role(profiles_.merged(profile))) return role_of(profile);
    if (auto keys = profile_keys(profile, !profile_is_explicit)) return *std::move(keys);
    if (in_container(world_)) return container_keys(world_, stop_);
    return instance_keys(place_, world_, stop_);
  }

 private:
  static failure wrong(const std::string& profile, const std::string& what) {
    return no_credential("AWS profile " + profile + " " + what);
  }
  std::string environment(const char* name) const { return world_.environment(name).value_or(""); }

  found environment_keys() const {
    aws_keys keys;
    keys.access_key_id = environment("AWS_ACCESS_KEY_ID");
    if (keys.access_key_id.empty()) return std::nullopt;
    keys.secret_access_key = environment("AWS_SECRET_ACCESS_KEY");
    if (keys.secret_access_key.empty())
      return no_credential("AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
    keys.session_token = environment("AWS_SECURITY_TOKEN");
    if (keys.session_token.empty()) keys.session_token = environment("AWS_SESSION_TOKEN");
    credential out;
    if (const auto text = environment("AWS_CREDENTIAL_EXPIRATION"); !text.empty()) {
      const auto expires = parse_iso_time(text);
      if (!expires) return no_credential("AWS_CREDENTIAL_EXPIRATION is no time");
      out.expires = world_.now() + (*expires - world_.wall());
    }
    return checked(std::move(out), std::move(keys), "the environment");
  }

  static result<credential> checked(credential out, aws_keys keys, const std::string& from) {
    const bool fits = fits_header(keys.access_key_id) &&
                      (keys.session_token.empty() || fits_header(keys.session_token));
    if (!fits) return no_credential("the AWS keys of " + from + " cannot be sent in a header");
    out.keys = std::move(keys);
    return out;
  }

  static bool takes_role(const ini_section& profile) {
    return has(profile, "role_arn") && !has(profile, "web_identity_token_file");
  }
  static bool has_keys(const ini_section& profile) {
    return has(profile, "aws_access_key_id") || has(profile, "aws_secret_access_key");
  }

  /// What a profile holds besides a role with another source.
  found profile_keys(const std::string& name, bool with_environment) const {
    const auto profile = profiles_.merged(name);
    if (auto keys = web_identity(name, profile, with_environment)) return keys;
    if (has(profile, "sso_role_name") || has(profile, "sso_account_id"))
      return wrong(name,
                   "uses IAM Identity Center (sso_...), which needs a browser; give the pool "
                   "keys, a role or a bearer key");
    if (auto keys = static_keys(profiles_.shared, name)) return keys;
    if (has(profile, "login_session"))
      return wrong(name,
                   "uses a console login, which needs a browser; give the pool keys, a role "
                   "or a bearer key");
    if (has(profile, "credential_process"))
      return wrong(name,
                   "names a credential_process, which is not run; give the pool keys, a role "
                   "or a bearer key");
    return static_keys(profiles_.config, name);
  }

  static found static_keys(const ini_file& file, const std::string& name) {
    const auto section = file.find(name);
    if (section == file.end() || !has(section->second, "aws_access_key_id")) return std::nullopt;
    const auto& values = section->second;
    aws_keys keys{option(values, "aws_access_key_id"), option(values, "aws_secret_access_key"), {}};
    if (keys.secret_access_key.empty())
      return wrong(name, "has an aws_access_key_id but no aws_secret_access_key");
    keys.session_token = option(
        values, has(values, "aws_security_token") ? "aws_security_token" : "aws_session_token");
    return checked({}, std::move(keys), "profile " + name);
  }

  found web_identity(const std::string& name, const ini_section& profile,
                     bool with_environment) const {
    const auto from = [&](const char* variable, std::string_view key) {
      const auto value = with_environment ? world_.environment(variable) : std::nullopt;
      return value ? *value : option(profile, key);
    };
    const auto token_file = from("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
    if (token_file.empty()) return std::nullopt;
    aws_role role;
    role.arn = from("AWS_ROLE_ARN", "role_arn");
    if (role.arn.empty())
      return wrong(name,
                   "or the environment names a web identity token, but no role "
                   "(AWS_ROLE_ARN)");
    role.session_name = from("AWS_ROLE_SESSION_NAME", "role_session_name");
    return assume_role_with_token(role, token_file, place_, world_, stop_);
  }

  result<credential> role_of(const std::string& name) {
    const auto profile = profiles_.merged(name);
    const auto source = option(profile, "credential_source");
    const auto from = option(profile, "source_profile");
    if (!source.empty() && !from.empty())
      return wrong(name, "names both a source_profile and a credential_source");
    if (source.empty() && from.empty())
      return wrong(name, "has a role_arn, but neither source_profile nor credential_source");
    if (has(profile, "mfa_serial"))
      return wrong(name, "asks for a second factor (mfa_serial), which only a person can give");
    auto keys = source.empty() ? keys_for_role(name, from) : keys_of_source(name, source);
    if (!keys) return keys;
    aws_role role{option(profile, "role_arn"), option(profile, "role_session_name"),
                  option(profile, "external_id"), option(profile, "duration_seconds")};
    return assume_role(role, *keys->keys, place_, world_, stop_);
  }

  result<credential> keys_of_source(const std::string& name, const std::string& source) const {
    if (source == "Environment")
      return environment_keys().value_or(
          wrong(name, "takes its keys from the environment, where there are none"));
    if (source == "EcsContainer") return container_keys(world_, stop_);
    if (source == "Ec2InstanceMetadata") return instance_keys(place_, world_, stop_);
    return wrong(name, "names an unknown credential_source");
  }

  result<credential> keys_for_role(const std::string& name, const std::string& from) {
    if (!profiles_.has(from)) return wrong(name, "names a source_profile that is not there");
    const auto source = profiles_.merged(from);
    const bool seen = std::find(visited_.begin(), visited_.end(), from) != visited_.end();
    // A profile may name itself: its own keys take its role.
    if (seen && (from != name || !has_keys(source)))
      return wrong(name, "and its source_profile lead round in a circle");
    visited_.push_back(from);
    if (!has_keys(source) && takes_role(source)) return role_of(from);
    return profile_keys(from, false).value_or(wrong(from, "is a source_profile without keys"));
  }

  auth_world& world_;
  const std::stop_token& stop_;
  const aws_profiles& profiles_;
  const aws_place place_;
  std::vector<std::string> visited_;
};

class chain_source final : public credential_source {
 public:
  chain_source(std::string profile, std::string region, std::string ca_file)
      : profile_(std::move(profile)), region_(std::move(region)), ca_file_(std::move(ca_file)) {}

  result<credential> get(auth_world& world, const std::stop_token& stop) override {
    std::string profile = profile_;
    for (const char* name : {"AWS_DEFAULT_PROFILE", "AWS_PROFILE"})
      if (profile.empty()) profile = world.environment(name).value_or("");
    const bool named = !profile.empty();
    if (!named) profile = "default";
    const auto profiles = read_aws_profiles(world);
    if (!profiles) return profiles.error();
    if (named && !profiles->has(profile))
      return no_credential("AWS profile " + profile + " is neither in " + profiles->files[0].path +
                           " nor in " + profiles->files[1].path);
    auto got = aws_chain(world, stop, *profiles, {region_, ca_file_, profiles->merged(profile)})
                   .look(profile, !profile_.empty());
    if (got) got->files = profiles->files;
    return got;
  }

 private:
  std::string profile_, region_, ca_file_;
};

}  // namespace

source_result make_aws_chain_source(const aws_default_auth& auth, std::string region,
                                    std::string ca_file, const auth_world&) {
  return std::unique_ptr<credential_source>(
      std::make_unique<chain_source>(auth.profile, std::move(region), std::move(ca_file)));
}

}  // namespace spillway
