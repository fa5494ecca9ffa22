// What a batch holds, added up for a plan: prompts that look alike to the lanes
// of their model.
#pragma once

#include "orchestrator/cli/submit_scan.hpp"
#include "orchestrator/core/lane.hpp"
#include "schemas/features.hpp"

#include <compare>
#include <map>
#include <string>
#include <vector>

namespace spillway {

struct plan_rules {
  /// Expected output of a choice, where the prompt allows as much; embeddings
  /// have none.
  tokens output{256};
  /// Whether a budget bounds the job: what no body bounds is refused then.
  bool capped = false;
};

/// Prompts that go the same ways and are of about the same size.
struct prompt_kind {
  std::string model;
  endpoint_kind endpoint = endpoint_kind::chat_completions;
  prompt_features features;
  int size = 0;          ///< of the input, as a power of two of tokens
  bool refused = false;  ///< asks for input that its body does not hold, under a budget
  auto operator<=>(const prompt_kind&) const = default;
};

/// What these prompts come to on one lane.
struct lane_sums {
  std::size_t lane = 0;  ///< index into the lanes
  nano_usd bound;        ///< worst cases, as they are reserved
  nano_usd expected;     ///< at the estimated input and the expected output
  double charge = 0;     ///< tokens, by the lane's limiter
};

struct kind_sums {
  std::int64_t prompts = 0;
  double input = 0;              ///< estimated tokens
  double expected_output = 0;    ///< tokens
  tokens max_output;             ///< of prompts that say one, times their choices
  std::int64_t unbounded = 0;    ///< prompts that say none
  std::vector<lane_sums> lanes;  ///< those of the model
};

struct planned_batch {
  scanned_content scanned;
  std::map<prompt_kind, kind_sums> kinds;
};

/// Reads every line; sends nothing. `model_of` gives the model behind a name in
/// a prompt.
[[nodiscard]] result<planned_batch> scan_for_plan(
    const std::vector<std::string>& inputs, std::size_t line_bytes_max,
    const std::vector<lane_setup>& lanes,
    const std::function<std::string(const std::string&)>& model_of, const plan_rules&,
    parallel_runner&, const stop_flag&);

/// Estimated input tokens of a prompt's body.
[[nodiscard]] double estimate_input(std::string_view body, endpoint_kind, std::int64_t images);

}  // namespace spillway
