// What all commands of a fleet do first: read the configuration, reach the broker, read the tables.
#pragma once

#include "connectors/kafka/job_progress.hpp"
#include "connectors/kafka/log_tools.hpp"
#include "connectors/kafka/settings.hpp"
#include "orchestrator/cli/config.hpp"
#include "orchestrator/engine/stop_flag.hpp"

#include <memory>
#include <string>

namespace spillway {

/// A fleet's log as a command reaches it.
struct fleet_access {
  fleet_config config;
  kafka::kafka_settings settings;
  std::unique_ptr<kafka::log_tools> tools;
  std::uint32_t partitions = 0;  ///< of `shards`
};

[[nodiscard]] kafka::kafka_settings settings_of(const kafka_config&);
/// Reads the file, where pools are optional, and checks the kafka section.
[[nodiscard]] result<fleet_config> load_client_config(const std::string& path);
/// Connects, and checks that the topics are those of this fleet.
[[nodiscard]] result<fleet_access> open_fleet(const std::string& config_path);

/// The topic `jobs` to its end as it is now; records that can't be used are left out.
[[nodiscard]] result<kafka::job_table> read_jobs(fleet_access&);
[[nodiscard]] result<kafka::progress_table> read_progress(fleet_access&);
/// Reads on where the table ends.
[[nodiscard]] result<void> read_on(fleet_access&, kafka::job_table&);

/// The one who may write this job's submission: whoever was before is fenced, and everything they
/// committed can be read. Nobody else makes a job of that name meanwhile.
[[nodiscard]] result<std::unique_ptr<kafka::transaction_writer>> open_submitter(
    fleet_access&, const std::string& job, const stop_flag&);

/// The job, or a usage failure that names those there are.
[[nodiscard]] result<const kafka::job_entry*> find_job(const kafka::job_table&,
                                                       const std::string& name);

/// A command that nobody has given before.
[[nodiscard]] kafka::command_record new_command(const std::string& job, kafka::command_kind);
/// A close at what `shards` holds now.
[[nodiscard]] result<kafka::command_record> close_command(fleet_access&, const std::string& job);
/// Says what became of a command; `nothing_to_do` empty: it was written.
void tell_command(const std::string& job, kafka::command_kind, const std::string& nothing_to_do,
                  bool json);

/// What the clients log goes to standard error; what they get over by themselves is left out.
void log_to_standard_error();

/// The wall clock, for records.
[[nodiscard]] time_point wall_now();

/// 0: finished, every prompt answered; 1: finished, some became error rows; 3: not finished.
[[nodiscard]] int exit_code_of(const kafka::job_entry&);

}  // namespace spillway
