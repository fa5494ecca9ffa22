#include "workers/simulator/sim_config.hpp"

#include "orchestrator/runtime/yaml_reader.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

namespace spillway {
namespace simulated {

std::string pool_spec::base_path() const {
  return "/" + name + (provider == provider_kind::azure_openai ? "/openai/v1" : "/v1");
}

namespace {

constexpr number_range share_range{.min = 0, .max = 1};
constexpr int_range positive{.min = 1, .max = 1'000'000'000'000};

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

/// A pool's name is a path segment of its URL.
bool is_path_segment(std::string_view name) {
  return !name.empty() && name.front() != '_' && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

pico_usd_per_token per_token(double usd_per_million) {
  return pico_usd_per_token(static_cast<std::int64_t>(usd_per_million * 1e6 + 0.5));
}

latency_config read_latency(yaml_map& pool) {
  latency_config latency;
  const duration_range hours{.max = std::chrono::hours(24)};
  if (pool.kind("latency") == yaml_kind::map) {
    yaml_map shape = *pool.map("latency");
    latency.median = shape.time("median", hours, need::required).value_or(duration{});
    latency.sigma = shape.number("sigma", {.min = 0, .max = 5}).value_or(0);
  } else {
    latency.median = pool.time("latency", hours).value_or(duration{});
  }
  return latency;
}

quota_spec read_quota(yaml_map quota) {
  quota_spec q;
  q.rpm = quota.integer("rpm", positive);
  q.tpm = quota.integer("tpm", positive);
  q.concurrency = quota.integer("concurrency", positive);
  q.burst =
      quota.time("burst", {.min = std::chrono::milliseconds(1), .max = std::chrono::hours(1)});
  return q;
}

price_config read_price(yaml_map price) {
  const number_range usd{.min = 0, .max = 1e6};
  price_config p;
  p.input = per_token(price.number("input", usd, need::required).value_or(0));
  p.output = per_token(price.number("output", usd, need::required).value_or(0));
  if (const auto cached = price.number("cached_input", usd)) p.cached_input = per_token(*cached);
  return p;
}

void read_period(yaml_map& fault, fault_config& f, std::string_view end_key) {
  f.from = fault.time("from").value_or(duration{});
  f.to = fault.time(end_key).value_or(duration::max());
  if (f.to <= f.from) fault.problem(end_key, "expected a time after `from`");
}

void read_share(yaml_map& fault, fault_config& f) {
  f.share = fault.number("share", share_range).value_or(1);
  f.by_prompt = fault.choice<bool>("by", {{"request", false}, {"prompt", true}}).value_or(false);
  read_period(fault, f, "to");
}

fault_config read_fault(yaml_map fault) {
  fault_config f;
  const auto kind = fault.choice<fault_kind>("kind",
                                             {{"error", fault_kind::error},
                                              {"hang", fault_kind::hang},
                                              {"reset", fault_kind::reset},
                                              {"quota", fault_kind::quota},
                                              {"down", fault_kind::down},
                                              {"missing-model", fault_kind::missing_model}},
                                             {}, need::required);
  f.kind = kind.value_or(fault_kind::error);
  switch (f.kind) {
    case fault_kind::error:
      read_share(fault, f);
      f.status = static_cast<int>(fault.integer("status", {.min = 400, .max = 599}).value_or(500));
      f.code = fault.string("code").value_or("");
      f.message = fault.string("message").value_or("");
      f.retry_after = fault.time("retry_after");
      break;
    case fault_kind::hang:
    case fault_kind::reset: read_share(fault, f); break;
    case fault_kind::quota:
      f.factor = fault.number("factor", {.min = 0, .max = 100}, need::required).value_or(1);
      read_period(fault, f, "to");
      break;
    case fault_kind::down:
      f.close = fault.boolean("close").value_or(false);
      read_period(fault, f, "to");
      break;
    case fault_kind::missing_model:
      f.model = fault.string("model").value_or("");
      read_period(fault, f, "until");
      break;
  }
  return f;
}

pool_spec read_pool(yaml_map pool) {
  pool_spec p;
  p.name = pool.string("name", need::required).value_or("");
  if (!p.name.empty() && !is_path_segment(p.name))
    pool.problem("name",
                 "expected letters, digits, '-', '_' and '.', not starting with '_' or '.'");
  p.provider = pool.choice<provider_kind>("provider",
                                          {{"openai", provider_kind::openai},
                                           {"azure-openai", provider_kind::azure_openai},
                                           {"openai-compatible", provider_kind::openai_compatible}},
                                          {"bedrock", "vertex", "anthropic"}, need::required)
                   .value_or(provider_kind::openai);
  p.api_key = pool.string("api_key").value_or("");
  p.models = pool.strings("models").value_or(std::vector<std::string>{});
  p.latency = read_latency(pool);
  p.output_tokens = pool.integer("output_tokens", {.min = 1, .max = 100'000}).value_or(40);
  p.cached_share = pool.number("cached_share", share_range).value_or(0);
  if (const auto quota = pool.map("quota")) p.quota = read_quota(*quota);
  if (const auto price = pool.map("price")) p.price = read_price(*price);
  for (yaml_map fault : pool.maps("faults")) p.faults.push_back(read_fault(fault));
  return p;
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
  std::set<std::string> names;
  for (yaml_map pool : root.maps("pools", need::required)) {
    config.pools.push_back(read_pool(pool));
    const std::string& added = config.pools.back().name;
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
