// AWS's: session keys from STS, the instance and the container.
#include "workers/simulator/identity_response.hpp"
#include "workers/simulator/reply_frame.hpp"
#include "workers/simulator/web_text.hpp"

namespace spillway::simulated {
namespace {

namespace json = boost::json;

std::string sts_error(const char* code, const char* message) {
  return std::string(
             "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
             "<Type>Sender</Type><Code>") +
         code + "</Code><Message>" + message +
         "</Message></Error><RequestId>00000000-0000-4000-a000-000000000002</RequestId>"
         "</ErrorResponse>";
}

std::string time_text(time_point t) {
  std::string out;
  append_rfc3339(t, out);
  return out;
}

}  // namespace

std::string identity::keys_json(time_point now, const char* role) {
  const std::string id = issue_keys(now);
  const given& keys = of(identity_service::aws).gave[id];
  return json::serialize(json::object{{"Code", "Success"},
                                      {"Type", "AWS-HMAC"},
                                      {"LastUpdated", time_text(now)},
                                      {"RoleArn", role},
                                      {"AccessKeyId", id},
                                      {"SecretAccessKey", keys.keys.secret},
                                      {"Token", keys.keys.session_token},
                                      {"Expiration", time_text(keys.expires)}});
}

identity::response identity::sts(time_point now, std::string_view form) {
  const aws_identity& known = *spec_.aws;
  response r;
  r.content_type = "text/xml";
  r.status = 400;
  if (form_value(form, "Action") != "AssumeRoleWithWebIdentity") {
    r.body = sts_error("InvalidAction", "Could not find operation for version 2011-06-15");
    return r;
  }
  const std::string token = form_value(form, "WebIdentityToken");
  if (token.empty() || (!known.web_identity_token.empty() && token != known.web_identity_token)) {
    r.body = sts_error("InvalidIdentityToken", "The web identity token is not valid.");
    return r;
  }
  if (!known.role_arn.empty() && form_value(form, "RoleArn") != known.role_arn) {
    r.status = 403;
    r.body = sts_error("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    return r;
  }
  const std::string id = issue_keys(now);
  const given& keys = of(identity_service::aws).gave[id];
  r.status = 200;
  r.issued = true;
  r.body =
      "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
      "<AssumeRoleWithWebIdentityResult><SubjectFromWebIdentityToken>simulated"
      "</SubjectFromWebIdentityToken><Audience>sts.amazonaws.com</Audience><AssumedRoleUser><Arn>" +
      form_value(form, "RoleArn") + "/" + form_value(form, "RoleSessionName") +
      "</Arn><AssumedRoleId>AROASIMULATED:session</AssumedRoleId></AssumedRoleUser><Credentials>"
      "<AccessKeyId>" +
      id + "</AccessKeyId><SecretAccessKey>" + keys.keys.secret +
      "</SecretAccessKey><SessionToken>" + keys.keys.session_token + "</SessionToken><Expiration>" +
      time_text(keys.expires) +
      "</Expiration></Credentials></AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>"
      "00000000-0000-4000-a000-000000000003</RequestId></ResponseMetadata>"
      "</AssumeRoleWithWebIdentityResponse>";
  return r;
}

identity::response identity::instance(time_point now, const request_head& head) {
  constexpr std::string_view roles = "/latest/meta-data/iam/security-credentials/";
  response r;
  r.content_type = "text/plain";
  if (head.path == "/latest/api/token") {
    if (head.method != "PUT" || !field_value(head.fields, "x-aws-ec2-metadata-token-ttl-seconds")) {
      r.status = head.method == "PUT" ? 400 : 405;
      return r;
    }
    instance_token_ = random_text(56);
    r.body = instance_token_;
    r.extra = "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n";
    return r;
  }
  const auto token = field_value(head.fields, "x-aws-ec2-metadata-token").value_or("");
  if (instance_token_.empty() || token != instance_token_) {
    r.status = 401;
    return r;
  }
  if (head.path == roles || head.path == roles.substr(0, roles.size() - 1)) {
    r.body = "simulated-role";
  } else if (head.path.starts_with(roles) && head.path.substr(roles.size()) == "simulated-role") {
    r.body = keys_json(now, "arn:aws:iam::000000000000:role/simulated-role");
    r.issued = true;
  } else {
    r.status = 404;
  }
  return r;
}

identity::response identity::container(time_point now, const request_head& head) {
  const std::string& wanted = spec_.aws->container_token;
  if (!wanted.empty() && head.authorization != wanted)
    return response::json(401, {{"message", "Authorization token is not valid"}});
  response r;
  r.body = keys_json(now, "arn:aws:iam::000000000000:role/simulated-task");
  r.issued = true;
  return r;
}

}  // namespace spillway::simulated
