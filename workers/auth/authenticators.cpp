#include "workers/auth/authenticator.hpp"
#include "workers/auth/credential_keeper.hpp"
#include "workers/auth/secrets.hpp"
#include "workers/auth/sources.hpp"

#include <algorithm>

namespace spillway {
namespace {

using namespace std::chrono_literals;

/// AWS refuses a signature that is 5 minutes old; one minute is left for clocks and the way.
constexpr duration signature_age_max = 4min;

class no_credentials final : public authenticator {
 public:
  [[nodiscard]] result<credential_use> authenticate(http_request&) const override {
    return credential_use{};
  }
};

class kept_authenticator final : public authenticator {
 public:
  kept_authenticator(std::unique_ptr<credential_keeper> keeper, auth_world& world)
      : keeper_(std::move(keeper)), world_(world) {}

  [[nodiscard]] result<credential_use> authenticate(http_request& request) const override {
    auto held = keeper_->current();
    if (!held) return held.error();
    const auto& used = **held;
    credential_use out{used.generation, std::nullopt};
    if (used.value.expires != time_never) out.send_before = used.value.expires;
    if (!used.signer) {
      request.headers += used.value.header;
      return out;
    }
    used.signer->sign(request, world_.wall());
    out.send_before = std::min(used.value.expires, world_.now() + signature_age_max);
    return out;
  }
  [[nodiscard]] std::optional<std::string> missing() const override { return keeper_->missing(); }
  [[nodiscard]] bool starting() const override { return keeper_->starting(); }
  [[nodiscard]] refused_advice refused(std::uint64_t generation) override {
    return keeper_->refused(generation);
  }
  [[nodiscard]] std::uint64_t generation() const override { return keeper_->generation(); }

 private:
  std::unique_ptr<credential_keeper> keeper_;
  auth_world& world_;
};

/// How a pool's credential is got and kept.
struct recipe {
  std::unique_ptr<credential_source> source;
  refresh_rules rules;
  std::string signing_name;
  bool local = false;  ///< variables and files only: it is got at once
};

/// Of secrets in variables and files.
refresh_rules rules_for(std::initializer_list<const secret_ref*> secrets) {
  const bool renewable = std::any_of(secrets.begin(), secrets.end(), [](const secret_ref* ref) {
    return ref != nullptr && ref->from == secret_ref::source::file;
  });
  return {0s, renewable, 1s};
}

class recipe_maker {
 public:
  recipe_maker(const pool_config& pool, const std::string& region, const auth_world& world)
      : pool_(pool), region_(region), world_(world) {}

  result<recipe> operator()(const std::monostate&) const { return recipe{}; }
  result<recipe> operator()(const api_key_auth& auth) const {
    const char* before = pool_.provider == provider_kind::azure_openai ? "api-key: "
                         : pool_.provider == provider_kind::anthropic  ? "x-api-key: "
                                                                       : "Authorization: Bearer ";
    return made(make_header_source(auth.key, before, world_), rules_for({&auth.key}), true);
  }
  result<recipe> operator()(const bearer_auth& auth) const {
    return made(make_header_source(auth.token, "Authorization: Bearer ", world_),
                rules_for({&auth.token}), true);
  }
  result<recipe> operator()(const entra_auth& auth) const {
    return made(make_entra_source(auth, pool_.ca_file, world_), {5min});
  }
  result<recipe> operator()(const aws_default_auth& auth) const {
    const secret_ref bearer{secret_ref::source::env, "AWS_BEARER_TOKEN_BEDROCK"};
    // As in the SDKs: a bearer key in the environment comes before what requests are signed with.
    if (auth.profile.empty() && !world_.environment(bearer.name).value_or("").empty())
      return (*this)(bearer_auth{bearer});
    if (region_.empty()) return no_region();
    return made(make_aws_chain_source(auth, region_, pool_.ca_file, world_), {15min}, false,
                auth.signing_name);
  }
  result<recipe> operator()(const aws_keys_auth& auth) const {
    if (region_.empty()) return no_region();
    const secret_ref* token = auth.session_token ? &*auth.session_token : nullptr;
    return made(make_aws_keys_source(auth, world_),
                rules_for({&auth.access_key_id, &auth.secret_access_key, token}), true,
                auth.signing_name);
  }
  result<recipe> operator()(const google_metadata_auth& auth) const {
    return made(make_google_metadata_source(auth, world_), {3min + 45s});
  }
  result<recipe> operator()(const google_service_account_auth& auth) const {
    return made(make_google_account_source(auth, pool_.ca_file, world_), {3min + 45s});
  }

 private:
  static failure no_region() {
    return {failure_kind::usage, "signatures need the pool's region, as in region: us-east-1"};
  }
  static result<recipe> made(source_result source, refresh_rules rules, bool local = false,
                             std::string signing_name = {}) {
    if (!source) return source.error();
    return recipe{*std::move(source), rules, std::move(signing_name), local};
  }

  const pool_config& pool_;
  const std::string& region_;
  const auth_world& world_;
};

std::string signing_region(const pool_config& pool, const endpoint_url& url,
                           const auth_world& world) {
  if (!pool.region.empty()) return pool.region;
  if (const auto by_host = region_of(url.host); !by_host.empty()) return std::string(by_host);
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"})
    if (auto value = world.environment(name); value && !value->empty()) return *value;
  return {};
}

result<std::unique_ptr<authenticator>> make_kept(const pool_config& pool, auth_world& world) {
  const auto url = parse_endpoint(pool.endpoint);
  if (!url) return url.error();
  if (!url->tls && !url->is_loopback())
    return failure{failure_kind::usage, "a key is not sent over plain HTTP to " + url->host +
                                            ": use an https:// endpoint, or remove auth"};
  const auto region = signing_region(pool, *url, world);
  auto made = std::visit(recipe_maker(pool, region, world), pool.auth);
  if (!made) return made.error();
  std::optional<credential> first;
  if (made->local) {
    auto got = made->source->get(world, {});
    if (!got) return got.error();
    first = *std::move(got);
  }
  if (made->signing_name.empty()) made->signing_name = signing_name_of(url->host);
  sigv4_scope scope{url->authority(), region, made->signing_name};
  auto keeper = std::make_unique<credential_keeper>(std::move(made->source), made->rules,
                                                    std::move(scope), world, std::move(first));
  return std::unique_ptr<authenticator>(
      std::make_unique<kept_authenticator>(std::move(keeper), world));
}

}  // namespace

result<std::unique_ptr<authenticator>> make_authenticator(const pool_config& pool,
                                                          auth_world& world) {
  if (std::holds_alternative<std::monostate>(pool.auth))
    return std::unique_ptr<authenticator>(std::make_unique<no_credentials>());
  auto made = make_kept(pool, world);
  if (!made) return made.error().within("pool " + pool.name);
  return made;
}

result<std::unique_ptr<authenticator>> make_authenticator(const pool_config& pool) {
  return make_authenticator(pool, system_world());
}

}  // namespace spillway
