#include "workers/simulator/identity.hpp"

#include "workers/simulator/hash.hpp"
#include "workers/simulator/identity_response.hpp"
#include "workers/simulator/json_text.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <utility>

namespace spillway::simulated {
namespace {

constexpr std::string_view google_metadata_path = "/computeMetadata/";
constexpr std::string_view entra_path = "/oauth2/v2.0/token";
constexpr std::string_view managed_path = "/metadata/identity/oauth2/token";

void shift(std::vector<fault_config>& faults, duration by) {
  for (auto& f : faults) {
    f.from += by;
    if (f.to != duration::max()) f.to += by;
  }
}

}  // namespace

identity::identity(const identity_spec& spec, std::uint64_t seed, time_point start)
    : spec_(spec), seed_(seed), start_(start) {
  if (spec_.google) set_faults(identity_service::google, spec_.google->faults, {});
  if (spec_.entra) set_faults(identity_service::entra, spec_.entra->faults, {});
  if (spec_.aws) set_faults(identity_service::aws, spec_.aws->faults, {});
}

result<void> identity::open(const std::string& url) {
  const std::lock_guard lock(mutex_);
  url_ = url;
  if (!spec_.google) return {};
  const google_identity& google = *spec_.google;
  if (!google.public_key_file.empty()) {
    std::ifstream file(google.public_key_file, std::ios::binary);
    const std::string pem{std::istreambuf_iterator<char>(file), {}};
    auto account = service_account::with_public_key(google.client_email, pem);
    if (!account) return account.error();
    account_ = std::move(*account);
  } else if (!google.key_file.empty()) {
    account_ = service_account::generate(google.client_email, google.project);
    return write_key_file();
  }
  return {};
}

result<void> identity::write_key_file() const {
  const std::string& path = spec_.google->key_file;
  const std::string unfinished = path + ".tmp";
  const std::string text = account_->key_file(url_ + "/_sim/token");
  const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const auto written = fd < 0 ? -1 : ::write(fd, text.data(), text.size());
  if (fd >= 0) ::close(fd);
  if (written != static_cast<ssize_t>(text.size()) ||
      std::rename(unfinished.c_str(), path.c_str()) != 0)
    return failure{failure_kind::usage,
                   "identity.google.key_file: cannot write " + path + "; check the path"};
  return {};
}

std::optional<identity::endpoint> identity::endpoint_of(const request_head& head) const {
  const std::string_view path = head.path;
  if (spec_.google) {
    if (path == "/_sim/token") return endpoint::google_token;
    if (path.starts_with(google_metadata_path)) return endpoint::google_metadata;
    if (path == "/" && head.method == "GET") return endpoint::google_metadata;
  }
  if (spec_.entra) {
    if (path.ends_with(entra_path)) return endpoint::entra_token;
    if (path == managed_path) return endpoint::managed_identity;
  }
  if (spec_.aws) {
    if (path == "/_sim/sts" || path == "/_sim/sts/") return endpoint::sts;
    if (path == "/" && head.method == "POST") return endpoint::sts;
    if (path.starts_with("/latest/")) return endpoint::instance;
    if (path.starts_with("/_sim/container")) return endpoint::container;
  }
  return std::nullopt;
}

identity_verdict identity::serve(time_point now, const request_head& head, std::string_view body,
                                 std::string& out) {
  const std::lock_guard lock(mutex_);
  const auto where = endpoint_of(head);
  if (!where) return {};
  identity_service kind = identity_service::aws;
  if (*where <= endpoint::google_metadata)
    kind = identity_service::google;
  else if (*where <= endpoint::managed_identity)
    kind = identity_service::entra;
  service& s = of(kind);
  ++s.counters.requests;
  const fault_config* fault = s.faults->down(now - start_);
  if (!fault) {
    const auto call = static_cast<std::uint64_t>(s.counters.requests);
    fault = s.faults->befalling(now - start_, call, call);
  }
  identity_verdict verdict;
  verdict.ours = true;
  response r;
  if (fault) {
    ++s.counters.failed;
    if (fault->kind == fault_kind::hang) verdict.what = identity_verdict::action::hang;
    if (fault->close || fault->kind == fault_kind::reset)
      verdict.what = identity_verdict::action::close;
    r.status = fault->kind == fault_kind::error ? fault->status : 503;
    r.body = R"({"error":"internal_failure","error_description":"Backend Error"})";
  } else {
    r = answer(*where, now, head, body);
    if (r.issued) ++s.counters.issued;
    if (r.status >= 400) ++s.counters.refused;
  }
  if (verdict.what == identity_verdict::action::reply)
    append_plain(r.status, r.content_type, r.body, head.keep_alive, out, r.extra);
  return verdict;
}

identity::response identity::answer(endpoint where, time_point now, const request_head& head,
                                    std::string_view body) {
  switch (where) {
    case endpoint::google_token: return google_token(now, body);
    case endpoint::google_metadata: return google_metadata(now, head);
    case endpoint::entra_token: return entra_token(now, head, body);
    case endpoint::managed_identity: return managed_identity(now, head);
    case endpoint::sts: return sts(now, body);
    case endpoint::instance: return instance(now, head);
    case endpoint::container: return container(now, head);
  }
  return {};
}

std::string identity::random_text(std::size_t digits) {
  std::string text;
  while (text.size() < digits) append_hex(mix(seed_ ^ 0x1DE77, ++issued_), text);
  text.resize(digits);
  return text;
}

std::string identity::issue(identity_service kind, std::string_view prefix, time_point now) {
  std::string token = std::string(prefix) + random_text(48);
  of(kind).gave[token] = {now + spec_.token_lifetime, {}};
  return token;
}

std::string identity::issue_keys(time_point now) {
  std::string id = random_text(16);
  for (char& c : id)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  id.insert(0, "ASIA");
  const time_point expires = now + spec_.token_lifetime;
  of(identity_service::aws).gave[id] = {expires, {random_text(40), random_text(120), expires}};
  return id;
}

std::int64_t identity::lifetime_seconds() const {
  return std::chrono::floor<std::chrono::seconds>(spec_.token_lifetime).count();
}

token_state identity::state_of(identity_service kind, std::string_view token, time_point now) {
  const std::lock_guard lock(mutex_);
  const auto& gave = of(kind).gave;
  const auto found = gave.find(std::string(token));
  if (found == gave.end()) return token_state::unknown;
  return found->second.expires > now ? token_state::good : token_state::expired;
}

std::optional<aws_credential> identity::keys_of(std::string_view id) {
  const std::lock_guard lock(mutex_);
  if (!spec_.aws) return std::nullopt;
  if (!id.empty() && id == spec_.aws->access_key_id)
    return aws_credential{spec_.aws->secret_access_key, spec_.aws->session_token, std::nullopt};
  const auto& gave = of(identity_service::aws).gave;
  const auto found = gave.find(std::string(id));
  if (found == gave.end()) return std::nullopt;
  return found->second.keys;
}

void identity::set_faults(identity_service kind, std::vector<fault_config> faults,
                          duration elapsed) {
  const std::lock_guard lock(mutex_);
  shift(faults, elapsed);
  service& s = of(kind);
  s.fault_sets.push_back(std::move(faults));
  s.faults.emplace(s.fault_sets.back(), mix(seed_, static_cast<std::uint64_t>(kind)));
}

void identity::set_token_lifetime(duration lifetime) {
  const std::lock_guard lock(mutex_);
  spec_.token_lifetime = lifetime;
}

result<void> identity::rotate(identity_service kind, const std::string& secret) {
  const std::lock_guard lock(mutex_);
  switch (kind) {
    case identity_service::google:
      if (!account_ || !account_->has_private_key())
        return failure{failure_kind::usage, "rotate: identity.google has no key_file"};
      account_->rotate();
      return write_key_file();
    case identity_service::entra: spec_.entra->client_secret = secret; break;
    case identity_service::aws: spec_.aws->secret_access_key = secret; break;
  }
  return {};
}

void identity::revoke(identity_service kind) {
  const std::lock_guard lock(mutex_);
  of(kind).gave.clear();
}

identity_counters identity::counters(identity_service kind) const {
  const std::lock_guard lock(mutex_);
  return services_[static_cast<std::size_t>(kind)].counters;
}

bool identity::is_configured(identity_service kind) const {
  const std::lock_guard lock(mutex_);
  switch (kind) {
    case identity_service::google: return spec_.google.has_value();
    case identity_service::entra: return spec_.entra.has_value();
    case identity_service::aws: return spec_.aws.has_value();
  }
  return false;
}

}  // namespace spillway::simulated
