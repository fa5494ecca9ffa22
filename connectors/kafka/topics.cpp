#include "connectors/kafka/topics.hpp"

#include "connectors/kafka/admin.hpp"
#include "connectors/kafka/log_tools.hpp"
#include "schemas/fleet_job.pb.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <random>
#include <span>
#include <thread>

namespace spillway::kafka {

namespace {

constexpr std::int32_t safe_replication = 3, in_sync_wanted = 2;
constexpr std::chrono::seconds known_within{20};
constexpr std::chrono::milliseconds known_period{50};
constexpr std::string_view fleet_key = "fleet";
constexpr std::uint32_t version = 1;

enum class kept {
  all,     ///< delete policy without limits of time or size
  latest,  ///< compacted
};

struct topic_rule {
  topic of;
  bool partitioned;  ///< as many partitions as the fleet, else one
  kept keeps;
};

constexpr std::array<topic_rule, 8> rules = {{
    {topic::jobs, false, kept::latest},
    {topic::ctl, false, kept::latest},
    {topic::progress, false, kept::latest},
    {topic::dead, false, kept::all},
    {topic::shards, true, kept::all},
    {topic::results, true, kept::all},
    {topic::journal, true, kept::all},
    {topic::late, true, kept::all},
}};

struct config_rule {
  std::string_view name, wanted;
  bool fatal;
  std::string_view why;
};

constexpr std::array<config_rule, 3> rules_all = {{
    {"cleanup.policy", "delete", true, "compaction would lose records"},
    {"retention.ms", "-1", true, "the broker would delete records by age"},
    {"retention.bytes", "-1", true, "the broker would delete records by size"},
}};
constexpr std::array<config_rule, 1> rules_latest = {{
    {"cleanup.policy", "compact", true, "the broker would delete what is still needed"},
}};

std::span<const config_rule> rules_of(kept k) {
  if (k == kept::all) return rules_all;
  return rules_latest;
}

new_topic order_of(const topic_rule& rule, const topic_plan& plan) {
  new_topic out{rule.of, rule.partitioned ? plan.partitions : 1, plan.replication, {}};
  for (const auto& r : rules_of(rule.keeps)) out.config.emplace_back(r.name, r.wanted);
  out.config.emplace_back("min.insync.replicas",
                          std::to_string(std::min(in_sync_wanted, plan.replication)));
  return out;
}

std::string alter_command(const kafka_settings& settings, topic t, std::string_view name,
                          std::string_view wanted) {
  return "Set it with Kafka's tools: kafka-configs.sh --alter --entity-type topics --entity-name " +
         topic_name(settings, t) + " --add-config " + std::string(name) + "=" + std::string(wanted);
}

void check_config(const kafka_settings& settings, const topic_rule& rule,
                  const std::map<std::string, std::string>& config,
                  std::vector<topic_difference>& out) {
  for (const auto& r : rules_of(rule.keeps)) {
    const auto at = config.find(std::string(r.name));
    if (at == config.end() || at->second == r.wanted) continue;
    out.push_back(
        {rule.of, std::string(r.name), at->second, std::string(r.wanted), r.fatal,
         "Else " + std::string(r.why) + ". " + alter_command(settings, rule.of, r.name, r.wanted)});
  }
}

/// min.insync.replicas below the rule loses records with a broker's disk; above the number of
/// replicas it stops all writing.
void check_replicas(const kafka_settings& settings, topic t, std::int32_t replication,
                    const std::map<std::string, std::string>& config,
                    std::vector<topic_difference>& out) {
  const auto at = config.find("min.insync.replicas");
  if (at == config.end() || replication <= 0) return;
  const auto wanted = std::to_string(std::min(in_sync_wanted, replication));
  const auto found = std::atoi(at->second.c_str());
  const bool stops = found > replication;
  if (!stops && found >= std::min(in_sync_wanted, replication)) return;
  out.push_back({t, "min.insync.replicas", at->second, wanted, stops,
                 (stops ? "Else nothing can be written. "
                        : "Else records stored on one broker alone count as safe. ") +
                     alter_command(settings, t, "min.insync.replicas", wanted)});
}

topic_difference count_differs(topic t, std::int32_t found, std::int32_t wanted, bool partitioned) {
  return {t,
          "partitions",
          std::to_string(found),
          std::to_string(wanted),
          true,
          partitioned
              ? "A fleet's partition count never changes: use the count it was created "
                "with, or another `fleet` name"
              : "Delete the topic while nothing runs, and run `spillway topics create` again"};
}

std::string new_uuid() {
  std::random_device random;
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%08x-%04x-4%03x-%04x-%08x%04x", random(),
                random() & 0xffffu, random() & 0xfffu, (random() & 0x3fffu) | 0x8000u, random(),
                random() & 0xffffu);
  return text.data();
}

std::int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

result<std::optional<fleet::v1::Fleet>> read_fleet(log_tools& tools,
                                                   const kafka_settings& settings) {
  const auto table = tools.read_compacted(topic::ctl, fleet_key);
  if (!table) return table.error();
  const auto at = table->find(fleet_key);
  if (at == table->end()) return std::optional<fleet::v1::Fleet>();
  fleet::v1::Fleet out;
  const bool parsed = out.ParseFromString(at->second.what.value);
  if (!parsed || out.version() > version || out.uuid().empty() || out.partitions() == 0)
    return failure{failure_kind::usage,
                   "The record `fleet` on " + topic_name(settings, topic::ctl) +
                       " can't be read, or is of a newer version. Use the release that wrote it."};
  return std::optional<fleet::v1::Fleet>(std::move(out));
}

/// Everything that is not as `partitions` and the rules want it.
result<std::vector<topic_difference>> differences_of(admin& brokers, const kafka_settings& settings,
                                                     const topic_rule& rule,
                                                     std::int32_t partitions) {
  std::vector<topic_difference> out;
  const auto count = brokers.partitions_of(rule.of);
  if (!count) return count.error();
  if (!*count) {
    out.push_back({rule.of, "topic", "missing", "created", true,
                   "Run `spillway topics create`, or check `fleet`"});
    return out;
  }
  const auto wanted = rule.partitioned ? partitions : 1;
  if (**count != wanted) out.push_back(count_differs(rule.of, **count, wanted, rule.partitioned));
  const auto config = brokers.config_of(rule.of);
  if (!config) return config.error();
  check_config(settings, rule, *config, out);
  const auto replication = brokers.replication_of(rule.of);
  if (!replication) return replication.error();
  check_replicas(settings, rule.of, *replication, *config, out);
  return out;
}

/// The controller knows a new topic before the brokers do, and those before it has leaders.
result<void> wait_until_known(admin& brokers, const kafka_settings& settings, topic t) {
  const auto give_up = std::chrono::steady_clock::now() + known_within;
  for (;;) {
    const auto found = brokers.partitions_of(t);
    if (found && *found) return {};
    if (std::chrono::steady_clock::now() > give_up) {
      if (!found) return found.error();
      return failure{failure_kind::storage, "Kafka: topic " + topic_name(settings, t) +
                                                " was created, but no broker knows it yet. Run "
                                                "`spillway topics create` again."};
    }
    std::this_thread::sleep_for(known_period);
  }
}

result<void> write_fleet(log_tools& tools, const topic_plan& plan, topics_report& report) {
  fleet::v1::Fleet fleet;
  fleet.set_version(version);
  fleet.set_uuid(new_uuid());
  fleet.set_partitions(static_cast<std::uint32_t>(plan.partitions));
  fleet.set_created_unix_ms(unix_ms());
  placed_record out{topic::ctl, 0, {}};
  out.what.key = fleet_key;
  out.what.value = fleet.SerializeAsString();
  std::vector<placed_record> one;
  one.push_back(std::move(out));
  if (const auto stored = tools.store(std::move(one)); !stored) return stored.error();
  report.fleet_uuid = fleet.uuid();
  report.fleet_created = true;
  return {};
}

}  // namespace

result<topics_report> create_topics(const kafka_settings& settings, const topic_plan& plan) {
  if (plan.partitions < 1 || plan.partitions > 10'000 || plan.replication < 1 ||
      plan.replication > 32'767)
    return failure{failure_kind::usage,
                   "topics create: partitions are 1 to 10000, replication 1 or more."};
  const auto tools = log_tools::connect(settings);
  if (!tools) return tools.error();
  const auto brokers = admin::make(settings);
  if (!brokers) return brokers.error();
  topics_report out;
  for (const auto& rule : rules) {
    const auto found = (*brokers)->partitions_of(rule.of);
    if (!found) return found.error();
    if (*found) {
      auto differences = differences_of(**brokers, settings, rule, plan.partitions);
      if (!differences) return differences.error();
      std::move(differences->begin(), differences->end(), std::back_inserter(out.differences));
      continue;
    }
    const auto made = (*brokers)->create(order_of(rule, plan));
    if (!made) return made.error();
    if (*made) out.created.push_back(rule.of);
  }
  for (const auto created : out.created)
    if (const auto known = wait_until_known(**brokers, settings, created); !known)
      return known.error();
  const auto fleet = read_fleet(**tools, settings);
  if (!fleet) return fleet.error();
  if (*fleet) {
    out.fleet_uuid = (*fleet)->uuid();
    const auto count = static_cast<std::int32_t>((*fleet)->partitions());
    if (count != plan.partitions)
      out.differences.push_back(count_differs(topic::ctl, count, plan.partitions, true));
  } else if (const auto written = write_fleet(**tools, plan, out); !written) {
    return written.error();
  }
  if (plan.replication < safe_replication)
    out.warnings.push_back(
        "Replication " + std::to_string(plan.replication) +
        ": a broker that loses its disk takes work with it. Use 3 where it matters.");
  return out;
}

result<fleet_facts> verify_topics(const kafka_settings& settings) {
  const auto tools = log_tools::connect(settings);
  if (!tools) return tools.error();
  const auto brokers = admin::make(settings);
  if (!brokers) return brokers.error();
  const auto ctl = (*brokers)->partitions_of(topic::ctl);
  if (!ctl) return ctl.error();
  const std::string create = "Run `spillway topics create`, or check `fleet`.";
  if (!*ctl)
    return failure{failure_kind::usage, "Kafka: topic " + topic_name(settings, topic::ctl) +
                                            " does not exist. " + create};
  const auto fleet = read_fleet(**tools, settings);
  if (!fleet) return fleet.error();
  if (!*fleet)
    return failure{failure_kind::usage, "Topic " + topic_name(settings, topic::ctl) +
                                            " does not hold the fleet's record. " + create};
  fleet_facts out{(*fleet)->uuid(), static_cast<std::int32_t>((*fleet)->partitions()), {}};
  for (const auto& rule : rules) {
    auto differences = differences_of(**brokers, settings, rule, out.partitions);
    if (!differences) return differences.error();
    for (auto& d : *differences) {
      if (d.fatal) return failure{failure_kind::usage, describe(settings, d)};
      out.differences.push_back(std::move(d));
    }
  }
  return out;
}

std::string describe(const kafka_settings& settings, const topic_difference& d) {
  const auto name = "topic " + topic_name(settings, d.of);
  if (d.setting == "topic") return name + " is missing. " + d.remedy + ".";
  return name + ": " + d.setting + " is " + d.found + ", must be " + d.wanted + ". " + d.remedy +
         ".";
}

}  // namespace spillway::kafka
