// Second pass of a submission: shards are packed in parallel and written in transactions, each with
// the word how far it came; the manifest comes last.
#pragma once

#include "connectors/kafka/log_tools.hpp"
#include "connectors/kafka/submit.hpp"
#include "orchestrator/engine/stop_flag.hpp"
#include "orchestrator/runtime/stripes_parallel.hpp"

#include <functional>

namespace spillway {

struct send_request {
  const kafka::submission_content& content;
  job_policy policy;
  std::uint32_t partitions = 0;
  std::size_t line_bytes_max = 0;
};

/// Called now and then with the prompts that are written.
using send_progress = std::function<void(std::uint64_t prompts)>;

/// Writes what `written` does not count yet. Fails (stopped) when asked to stop, or when an outcome
/// is unknown: submitting again goes on behind what was committed.
[[nodiscard]] result<void> send_submission(kafka::transaction_writer&, const send_request&,
                                           kafka::submission_record written, parallel_runner&,
                                           const stop_flag&, const send_progress&);

}  // namespace spillway
