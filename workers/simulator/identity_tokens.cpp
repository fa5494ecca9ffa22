// Google's and Microsoft's: bearer tokens.
#include "workers/simulator/identity_response.hpp"
#include "workers/simulator/web_text.hpp"

namespace spillway::simulated {
namespace {

namespace json = boost::json;

constexpr std::string_view jwt_grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
constexpr std::string_view google_flavor = "Metadata-Flavor: Google\r\n";

json::object oauth_error(const char* error, const std::string& description) {
  return {{"error", error}, {"error_description", description}};
}

std::int64_t seconds_since_epoch(time_point t) {
  return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
}

}  // namespace

identity::response identity::google_token(time_point now, std::string_view body) {
  if (form_value(body, "grant_type") != jwt_grant)
    return response::json(400, oauth_error("unsupported_grant_type", "Invalid grant_type"));
  if (!account_) return response::json(400, oauth_error("invalid_grant", "account not found"));
  const std::string problem =
      account_->problem_of(form_value(body, "assertion"), now + spec_.clock_ahead);
  if (!problem.empty()) return response::json(400, oauth_error("invalid_grant", problem));
  response r =
      response::json(200, {{"access_token", issue(identity_service::google, "ya29.c.", now)},
                           {"expires_in", lifetime_seconds()},
                           {"token_type", "Bearer"}});
  r.issued = true;
  return r;
}

identity::response identity::google_metadata(time_point now, const request_head& head) {
  constexpr std::string_view accounts = "/computeMetadata/v1/instance/service-accounts/";
  response r;
  r.extra = google_flavor;
  if (head.path == "/") return r;
  if (field_value(head.fields, "metadata-flavor") != "Google") {
    r.status = 403;
    r.content_type = "text/plain";
    r.body = "Missing Metadata-Flavor:Google header.";
    return r;
  }
  if (head.path == "/computeMetadata/v1/project/project-id") {
    r.content_type = "text/plain";
    r.body = spec_.google->project;
    return r;
  }
  if (!head.path.starts_with(accounts)) {
    r.status = 404;
    return r;
  }
  std::string_view rest = head.path.substr(accounts.size());
  const std::string_view account = rest.substr(0, rest.find('/'));
  rest.remove_prefix(account.size());
  if (account != "default" && percent_decoded(account) != spec_.google->client_email) {
    r.status = 404;
    return r;
  }
  if (rest != "/token") {
    r.body = json::serialize(
        json::object{{"aliases", {"default"}},
                     {"email", spec_.google->client_email},
                     {"scopes", {"https://www.googleapis.com/auth/cloud-platform"}}});
    return r;
  }
  r.body = json::serialize(
      json::object{{"access_token", issue(identity_service::google, "ya29.m.", now)},
                   {"expires_in", lifetime_seconds()},
                   {"token_type", "Bearer"}});
  r.issued = true;
  return r;
}

identity::response identity::entra_token(time_point now, const request_head& head,
                                         std::string_view body) {
  const entra_identity& known = *spec_.entra;
  const std::string_view tenant = head.path.substr(1, head.path.find('/', 1) - 1);
  if (tenant != known.tenant)
    return response::json(
        400, oauth_error("invalid_request",
                         "AADSTS90002: Tenant '" + std::string(tenant) + "' not found."));
  if (form_value(body, "grant_type") != "client_credentials")
    return response::json(400, oauth_error("unsupported_grant_type",
                                           "AADSTS70003: The app requested an unsupported grant "
                                           "type."));
  if (form_value(body, "client_id") != known.client_id)
    return response::json(
        400, oauth_error("unauthorized_client",
                         "AADSTS700016: Application with the identifier given was not found in the "
                         "directory."));
  if (form_value(body, "client_secret") != known.client_secret)
    return response::json(401, oauth_error("invalid_client",
                                           "AADSTS7000215: Invalid client secret provided. Ensure "
                                           "the secret being sent in the request is the client "
                                           "secret value, not the client secret ID."));
  const std::string scope = form_value(body, "scope");
  if (scope != "https://ai.azure.com/.default" &&
      scope != "https://cognitiveservices.azure.com/.default")
    return response::json(400, oauth_error("invalid_scope",
                                           "AADSTS70011: The provided request must include a "
                                           "'scope' input parameter that is valid."));
  response r = response::json(
      200, {{"token_type", "Bearer"},
            {"expires_in", lifetime_seconds()},
            {"ext_expires_in", lifetime_seconds()},
            {"access_token", issue(identity_service::entra, "eyJ0eXAiOiJKV1Qi", now)}});
  r.issued = true;
  return r;
}

identity::response identity::managed_identity(time_point now, const request_head& head) {
  const auto flag = field_value(head.fields, "metadata").value_or("");
  if (flag != "true" && flag != "True")
    return response::json(400,
                          oauth_error("invalid_request", "Required metadata header not specified"));
  if (form_value(head.query, "api-version").empty() || form_value(head.query, "resource").empty())
    return response::json(400,
                          oauth_error("invalid_request", "Required query variable is missing"));
  const std::string asked = form_value(head.query, "client_id");
  if (!asked.empty() && asked != spec_.entra->client_id)
    return response::json(400, oauth_error("invalid_request", "Identity not found"));
  const std::string seconds = std::to_string(lifetime_seconds());
  response r = response::json(
      200, {{"access_token", issue(identity_service::entra, "eyJ0eXAiOiJKV1Mi", now)},
            {"client_id", spec_.entra->client_id},
            {"expires_in", seconds},
            {"expires_on", std::to_string(seconds_since_epoch(now + spec_.token_lifetime))},
            {"ext_expires_in", seconds},
            {"not_before", std::to_string(seconds_since_epoch(now))},
            {"resource", form_value(head.query, "resource")},
            {"token_type", "Bearer"}});
  r.issued = true;
  return r;
}

}  // namespace spillway::simulated
