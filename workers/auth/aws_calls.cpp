#include "workers/auth/aws_calls.hpp"

#include "workers/auth/answers.hpp"
#include "workers/auth/secrets.hpp"
#include "workers/http.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t token_bytes_max = 64u << 10;
constexpr std::string_view sts_version = "2011-06-15";
constexpr duration container_timeout = 2s;
constexpr int metadata_seconds_max = 60;
constexpr int attempts_max = 10;

std::string environment(const auth_world& world, const char* name) {
  return world.environment(name).value_or("");
}

std::string option(const ini_section& section, std::string_view name) {
  const auto found = section.find(name);
  return found == section.end() ? std::string() : found->second;
}

bool is_true(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text == "true";
}

/// A variable, else the profile's option of that name, else `otherwise`.
int number_from(const auth_world& world, const aws_place& place, const char* variable,
                std::string_view name, int otherwise, int most) {
  auto text = environment(world, variable);
  if (text.empty()) text = option(place.profile, name);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) return otherwise;
  return std::min(value, most);
}

std::string sts_url(const aws_place& place, const auth_world& world) {
  const bool ignored = is_true(environment(world, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) ||
                       is_true(option(place.profile, "ignore_configured_endpoint_urls"));
  std::string url;
  if (!ignored) {
    url = environment(world, "AWS_ENDPOINT_URL_STS");
    if (url.empty()) url = environment(world, "AWS_ENDPOINT_URL");
    if (url.empty()) url = option(place.profile, "endpoint_url");
  }
  if (!url.empty()) return url;
  return "https://sts." + place.region +
         (place.region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com");
}

std::string session_name_of(const aws_role& role, time_point wall) {
  if (!role.session_name.empty()) return role.session_name;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(wall).time_since_epoch().count();
  return "spillway-" + std::to_string(seconds);
}

result<credential> ask_sts(std::string body, const aws_keys* keys, const aws_place& place,
                           auth_world& world, const std::stop_token& stop) {
  const auto url = parse_endpoint(sts_url(place, world));
  if (!url) return url.error().within("STS");
  if (!url->tls && !url->is_loopback())
    return no_credential("STS is not asked over plain HTTP (" + url->host + ")");
  http_request signed_request;
  signed_request.target = url->prefix + "/";
  signed_request.headers = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
  signed_request.body = std::move(body);
  if (keys != nullptr)
    sigv4_signer(*keys, {url->authority(), place.region, "sts"}).sign(signed_request, world.wall());
  token_request request;
  request.method = "POST";
  request.url = (url->tls ? "https://" : "http://") + url->authority() + signed_request.target;
  request.headers = std::move(signed_request.headers);
  request.body = std::move(signed_request.body);
  request.ca_file = place.ca_file;
  const auto answer = world.fetch(request, stop);
  if (!answer) return answer.error();
  return aws_keys_of_sts(*answer, "STS at " + url->host, world.now(), world.wall());
}

}  // namespace

result<credential> assume_role(const aws_role& role, const aws_keys& keys, const aws_place& place,
                               auth_world& world, const std::stop_token& stop) {
  auto body = form_of({{"Action", "AssumeRole"},
                       {"Version", sts_version},
                       {"RoleArn", role.arn},
                       {"RoleSessionName", session_name_of(role, world.wall())}});
  if (!role.external_id.empty()) body += "&" + form_of({{"ExternalId", role.external_id}});
  if (!role.duration_seconds.empty())
    body += "&" + form_of({{"DurationSeconds", role.duration_seconds}});
  return ask_sts(std::move(body), &keys, place, world, stop);
}

result<credential> assume_role_with_token(const aws_role& role, const std::string& token_file,
                                          const aws_place& place, auth_world& world,
                                          const std::stop_token& stop) {
  const auto token = read_small_file(token_file, token_bytes_max);
  if (!token)
    return no_credential("the web identity token " + token_file + " " + token.error().message);
  auto body = form_of({{"Action", "AssumeRoleWithWebIdentity"},
                       {"Version", sts_version},
                       {"RoleArn", role.arn},
                       {"RoleSessionName", session_name_of(role, world.wall())},
                       {"WebIdentityToken", *token}});
  return ask_sts(std::move(body), nullptr, place, world, stop);
}

bool in_container(const auth_world& world) {
  return world.environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
         world.environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

result<credential> container_keys(auth_world& world, const std::stop_token& stop) {
  token_request request;
  if (const auto path = world.environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")) {
    request.url = "http://169.254.170.2" + *path;
  } else {
    request.url = environment(world, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const auto url = parse_endpoint(request.url.substr(0, request.url.find('?')));
    if (!url) return url.error().within("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const bool allowed = url->tls || url->is_loopback() || url->host == "169.254.170.2" ||
                         url->host == "169.254.170.23" || url->host == "fd00:ec2::23";
    if (!allowed)
      return no_credential("AWS_CONTAINER_CREDENTIALS_FULL_URI names the host " + url->host +
                           ": expected https, a loopback address or one of a container service");
  }
  request.headers = "Accept: application/json\r\n";
  request.timeout = container_timeout;
  auto authorization = world.environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const auto path = world.environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")) {
    auto read = read_small_file(*path, token_bytes_max);
    if (!read) return no_credential("the container's token " + *path + " " + read.error().message);
    authorization = *std::move(read);
  }
  if (authorization) {
    if (!fits_header(*authorization))
      return no_credential("the container's authorization token holds what a header cannot carry");
    request.headers += "Authorization: " + *authorization + "\r\n";
  }
  const auto answer = world.fetch(request, stop);
  if (!answer) return answer.error().within("container credentials");
  return aws_keys_of_json(*answer, "the container's credential endpoint", world.now(),
                          world.wall());
}

result<credential> instance_keys(const aws_place& place, auth_world& world,
                                 const std::stop_token& stop) {
  if (is_true(environment(world, "AWS_EC2_METADATA_DISABLED")))
    return no_credential(
        "there are no AWS credentials: none in the environment, the profile files "
        "or a container, and AWS_EC2_METADATA_DISABLED is set");
  auto base = environment(world, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (base.empty()) base = option(place.profile, "ec2_metadata_service_endpoint");
  auto mode = environment(world, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
  if (mode.empty()) mode = option(place.profile, "ec2_metadata_service_endpoint_mode");
  const bool v6 = mode.empty() ? is_true(environment(world, "AWS_IMDS_USE_IPV6"))
                               : mode == "ipv6" || mode == "IPv6";
  if (base.empty()) base = v6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
  while (base.ends_with('/')) base.pop_back();
  const auto seconds = number_from(world, place, "AWS_METADATA_SERVICE_TIMEOUT",
                                   "metadata_service_timeout", 1, metadata_seconds_max);
  const auto attempts = number_from(world, place, "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
                                    "metadata_service_num_attempts", 1, attempts_max);
  const auto ask = [&](token_request request) -> result<token_response> {
    request.timeout = std::chrono::seconds(seconds);
    for (int i = 1;; ++i) {
      auto answer = world.fetch(request, stop);
      const bool again = !answer || answer->status >= 500;
      if (!again || i >= attempts || stop.stop_requested()) return answer;
    }
  };
  const auto failed = [](const std::string& what) {
    return no_credential(
        "there are no AWS credentials in the environment, the profile files or a container, and "
        "instance metadata gave none: " +
        what);
  };
  token_request first;
  first.method = "PUT";
  first.url = base + "/latest/api/token";
  first.headers = "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n";
  const auto token = ask(first);
  if (!token) return failed(token.error().message);
  if (token->status != 200 || !fits_header(token->body))
    return failed("no session token (status " + std::to_string(token->status) + ")");

  token_request next;
  next.headers = "x-aws-ec2-metadata-token: " + token->body + "\r\n";
  next.url = base + "/latest/meta-data/iam/security-credentials/";
  const auto role = ask(next);
  if (!role) return failed(role.error().message);
  const auto name = role->body.substr(0, role->body.find_first_of("\r\n"));
  if (role->status != 200 || name.empty() || !fits_header(name))
    return failed("the instance has no role (status " + std::to_string(role->status) + ")");
  next.url += percent_encoded(name);
  const auto answer = ask(next);
  if (!answer) return failed(answer.error().message);
  return aws_keys_of_json(*answer, "instance metadata", world.now(), world.wall());
}

}  // namespace spillway
