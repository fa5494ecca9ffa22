#include "workers/simulator/sim_config.hpp"

#include "workers/simulator/sim_config_read.hpp"

#include <charconv>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

namespace spillway {
namespace simulated {

namespace {

bool is_loopback_address(std::string_view host) {
  if (host == "::1") return true;
  if (!host.starts_with("127.")) return false;
  int dots = 0;
  for (const char c : host) {
    if (c == '.')
      ++dots;
    else if (c < '0' || c > '9')
      return false;
  }
  return dots == 3;
}

/// Splits "127.0.0.1:0", "localhost:8080" or "[::1]:0".
bool read_listen(std::string_view text, simulator_config& out) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (ec != std::errc() || end != port.data() + port.size()) return false;
  out.host = host;
  return is_loopback_address(host);
}

/// A pool that takes what the identity section gives out needs its part of the section.
void check_identity(yaml_map& pool, const simulator_config& config) {
  const pool_spec& p = config.pools.back();
  if (!p.identity) return;
  const char* part = nullptr;
  if (p.provider == provider_kind::bedrock && !config.identity.aws) part = "aws";
  if (p.provider == provider_kind::vertex && !config.identity.google) part = "google";
  if (p.provider == provider_kind::azure_openai && !config.identity.entra) part = "entra";
  if (part)
    pool.problem("identity", std::string("expected a section `identity.") + part + "` in the file");
  const bool has_one = p.provider == provider_kind::bedrock ||
                       p.provider == provider_kind::vertex ||
                       p.provider == provider_kind::azure_openai;
  if (!has_one) pool.problem("identity", "expected `api_key`: this provider knows nothing else");
}

}  // namespace
}  // namespace simulated

result<simulator_config> parse_simulator_config(std::string_view text, std::string name) {
  using namespace simulated;
  yaml_document document = yaml_document::parse(text, std::move(name));
  yaml_map root = document.root();
  simulator_config config;
  if (const auto listen = root.string("listen"); listen && !read_listen(*listen, config))
    root.problem("listen",
                 "expected a loopback address and port such as 127.0.0.1:0; the "
                 "simulator serves this machine only");
  config.seed = static_cast<std::uint64_t>(root.integer("seed", {.min = 0}).value_or(1));
  config.threads =
      static_cast<unsigned>(root.integer("threads", {.min = 1, .max = 64}).value_or(1));
  if (auto tls = root.map("tls")) {
    tls_files files;
    files.cert_file = tls->string("cert_file", need::required).value_or("");
    files.key_file = tls->string("key_file", need::required).value_or("");
    config.tls = files;
  }
  if (const auto identity = root.map("identity")) config.identity = read_identity(*identity);
  std::set<std::string> names;
  for (yaml_map pool : root.maps("pools", need::required)) {
    config.pools.push_back(read_pool(pool));
    const std::string& added = config.pools.back().name;
    check_identity(pool, config);
    if (!added.empty() && !names.insert(added).second)
      pool.problem("name", "another pool has this name already");
  }
  if (config.pools.size() > pools_max)
    root.problem("pools", "expected at most " + std::to_string(pools_max) + " pools");
  if (auto problems = document.check()) return *problems;
  return config;
}

result<simulator_config> load_simulator_config(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad())
    return failure{failure_kind::usage, "cannot read " + path + "; check the path given with -c"};
  return parse_simulator_config(text, path);
}

}  // namespace spillway
