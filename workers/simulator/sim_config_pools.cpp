#include "workers/simulator/sim_config_read.hpp"

#include <algorithm>
#include <string_view>

namespace spillway::simulated {
namespace {

constexpr number_range share_range{.min = 0, .max = 1};
constexpr int_range positive{.min = 1, .max = 1'000'000'000'000};

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
  q.input_tpm = quota.integer("input_tpm", positive);
  q.output_tpm = quota.integer("output_tpm", positive);
  q.tpd = quota.integer("tpd", positive);
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

}  // namespace

fault_config read_fault(yaml_map fault) {
  fault_config f;
  const auto kind = fault.choice<fault_kind>("kind",
                                             {{"error", fault_kind::error},
                                              {"hang", fault_kind::hang},
                                              {"hold", fault_kind::hold},
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
    case fault_kind::hold:
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

namespace {

void read_provider(yaml_map& pool, pool_spec& p) {
  using kind = provider_kind;
  p.provider = pool.choice<kind>("provider",
                                 {{"openai", kind::openai},
                                  {"azure-openai", kind::azure_openai},
                                  {"openai-compatible", kind::openai_compatible},
                                  {"bedrock", kind::bedrock},
                                  {"vertex", kind::vertex},
                                  {"anthropic", kind::anthropic}},
                                 {}, need::required)
                   .value_or(kind::openai);
  switch (p.provider) {
    case kind::bedrock:
      p.region = pool.string("region").value_or("us-east-1");
      p.mantle = pool.boolean("mantle").value_or(false);
      p.signing_names =
          pool.strings("signing_names")
              .value_or(p.mantle ? std::vector<std::string>{"bedrock-mantle", "bedrock"}
                                 : std::vector<std::string>{"bedrock"});
      if (p.signing_names.empty()) pool.problem("signing_names", "expected at least one name");
      break;
    case kind::vertex:
      p.project = pool.string("project").value_or("");
      p.location = pool.string("location").value_or("");
      break;
    case kind::azure_openai:
      p.api_versions = pool.strings("api_versions").value_or(std::vector<std::string>{});
      break;
    default: break;
  }
}

}  // namespace

pool_spec read_pool(yaml_map pool) {
  pool_spec p;
  p.name = pool.string("name", need::required).value_or("");
  if (!p.name.empty() && !is_path_segment(p.name))
    pool.problem("name",
                 "expected letters, digits, '-', '_' and '.', not starting with '_' or '.'");
  read_provider(pool, p);
  p.api_key = pool.string("api_key").value_or("");
  p.api_keys = read_keys(pool);
  p.identity = pool.boolean("identity").value_or(false);
  p.models = pool.strings("models").value_or(std::vector<std::string>{});
  p.latency = read_latency(pool);
  p.output_tokens = pool.integer("output_tokens", {.min = 1, .max = 100'000}).value_or(40);
  p.reasoning_tokens = pool.integer("reasoning_tokens", {.min = 0, .max = 100'000}).value_or(0);
  p.max_output_tokens =
      pool.integer("max_output_tokens", {.min = 1, .max = 10'000'000}).value_or(4096);
  p.cached_share = pool.number("cached_share", share_range).value_or(0);
  if (const auto quota = pool.map("quota")) p.quota = read_quota(*quota);
  if (const auto price = pool.map("price")) p.price = read_price(*price);
  p.served_tier =
      pool.choice<std::string>("served_tier",
                               {{"default", "default"}, {"flex", "flex"}, {"priority", "priority"}})
          .value_or("");
  for (yaml_map fault : pool.maps("faults")) p.faults.push_back(read_fault(fault));
  return p;
}

std::string pool_spec::base_path() const {
  switch (provider) {
    case provider_kind::azure_openai: return "/" + name + "/openai/v1";
    case provider_kind::bedrock:
    case provider_kind::vertex:
    case provider_kind::anthropic: return "/" + name;
    case provider_kind::openai:
    case provider_kind::openai_compatible: break;
  }
  return "/" + name + "/v1";
}

}  // namespace spillway::simulated
