// The embedded log: input files are the shards, row files the results, a small store the state.
#pragma once

#include "connectors/log.hpp"
#include "schemas/config.hpp"

#include <memory>
#include <string>
#include <vector>

namespace spillway {

struct file_log_options {
  std::vector<std::string> inputs;
  std::string output, errors, state;
  std::string job;
  in_doubt_policy in_doubt = in_doubt_policy::resend;
  std::optional<std::vector<std::string>> residency;
  bool overwrite = false;
  std::size_t line_bytes_max = 16u << 20;
};

/// A log over local files. Everything that can be wrong with the paths or the state is found by
/// `take_over`, before anything is sent; it changes nothing when it fails.
/// A thread of its own writes: a commit group is whatever was queued meanwhile.
[[nodiscard]] std::unique_ptr<partition_log> make_file_log(file_log_options, durable_sink);

}  // namespace spillway
