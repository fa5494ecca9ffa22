#include "workers/simulator/control.hpp"

#include "workers/simulator/sim_config_read.hpp"

namespace spillway::simulated {

result<control_change> parse_control(std::string_view text) {
  yaml_document document = yaml_document::parse(text, "control");
  yaml_map root = document.root();
  control_change change;
  change.pool = root.string("pool").value_or("");
  change.service = root.choice<identity_service>("service", {{"google", identity_service::google},
                                                             {"entra", identity_service::entra},
                                                             {"aws", identity_service::aws}});
  if (root.has("faults")) {
    change.faults.emplace();
    for (yaml_map fault : root.maps("faults")) change.faults->push_back(read_fault(fault));
  }
  if (root.has("api_keys")) change.api_keys = read_keys(root);
  change.rotate = root.boolean("rotate").value_or(false);
  change.secret = root.string("secret").value_or("");
  change.revoke = root.boolean("revoke").value_or(false);
  change.token_lifetime = root.time("token_lifetime", {.min = std::chrono::milliseconds(1)});
  if (!change.pool.empty() && change.service)
    root.problem("service", "expected either `pool` or `service`");
  if (change.faults && change.pool.empty() && !change.service)
    root.problem("faults", "expected `pool` or `service` beside it");
  if (change.api_keys && change.pool.empty()) root.problem("api_keys", "expected `pool` beside it");
  if ((change.rotate || change.revoke) && !change.service)
    root.problem(change.rotate ? "rotate" : "revoke", "expected `service` beside it");
  if (auto problems = document.check()) return *problems;
  return change;
}

}  // namespace spillway::simulated
