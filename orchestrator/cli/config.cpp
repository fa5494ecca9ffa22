#include "orchestrator/cli/config.hpp"

#include "orchestrator/cli/config_sections.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace spillway {

namespace {

using namespace std::chrono_literals;

constexpr std::int64_t attempts_max = 1000;
constexpr std::int64_t priority_max = 1'000'000;
constexpr double usd_max = 1e9;

job_policy read_job(yaml_map& map) {
  job_policy job;
  read_routes(map, job);
  job.residency = read_residency(map);
  if (job.residency && job.residency->empty())
    map.problem("residency", "expected at least one name; leave the key out for no constraint");
  if (const auto usd = map.number("budget_usd", {0, usd_max})) job.budget = from_usd(*usd);
  job.in_doubt = map.choice<in_doubt_policy>(
      "in_doubt", {{"resend", in_doubt_policy::resend}, {"hold", in_doubt_policy::hold}});
  job.max_attempts = map.integer("max_attempts", {1, attempts_max});
  job.max_error_rate = map.number("max_error_rate", {0, 1});
  job.stall_timeout = map.time("stall_timeout", {1ms});
  return job;
}

/// The keys that only jobs of a fleet have.
void refuse_fleet_keys(yaml_map& job) {
  job.unsupported("deadline", "a run sends as fast as the quotas allow");
  for (const char* key : {"tenant", "weight", "priority", "keep"})
    job.unsupported(key, "it belongs to the jobs of a fleet");
}

void read_fleet_keys(yaml_map& map, fleet_config& config) {
  config.job.tenant = map.string("tenant").value_or("");
  config.job.weight = map.integer("weight", {1, job_weight_max}).value_or(config.job.weight);
  config.job.priority =
      static_cast<std::int32_t>(map.integer("priority", {-priority_max, priority_max}).value_or(0));
  config.job.keep = map.time("keep", {1s}).value_or(config.job.keep);
  config.deadline = map.time("deadline", {1s});
}

/// The price file: a flag's, else the key's. Its faults are those of the key.
std::optional<price_list> read_prices(yaml_map& root, const std::string& by_flag) {
  const auto path = root.string("prices");
  if (by_flag.empty() && !path) return std::nullopt;
  auto list = price_list::load(by_flag.empty() ? *path : by_flag);
  if (list) return *std::move(list);
  root.problem("prices", list.error().message);
  return std::nullopt;
}

result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  // Reading a directory opens fine and fails at the first byte.
  if (file && file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (file.bad() || !file.is_open()) {
    return failure{failure_kind::usage, path + ": cannot read the configuration (" +
                                            std::strerror(errno) +
                                            "); name a readable file with -c"};
  }
  return text.str();
}

}  // namespace

bool is_region_name(std::string_view name) {
  return !name.empty() &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string_view::npos;
}

lane_shortfall budget_shortfall(const lane_config& lane, std::string_view unpriced) {
  if (!lane.price) {
    return {"price",
            "missing; with a budget every lane needs price: { input: USD, output: USD } "
            "per 1M tokens (0 when it costs nothing), or a price file" +
                (unpriced.empty() ? "" : "; lane " + lane.name() + ": " + std::string(unpriced))};
  }
  if (lane.price->output > pico_usd_per_token(0) && !lane.max_output_tokens) {
    return {"max_output_tokens",
            "missing; with a budget it bounds what a prompt without "
            "max_tokens can cost"};
  }
  return {};
}

result<void> validate_for_budget(const run_config& config) {
  std::string text;
  for (const auto& pool : config.pools) {
    for (const auto& lane : pool.lanes) {
      const auto [key, message] = budget_shortfall(lane);
      if (key.empty()) continue;
      if (!text.empty()) text += "\n";
      text += "lane " + pool.name + "/" + lane.name() + ": " + std::string(key) + ": " + message;
    }
  }
  if (!text.empty()) return failure{failure_kind::usage, std::move(text)};
  return {};
}

result<run_config> parse_run_config(std::string_view text, std::string name, config_rules rules) {
  auto document = yaml_document::parse(text, std::move(name));
  auto root = document.root();
  run_config config;
  if (auto job = root.map("job")) {
    config.job = read_job(*job).over(config.job);
    fleet_config unused;
    if (rules.fleet_keys)
      read_fleet_keys(*job, unused);
    else
      refuse_fleet_keys(*job);
  }
  const bool budget = rules.budget_by_flag || config.job.budget.has_value();
  const auto prices = read_prices(root, rules.prices);
  config.pools = read_pools(root, need::required, {budget, prices ? &*prices : nullptr});
  check_policy(root, config.job.routes, config.pools);
  // A fleet's file serves for a run, too: its sections must be right, and mean nothing here.
  if (auto kafka = root.map("kafka")) read_kafka(*kafka);
  if (auto member = root.map("member")) read_member(*member);
  if (auto problems = document.check()) return std::move(*problems);
  return config;
}

result<run_config> load_run_config(const std::string& path, config_rules rules) {
  auto text = read_file(path);
  if (!text) return text.error();
  return parse_run_config(*text, path, rules);
}

result<fleet_config> parse_fleet_config(std::string_view text, std::string name,
                                        config_rules rules) {
  auto document = yaml_document::parse(text, std::move(name));
  auto root = document.root();
  fleet_config config;
  if (auto job = root.map("job")) {
    config.job = read_job(*job);
    read_fleet_keys(*job, config);
  }
  const bool budget = rules.budget_by_flag || config.job.budget.has_value();
  const auto prices = read_prices(root, rules.prices);
  config.pools = read_pools(root, rules.pools_required ? need::required : need::optional,
                            {budget, prices ? &*prices : nullptr});
  check_policy(root, config.job.routes, config.pools);
  if (auto kafka = root.map("kafka", need::required)) config.kafka = read_kafka(*kafka);
  if (auto member = root.map("member")) config.member = read_member(*member);
  if (auto problems = document.check()) return std::move(*problems);
  return config;
}

result<fleet_config> load_fleet_config(const std::string& path, config_rules rules) {
  auto text = read_file(path);
  if (!text) return text.error();
  return parse_fleet_config(*text, path, rules);
}

}  // namespace spillway
