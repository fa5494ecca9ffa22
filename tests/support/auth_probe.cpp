// Our credentials, for tests in other languages: commands on standard input, one JSON object a
// line, and an answer of one line for each. See tests/integration/auth_support.py.
#include "orchestrator/cli/config.hpp"
#include "workers/auth/authenticator.hpp"
#include "workers/auth/google_jwt.hpp"
#include "workers/auth/sigv4.hpp"
#include "workers/auth/sources.hpp"

#include <boost/json.hpp>

#include <iostream>
#include <map>

namespace spillway {
namespace {

namespace json = boost::json;

std::string text(const json::object& o, std::string_view name) {
  const auto* value = o.if_contains(name);
  return value && value->is_string() ? std::string(value->as_string()) : std::string();
}

std::int64_t number(const json::object& o, std::string_view name) {
  const auto* value = o.if_contains(name);
  return value ? value->to_number<std::int64_t>() : 0;
}

json::object failed(const failure& f) { return {{"error", f.message}}; }

http_request request_in(const json::object& o) {
  return {text(o, "target"), text(o, "headers"), text(o, "body")};
}

std::int64_t unix_seconds(time_point t) {
  return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
}

/// Keys, region and so on as given: the headers with the signature.
json::object sign(const json::object& o) {
  auto request = request_in(o);
  const aws_keys keys{text(o, "access_key_id"), text(o, "secret_access_key"),
                      text(o, "session_token")};
  const auto host = text(o, "host"), service = text(o, "service");
  const sigv4_signer signer(keys, {host, text(o, "region"),
                                   service.empty() ? std::string(signing_name_of(host)) : service});
  signer.sign(request, time_point(std::chrono::seconds(number(o, "time"))));
  return {{"headers", request.headers}};
}

json::object assertion(const json::object& o) {
  const auto account = google_account::parse(text(o, "key"));
  if (!account) return failed(account.error());
  const auto made = account->assertion(time_point(std::chrono::seconds(number(o, "time"))));
  if (!made) return failed(made.error());
  return {{"assertion", *made}, {"token_url", account->token_url()}};
}

/// The AWS credential chain of this process' environment.
json::object chain(const json::object& o) {
  auto& world = system_world();
  const auto source = make_aws_chain_source({text(o, "profile"), ""}, text(o, "region"), "", world);
  if (!source) return failed(source.error());
  const auto got = (*source)->get(world, {});
  if (!got) return failed(got.error());
  json::object out{{"access_key_id", got->keys->access_key_id},
                   {"secret_access_key", got->keys->secret_access_key},
                   {"session_token", got->keys->session_token}};
  if (got->expires != time_never) out["expires"] = unix_seconds(got->expires);
  return out;
}

/// Authenticators that stay until they are closed, by name.
class opened {
 public:
  json::object open(const json::object& o) {
    const auto config = parse_run_config(text(o, "config"), "config");
    if (!config) return failed(config.error());
    auto made = make_authenticator(config->pools.at(0));
    if (!made) return failed(made.error());
    all_[text(o, "name")] = *std::move(made);
    return {};
  }

  json::object use(const json::object& o) {
    auto& one = *all_.at(text(o, "name"));
    auto request = request_in(o);
    const auto used = one.authenticate(request);
    if (!used) return {{"missing", used.error().message}};
    json::object out{{"headers", request.headers}, {"generation", used->generation}};
    if (used->send_before) out["send_before"] = unix_seconds(*used->send_before);
    return out;
  }

  json::object refused(const json::object& o) {
    const auto generation = static_cast<std::uint64_t>(number(o, "generation"));
    const auto advice = all_.at(text(o, "name"))->refused(generation);
    return {{"advice", advice == refused_advice::resend ? "resend" : "stop"}};
  }

  json::object close(const json::object& o) {
    all_.erase(text(o, "name"));
    return {};
  }

 private:
  std::map<std::string, std::unique_ptr<authenticator>> all_;
};

json::object answer(const json::object& o, opened& authenticators) {
  const auto command = text(o, "do");
  if (command == "sign") return sign(o);
  if (command == "assertion") return assertion(o);
  if (command == "chain") return chain(o);
  if (command == "open") return authenticators.open(o);
  if (command == "use") return authenticators.use(o);
  if (command == "refused") return authenticators.refused(o);
  if (command == "close") return authenticators.close(o);
  return {{"error", "unknown command"}};
}

}  // namespace
}  // namespace spillway

int main() {
  spillway::opened authenticators;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << spillway::answer(boost::json::parse(line).as_object(), authenticators)
              << std::endl;
}
