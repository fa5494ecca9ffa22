#include "workers/simulator/sim_config_read.hpp"

namespace spillway::simulated {
namespace {

std::vector<fault_config> read_faults(yaml_map& service) {
  std::vector<fault_config> faults;
  for (yaml_map fault : service.maps("faults")) faults.push_back(read_fault(fault));
  return faults;
}

google_identity read_google(yaml_map google) {
  google_identity g;
  g.project = google.string("project").value_or("simulated");
  g.client_email =
      google.string("client_email").value_or("spillway@" + g.project + ".iam.gserviceaccount.com");
  g.key_file = google.string("key_file").value_or("");
  g.public_key_file = google.string("public_key_file").value_or("");
  if (!g.key_file.empty() && !g.public_key_file.empty())
    google.problem("public_key_file", "expected either `key_file` or `public_key_file`");
  g.faults = read_faults(google);
  return g;
}

entra_identity read_entra(yaml_map entra) {
  entra_identity e;
  e.tenant = entra.string("tenant", need::required).value_or("");
  e.client_id = entra.string("client_id", need::required).value_or("");
  e.client_secret = entra.string("client_secret", need::required).value_or("");
  e.faults = read_faults(entra);
  return e;
}

aws_identity read_aws(yaml_map aws) {
  aws_identity a;
  a.access_key_id = aws.string("access_key_id").value_or("");
  a.secret_access_key = aws.string("secret_access_key").value_or("");
  if (a.access_key_id.empty() != a.secret_access_key.empty())
    aws.problem("access_key_id", "expected `access_key_id` and `secret_access_key` together");
  a.session_token = aws.string("session_token").value_or("");
  a.role_arn = aws.string("role_arn").value_or("");
  a.web_identity_token = aws.string("web_identity_token").value_or("");
  a.container_token = aws.string("container_token").value_or("");
  a.faults = read_faults(aws);
  return a;
}

}  // namespace

identity_spec read_identity(yaml_map section) {
  identity_spec spec;
  spec.token_lifetime = section.time("token_lifetime", {.min = std::chrono::milliseconds(1)})
                            .value_or(std::chrono::hours(1));
  spec.clock_ahead = section.time("clock_ahead").value_or(duration{});
  if (const auto google = section.map("google")) spec.google = read_google(*google);
  if (const auto entra = section.map("entra")) spec.entra = read_entra(*entra);
  if (const auto aws = section.map("aws")) spec.aws = read_aws(*aws);
  return spec;
}

std::vector<key_spec> read_keys(yaml_map& owner) {
  std::vector<key_spec> keys;
  for (yaml_map key : owner.maps("api_keys")) {
    key_spec k;
    k.key = key.string("key", need::required).value_or("");
    k.from = key.time("from").value_or(duration{});
    k.until = key.time("until").value_or(duration::max());
    if (k.until <= k.from) key.problem("until", "expected a time after `from`");
    keys.push_back(std::move(k));
  }
  return keys;
}

}  // namespace spillway::simulated
