// Where a run writes, derived from the output's name, and the mix-ups that would cost data.
#pragma once

#include "schemas/result.hpp"

#include <string>
#include <vector>

namespace spillway {

struct run_paths {
  std::string output, errors, state;
  std::string stem;  ///< of the output's file name, the default name of the job
};

/// OUT without ".jsonl", then ".errors.jsonl" and ".state" where nothing else is asked for.
[[nodiscard]] run_paths derive_paths(const std::string& output, const std::string& errors,
                                     const std::string& state);

/// Refuses what can't be read as a file of lines, several times over.
[[nodiscard]] result<void> check_input(const std::string& input);

/// Refuses inputs that can't be read as lines, and a file that is used twice.
[[nodiscard]] result<void> check_paths(const run_paths&, const std::vector<std::string>& inputs,
                                       const std::string& config);

}  // namespace spillway
