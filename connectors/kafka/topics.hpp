// The fleet's topics: made, checked, described. Everything blocks.
#pragma once

#include "connectors/kafka/record.hpp"
#include "connectors/kafka/settings.hpp"
#include "schemas/result.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace spillway::kafka {

struct topic_plan {
  std::int32_t partitions = 16;  ///< of shards, results, journal and late; the others have one
  std::int32_t replication = 1;
};

/// What is not as it has to be.
struct topic_difference {
  topic of = topic::jobs;
  std::string setting;  ///< "topic", "partitions", "cleanup.policy", ...
  std::string found, wanted;
  bool fatal = true;   ///< `serve` refuses to work with it
  std::string remedy;  ///< one sentence
};

struct topics_report {
  std::vector<topic> created;
  std::vector<topic_difference> differences;  ///< of topics that existed
  std::vector<std::string> warnings;          ///< e.g. replication below 3
  std::string fleet_uuid;
  bool fleet_created = false;  ///< the fleet record was written by this call
};

/// Creates what is missing, changes nothing that exists, and writes the fleet record once. Doing it
/// again reports differences only. Fails when the broker can't be reached or refuses.
[[nodiscard]] result<topics_report> create_topics(const kafka_settings&, const topic_plan&);

/// What a member needs to know of its fleet.
struct fleet_facts {
  std::string uuid;
  std::int32_t partitions = 0;
  std::vector<topic_difference> differences;  ///< none is fatal
};

/// Checks everything `serve` relies on: every topic is there, partition counts agree with the fleet
/// record, nothing is lost to retention or compaction. Fails (usage) with the first fatal
/// difference and its remedy.
[[nodiscard]] result<fleet_facts> verify_topics(const kafka_settings&);

/// One sentence: "topic f.shards: cleanup.policy is compact, must be delete. ...".
[[nodiscard]] std::string describe(const kafka_settings&, const topic_difference&);

}  // namespace spillway::kafka
