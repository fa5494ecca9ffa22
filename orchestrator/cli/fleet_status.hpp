// Jobs of a fleet as tables and as JSON.
#pragma once

#include "connectors/kafka/job_progress.hpp"

#include <string>

namespace spillway {

/// One row a job.
[[nodiscard]] std::string jobs_table(const kafka::job_table&, const kafka::progress_table&);
/// One job, its lanes, and what holds it up.
[[nodiscard]] std::string job_text(const kafka::job_entry&, const kafka::job_parts&);
/// One object on one line.
[[nodiscard]] std::string job_json(const kafka::job_entry&, const kafka::job_parts&);

void tell_opened(const std::string& job, bool fresh, bool json);

}  // namespace spillway
