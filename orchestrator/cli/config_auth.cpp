// `auth` of a pool: which forms there are, and which of them a provider takes.
#include "orchestrator/cli/config_sections.hpp"
#include "workers/http.hpp"

#include <algorithm>
#include <array>

namespace spillway {
namespace {

/// The forms a provider takes, in the order they are told in.
std::vector<std::string_view> forms_of(provider_kind provider) {
  switch (provider) {
    case provider_kind::bedrock: return {"aws", "bearer"};
    case provider_kind::vertex: return {"google", "bearer"};
    case provider_kind::azure_openai: return {"api_key", "bearer", "entra"};
    case provider_kind::openai:
    case provider_kind::anthropic:
    case provider_kind::openai_compatible: break;
  }
  return {"api_key", "bearer"};
}

std::string_view example_of(provider_kind provider) {
  switch (provider) {
    case provider_kind::bedrock: return "auth: { aws: default }";
    case provider_kind::vertex: return "auth: { google: metadata }";
    default: return "auth: { api_key: env:NAME }";
  }
}

std::string joined(const std::vector<std::string_view>& words, std::string_view last_but_one) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? last_but_one : ", ";
    out += words[i];
  }
  return out;
}

std::string text_of(yaml_map& map, std::string_view key, need required = need::optional) {
  return map.string(key, required).value_or("");
}

std::string read_url(yaml_map& map, std::string_view key) {
  const auto text = text_of(map, key);
  if (text.empty()) return {};
  const auto url = parse_endpoint(text);
  if (!url) {
    map.problem(key, url.error().message);
  } else if (!url->tls && !url->is_loopback()) {
    map.problem(key, "expected https://: plain http is for this machine itself only");
  }
  return text;
}

std::string read_signing_name(yaml_map& map) {
  const auto name = text_of(map, "signing_name");
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (!std::all_of(name.begin(), name.end(), fits))
    map.problem("signing_name", "expected the name of an AWS service such as bedrock");
  return name;
}

/// For a form that is one word, or a mapping: true for the word; never quotes what it found, which
/// may be a secret in the wrong place.
bool is_word(yaml_map& map, std::string_view key, std::string_view word) {
  if (map.kind(key) != yaml_kind::scalar) return false;
  const auto text = map.string(key);
  if (text && *text != word) map.problem(key, "expected " + std::string(word) + " or a mapping");
  return true;
}

auth_config read_aws(yaml_map& auth) {
  if (is_word(auth, "aws", "default")) return aws_default_auth{};
  auto map = auth.map("aws");
  if (!map) return {};
  const bool keys =
      map->has("access_key_id") || map->has("secret_access_key") || map->has("session_token");
  if (!keys) {
    aws_default_auth out;
    out.profile = text_of(*map, "profile");
    out.signing_name = read_signing_name(*map);
    return out;
  }
  aws_keys_auth out;
  out.access_key_id = read_secret(*map, "access_key_id", need::required).value_or(secret_ref{});
  out.secret_access_key =
      read_secret(*map, "secret_access_key", need::required).value_or(secret_ref{});
  out.session_token = read_secret(*map, "session_token", need::optional);
  out.signing_name = read_signing_name(*map);
  if (map->has("profile")) {
    text_of(*map, "profile");
    map->problem("profile", "expected either a profile or keys, found both");
  }
  return out;
}

auth_config read_google(yaml_map& auth) {
  if (is_word(auth, "google", "metadata")) return google_metadata_auth{};
  auto map = auth.map("google");
  if (!map) return {};
  if (map->has("metadata_host")) return google_metadata_auth{text_of(*map, "metadata_host")};
  google_service_account_auth out;
  out.key = read_secret(*map, "service_account", need::required).value_or(secret_ref{});
  out.token_url = read_url(*map, "token_url");
  return out;
}

auth_config read_entra(yaml_map& auth) {
  auto map = auth.map("entra");
  if (!map) return {};
  entra_auth out;
  out.managed_identity = map->boolean("managed_identity").value_or(false);
  const auto required = out.managed_identity ? need::optional : need::required;
  out.token_url = read_url(*map, "token_url");
  out.scope = text_of(*map, "scope");
  out.client_id = text_of(*map, "client_id", required);
  if (!out.managed_identity) {
    out.client_secret = read_secret(*map, "client_secret", need::required);
    out.tenant = text_of(*map, "tenant", out.token_url.empty() ? need::required : need::optional);
    return out;
  }
  for (const char* key : {"tenant", "client_secret"}) {
    if (!map->has(key)) continue;
    text_of(*map, key);
    map->problem(key, "a managed identity has none");
  }
  return out;
}

auth_config read_form(yaml_map& auth, std::string_view form) {
  if (form == "aws") return read_aws(auth);
  if (form == "google") return read_google(auth);
  if (form == "entra") return read_entra(auth);
  const auto secret = read_secret(auth, form, need::required).value_or(secret_ref{});
  if (form == "bearer") return bearer_auth{secret};
  return api_key_auth{secret};
}

}  // namespace

auth_config read_auth(yaml_map& pool, provider_kind provider, bool provider_known) {
  auto auth = pool.map("auth");
  const auto accepted = forms_of(provider);
  if (!auth) {
    if (!pool.has("auth") && provider_known && provider != provider_kind::openai_compatible)
      pool.problem("auth", std::string("missing; provider ") + name_of(provider) + " needs " +
                               std::string(example_of(provider)));
    return {};
  }
  auth_config out;
  std::vector<std::string_view> found;
  for (const std::string_view form : {"api_key", "bearer", "entra", "aws", "google"}) {
    if (!auth->has(form)) {
      auth->string(form);  // a key that could have been: misspelt ones are compared with it
      continue;
    }
    found.push_back(form);
    out = read_form(*auth, form);
    const bool fits = std::find(accepted.begin(), accepted.end(), form) != accepted.end();
    if (provider_known && !fits)
      auth->problem(form, std::string("provider ") + name_of(provider) + " takes " +
                              joined(accepted, " or "));
  }
  if (found.size() > 1) pool.problem("auth", "expected one form, found " + joined(found, " and "));
  if (found.empty() && provider_known)
    pool.problem("auth", "expected " + joined(accepted, " or ") + ", as in " +
                             std::string(example_of(provider)));
  return out;
}

}  // namespace spillway
