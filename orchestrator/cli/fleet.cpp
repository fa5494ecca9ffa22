#include "orchestrator/cli/fleet.hpp"

#include "connectors/kafka/fleet_codec_jobs.hpp"
#include "orchestrator/cli/logging.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace spillway {

using kafka::topic;

namespace {

constexpr std::chrono::seconds settle_time_max{90};
constexpr std::chrono::milliseconds settle_period{20};

failure usage(std::string message) { return {failure_kind::usage, std::move(message)}; }

result<void> check_identity(fleet_access& fleet) {
  auto table = fleet.tools->read_compacted(topic::ctl, kafka::fleet_key);
  if (!table) return table.error();
  const auto at = table->find(kafka::fleet_key);
  if (at == table->end()) {
    return usage("the topics of fleet " + fleet.settings.fleet +
                 " were not made by `spillway topics create`; run it once");
  }
  const auto identity = kafka::decode_fleet(at->second.what.value);
  if (const auto* fault = std::get_if<kafka::record_fault>(&identity))
    return usage("the topic ctl of fleet " + fleet.settings.fleet + ": " + fault->message);
  const auto recorded = std::get<kafka::fleet_identity>(identity).partitions;
  if (recorded == fleet.partitions) return {};
  return usage("topic " + topic_name(fleet.settings, topic::shards) + " has " +
               std::to_string(fleet.partitions) + " partitions, but the fleet was made with " +
               std::to_string(recorded) +
               "; partitions can't be added to a fleet: restore the topic, or make a new fleet "
               "under another name");
}

/// A killed submitter's transaction holds up every reader until the broker gives up on it.
kafka::kafka_settings with_short_transactions(kafka::kafka_settings settings) {
  auto& properties = settings.properties;
  // librdkafka wants its other time-outs below this one.
  for (const char* other :
       {"transaction.timeout.ms", "message.timeout.ms", "delivery.timeout.ms", "socket.timeout.ms"})
    if (properties.contains(other)) return settings;
  properties["transaction.timeout.ms"] = "20000";
  return settings;
}

/// What others have open ends by itself. Without waiting for it, what was committed after it began
/// would not be seen.
result<void> wait_until_settled(fleet_access& fleet, const stop_flag& stop) {
  const auto at_first = fleet.tools->offsets(topic::jobs);
  if (!at_first) return at_first.error();
  const auto give_up = std::chrono::steady_clock::now() + settle_time_max;
  for (;;) {
    const auto now = fleet.tools->offsets(topic::jobs);
    if (!now) return now.error();
    if (now->at(0).last_stable >= at_first->at(0).high_watermark) return {};
    if (stop.load() > 0) return failure{failure_kind::stopped, "stopped; nothing was written"};
    if (std::chrono::steady_clock::now() > give_up) {
      return failure{failure_kind::storage,
                     "a transaction on topic " + topic_name(fleet.settings, topic::jobs) +
                         " hangs; look for it with kafka-transactions.sh find-hanging"};
    }
    ::usleep(static_cast<useconds_t>(std::chrono::microseconds(settle_period).count()));
  }
}

}  // namespace

kafka::kafka_settings settings_of(const kafka_config& config) {
  kafka::kafka_settings out;
  for (const auto& broker : config.brokers)
    out.brokers += (out.brokers.empty() ? "" : ",") + broker;
  out.fleet = config.fleet;
  for (const auto& property : config.properties) {
    auto value = property.value;
    if (property.secret) {
      const bool env = property.secret->from == secret_ref::source::env;
      value = (env ? "env:" : "file:") + property.secret->name;
    }
    out.properties[property.name] = std::move(value);
  }
  return out;
}

result<fleet_config> load_client_config(const std::string& path) {
  config_rules rules;
  rules.pools_required = false;
  auto config = load_fleet_config(path, rules);
  if (!config) return config.error();
  if (auto ok = check_settings(settings_of(config->kafka)); !ok) return ok.error().within(path);
  return config;
}

result<fleet_access> open_fleet(const std::string& config_path) {
  auto config = load_client_config(config_path);
  if (!config) return config.error();
  fleet_access fleet;
  fleet.config = *std::move(config);
  fleet.settings = settings_of(fleet.config.kafka);
  // The end of a topic is only seen when a fetch comes back empty: a command should not wait long.
  fleet.settings.properties.try_emplace("fetch.wait.max.ms", "10");
  auto tools = kafka::log_tools::connect(fleet.settings);
  if (!tools) return tools.error();
  fleet.tools = *std::move(tools);
  auto partitions = fleet.tools->partitions_of(topic::shards);
  if (!partitions) return partitions.error();
  fleet.partitions = static_cast<std::uint32_t>(*partitions);
  if (auto ok = check_identity(fleet); !ok) return ok.error();
  return fleet;
}

result<std::unique_ptr<kafka::transaction_writer>> open_submitter(fleet_access& fleet,
                                                                  const std::string& job,
                                                                  const stop_flag& stop) {
  auto writer = kafka::transaction_writer::open(with_short_transactions(fleet.settings),
                                                submitter_id(fleet.settings, job));
  if (!writer) return writer;
  if (auto ok = wait_until_settled(fleet, stop); !ok) return ok.error();
  return writer;
}

result<kafka::job_table> read_jobs(fleet_access& fleet) {
  kafka::job_table table(fleet.partitions);
  if (auto ok = read_on(fleet, table); !ok) return ok.error();
  return table;
}

result<void> read_on(fleet_access& fleet, kafka::job_table& table) {
  auto spans = fleet.tools->whole(topic::jobs);
  if (!spans) return spans.error();
  for (auto& span : *spans) span.from = std::max(span.from, table.next_offset());
  std::erase_if(*spans, [](const auto& span) { return span.until && span.from >= *span.until; });
  if (spans->empty()) return {};
  return fleet.tools->read(topic::jobs, *spans, [&](std::int32_t, kafka::stored_record&& r) {
    table.apply(r);
    return true;
  });
}

result<kafka::progress_table> read_progress(fleet_access& fleet) {
  auto records = fleet.tools->read_compacted(topic::progress);
  if (!records) return records.error();
  kafka::progress_table table;
  for (const auto& [key, r] : *records) table.apply(r);
  return table;
}

result<const kafka::job_entry*> find_job(const kafka::job_table& table, const std::string& name) {
  if (const auto* job = table.find(name)) return job;
  constexpr std::size_t shown_max = 5;
  std::string known;
  const auto all = table.all();
  for (std::size_t i = 0; i < std::min(all.size(), shown_max); ++i)
    known += (i == 0 ? "" : ", ") + all[i]->name;
  if (all.size() > shown_max) known += ", ...";
  return usage("no job " + name + "; " +
               (known.empty() ? "this fleet has none yet" : "there are: " + known));
}

void log_to_standard_error() {
  setup_logging("error", log_format::text,
                [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); });
}

time_point wall_now() {
  return std::chrono::time_point_cast<duration>(std::chrono::system_clock::now());
}

int exit_code_of(const kafka::job_entry& job) {
  if (!job.final) return exit_code(failure_kind::stopped);
  // Of a damaged job that was cancelled.
  const bool lacks_prompts =
      job.manifest && !job.manifest->open && job.final->prompts < job.manifest->prompts;
  return job.final->errors == 0 && !lacks_prompts ? 0 : 1;
}

}  // namespace spillway
