#include "orchestrator/engine/restart_keys.hpp"

#include <map>
#include <set>
#include <tuple>

namespace spillway {
namespace {

/// Comparable: whether it is a secret, where that is kept, its name or the value.
using property_value = std::tuple<bool, bool, std::string>;

std::map<std::string, property_value> by_name(const std::vector<kafka_property>& properties) {
  std::map<std::string, property_value> out;
  for (const auto& p : properties) {
    if (p.secret)
      out[p.name] = {true, p.secret->from == secret_ref::source::env, p.secret->name};
    else
      out[p.name] = {false, false, p.value};
  }
  return out;
}

}  // namespace

std::vector<std::string> restart_keys(const fleet_config& in_force, const fleet_config& next) {
  std::vector<std::string> out;
  const auto compare = [&](const char* key, const auto& was, const auto& is) {
    if (was != is) out.emplace_back(key);
  };
  compare("kafka.brokers", in_force.kafka.brokers, next.kafka.brokers);
  compare("kafka.fleet", in_force.kafka.fleet, next.kafka.fleet);
  const auto was = by_name(in_force.kafka.properties), is = by_name(next.kafka.properties);
  std::set<std::string> names;
  for (const auto* all : {&was, &is})
    for (const auto& [name, value] : *all) names.insert(name);
  for (const auto& name : names) {
    const auto before = was.find(name), after = is.find(name);
    const bool same = before != was.end() && after != is.end() && before->second == after->second;
    if (!same) out.push_back("kafka.properties." + name);
  }
  const auto& old = in_force.member;
  const auto& now = next.member;
  compare("member.id", old.id, now.id);
  compare("member.state", old.state, now.state);
  compare("member.audit", old.audit, now.audit);
  compare("member.listen", std::tie(old.listen_host, old.listen_port),
          std::tie(now.listen_host, now.listen_port));
  return out;
}

}  // namespace spillway
