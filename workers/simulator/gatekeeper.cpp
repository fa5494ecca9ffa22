#include "workers/simulator/gatekeeper.hpp"

namespace spillway::simulated {
namespace {

constexpr std::string_view bearer = "Bearer ";

std::vector<key_spec> keys_of(const pool_spec& pool) {
  std::vector<key_spec> keys = pool.api_keys;
  if (!pool.api_key.empty()) keys.push_back({pool.api_key, {}, duration::max()});
  return keys;
}

/// The key of a call, wherever its provider takes one; empty: none.
std::string_view shown_key(const pool_spec& pool, const request_head& head) {
  if (head.authorization.starts_with(bearer)) return head.authorization.substr(bearer.size());
  if (pool.provider == provider_kind::azure_openai) return head.api_key;
  if (pool.provider == provider_kind::anthropic) return head.x_api_key;
  return {};
}

bool shows_anything(const request_head& head) {
  return !head.authorization.empty() || !head.api_key.empty() || !head.x_api_key.empty();
}

error_reply expired_key(wire_form form) {
  error_reply e = bad_key_error(form, true);
  if (form == wire_form::aws) e.message = "Bearer Token has expired";
  return e;
}

}  // namespace

gatekeeper::gatekeeper(const pool_spec& pool, identity& who)
    : pool_(pool), identity_(who), keys_(keys_of(pool)), open_(keys_.empty() && !pool.identity) {}

void gatekeeper::set_keys(std::vector<key_spec> keys) {
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
  open_ = keys_.empty() && !pool_.identity;
}

gatekeeper::key_state gatekeeper::state_of_key(std::string_view key, duration elapsed) {
  const std::lock_guard lock(mutex_);
  if (open_) return key_state::good;
  key_state state = key_state::unknown;
  for (const key_spec& known : keys_) {
    if (known.key != key) continue;
    if (known.from <= elapsed && elapsed < known.until) return key_state::good;
    state = key_state::expired;
  }
  return state;
}

std::optional<error_reply> gatekeeper::refuse(const request_head& head, std::string_view body,
                                              wire_form form, time_point now, duration elapsed) {
  const bool signs = pool_.provider == provider_kind::bedrock && pool_.identity &&
                     head.authorization.starts_with("AWS4-");
  if (signs) return refuse_signature(head, body, now);
  const std::string_view key = shown_key(pool_, head);
  switch (state_of_key(key, elapsed)) {
    case key_state::good: return std::nullopt;
    case key_state::expired: return expired_key(form);
    case key_state::unknown: break;
  }
  const bool has_token = pool_.identity && head.authorization.starts_with(bearer);
  if (has_token && pool_.provider != provider_kind::bedrock) return refuse_token(key, form, now);
  return bad_key_error(form, shows_anything(head));
}

std::optional<error_reply> gatekeeper::refuse_signature(const request_head& head,
                                                        std::string_view body, time_point now) {
  const auto claim = read_signature(head.authorization);
  if (!claim) {
    error_reply e;
    e.status = 403;
    e.code = "IncompleteSignatureException";
    e.message =
        "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.";
    return e;
  }
  signing_scope scope{pool_.region, {}};
  for (const auto& name : pool_.signing_names) scope.services.push_back(name);
  const auto known = identity_.keys_of(claim->access_key_id);
  return signatures_.check(head, body, *claim, known ? &*known : nullptr, scope,
                           identity_.cloud_time(now));
}

std::optional<error_reply> gatekeeper::refuse_token(std::string_view token, wire_form form,
                                                    time_point now) {
  const bool azure = pool_.provider == provider_kind::azure_openai;
  const auto service = azure ? identity_service::entra : identity_service::google;
  const token_state state = identity_.state_of(service, token, identity_.cloud_time(now));
  if (state == token_state::good) return std::nullopt;
  error_reply e = bad_key_error(form, true);
  if (azure) {
    e.code = "Unauthorized";
    e.message =
        "Access token is missing, invalid, audience is incorrect "
        "(https://cognitiveservices.azure.com), or have expired.";
  } else if (state == token_state::expired) {
    e.reason = "ACCESS_TOKEN_EXPIRED";
  }
  return e;
}

}  // namespace spillway::simulated
