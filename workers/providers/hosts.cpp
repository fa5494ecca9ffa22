#include "workers/providers/hosts.hpp"

#include <array>

namespace spillway {
namespace {

// Prefixes of cross-region inference profiles.
constexpr std::array<std::string_view, 7> geographies = {"us", "eu", "apac",  "jp",
                                                         "au", "ca", "us-gov"};

constexpr std::array<std::string_view, 6> openai_hosts = {"us", "eu", "ae", "au", "in", "jp"};

}  // namespace

std::string bedrock_endpoint(std::string_view region) {
  return "https://bedrock-runtime." + std::string(region) + ".amazonaws.com";
}

std::string mantle_endpoint(std::string_view region) {
  return "https://bedrock-mantle." + std::string(region) + ".api.aws";
}

bool is_mantle_host(std::string_view host) { return host.starts_with("bedrock-mantle."); }

std::string vertex_endpoint(std::string_view location) {
  if (location == "global") return "https://aiplatform.googleapis.com";
  if (location == "us" || location == "eu")
    return "https://aiplatform." + std::string(location) + ".rep.googleapis.com";
  return "https://" + std::string(location) + "-aiplatform.googleapis.com";
}

std::string_view bedrock_geography(std::string_view id) {
  // Of an ARN the profile's id is the last part.
  if (const auto slash = id.rfind('/'); slash != id.npos) id.remove_prefix(slash + 1);
  const auto prefix = id.substr(0, id.find('.'));
  for (const auto name : geographies)
    if (prefix == name && prefix.size() < id.size()) return name;
  return {};
}

bool is_bedrock_global(std::string_view id) {
  if (const auto slash = id.rfind('/'); slash != id.npos) id.remove_prefix(slash + 1);
  return id.starts_with("global.");
}

std::string_view openai_geography(std::string_view host) {
  for (const auto name : openai_hosts)
    if (host.size() > name.size() && host.starts_with(name) &&
        host.substr(name.size()) == ".api.openai.com")
      return name;
  return {};
}

std::string_view geography_of_region(std::string_view region) {
  if (region.starts_with("us-gov")) return "us-gov";
  if (region == "us" || region.starts_with("us-")) return "us";
  // London and Zurich have European names and lie outside the union.
  for (const auto name : {"europe-west2", "europe-west6", "eu-west-2", "eu-central-2"})
    if (region == name) return {};
  return region == "eu" || region.starts_with("eu-") || region.starts_with("europe-") ? "eu" : "";
}

}  // namespace spillway
