// spillway topics create: makes the fleet's topics, or says how they differ.
#include "connectors/kafka/topics.hpp"

#include "orchestrator/cli/fleet.hpp"
#include "orchestrator/cli/fleet_commands.hpp"
#include "orchestrator/cli/fleet_view.hpp"
#include "orchestrator/engine/progress_json.hpp"

#include <boost/json/array.hpp>

namespace spillway {

namespace {

std::string as_json(const kafka::kafka_settings& settings, const kafka::topics_report& report) {
  boost::json::array created, differences, warnings;
  for (const auto t : report.created) created.emplace_back(topic_name(settings, t));
  for (const auto& d : report.differences) {
    differences.push_back(boost::json::object{{"topic", topic_name(settings, d.of)},
                                              {"setting", d.setting},
                                              {"found", d.found},
                                              {"wanted", d.wanted},
                                              {"fatal", d.fatal},
                                              {"remedy", d.remedy}});
  }
  for (const auto& warning : report.warnings) warnings.emplace_back(warning);
  return json_line(boost::json::object{{"fleet", settings.fleet},
                                       {"uuid", report.fleet_uuid},
                                       {"created", std::move(created)},
                                       {"differences", std::move(differences)},
                                       {"warnings", std::move(warnings)}}) +
         "\n";
}

std::string as_text(const kafka::kafka_settings& settings, const kafka::topics_report& report) {
  std::string text;
  for (const auto t : report.created) text += "Created " + topic_name(settings, t) + "\n";
  for (const auto& d : report.differences) text += describe(settings, d) + "\n";
  for (const auto& warning : report.warnings) text += "Note: " + warning + "\n";
  if (!report.differences.empty())
    text += "Nothing that exists was changed.\n";
  else if (report.created.empty())
    text += "All topics of fleet " + settings.fleet + " are as they have to be.\n";
  else
    text += "Fleet " + settings.fleet + " is ready.\n";
  return text;
}

}  // namespace

int run_topics(const topics_options& options) {
  const auto config = load_client_config(options.config);
  if (!config) return report(config.error());
  const auto settings = settings_of(config->kafka);
  kafka::topic_plan plan;
  plan.partitions = options.partitions.value_or(config->kafka.partitions);
  plan.replication = options.replication.value_or(config->kafka.replication);
  const auto made = kafka::create_topics(settings, plan);
  if (!made) return report(made.error());
  print(options.json ? as_json(settings, *made) : as_text(settings, *made));
  return made->differences.empty() ? 0 : 1;
}

}  // namespace spillway
