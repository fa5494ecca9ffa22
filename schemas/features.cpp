#include "schemas/features.hpp"

namespace spillway {

std::string_view name_of(prompt_feature feature) {
  switch (feature) {
    case prompt_feature::tools: return "tools";
    case prompt_feature::tool_choice: return "tool_choice";
    case prompt_feature::parallel_tool_calls: return "parallel_tool_calls";
    case prompt_feature::strict_tools: return "strict_tools";
    case prompt_feature::image_data: return "image_data";
    case prompt_feature::image_url: return "image_url";
    case prompt_feature::image_detail: return "image_detail";
    case prompt_feature::audio: return "audio";
    case prompt_feature::file_input: return "file_input";
    case prompt_feature::json_object: return "json_object";
    case prompt_feature::json_schema: return "json_schema";
    case prompt_feature::open_schema: return "open_schema";
    case prompt_feature::schema_constraints: return "schema_constraints";
    case prompt_feature::seed: return "seed";
    case prompt_feature::wide_seed: return "wide_seed";
    case prompt_feature::choices: return "n";
    case prompt_feature::stop: return "stop";
    case prompt_feature::blank_stop: return "blank_stop";
    case prompt_feature::temperature: return "temperature";
    case prompt_feature::temperature_above_1: return "temperature_above_1";
    case prompt_feature::top_p: return "top_p";
    case prompt_feature::penalties: return "penalties";
    case prompt_feature::logprobs: return "logprobs";
    case prompt_feature::logit_bias: return "logit_bias";
    case prompt_feature::reasoning_effort: return "reasoning_effort";
    case prompt_feature::reasoning_off: return "reasoning_off";
    case prompt_feature::verbosity: return "verbosity";
    case prompt_feature::embedding_tokens: return "embedding_tokens";
    case prompt_feature::embedding_many: return "embedding_many";
    case prompt_feature::dimensions: return "dimensions";
    case prompt_feature::base64_vectors: return "base64_vectors";
    case prompt_feature::service_tier: return "service_tier";
    case prompt_feature::sampling_with_reasoning: return "sampling_with_reasoning";
    case prompt_feature::sampling_with_effort: return "sampling_with_effort";
    case prompt_feature::temperature_with_top_p: return "temperature_with_top_p";
    case prompt_feature::tools_with_reasoning: return "tools_with_reasoning";
    case prompt_feature::forced_with_effort: return "forced_with_effort";
    case prompt_feature::effort_without_room: return "effort_without_room";
    case prompt_feature::tools_with_json_object: return "tools_with_json_object";
    case prompt_feature::tools_with_json_schema: return "tools_with_json_schema";
    case prompt_feature::assistant_first: return "assistant_first";
    case prompt_feature::assistant_last: return "assistant_last";
    case prompt_feature::unknown_parameter: return "unknown_parameter";
    case prompt_feature::unknown_content: return "unknown_content";
    case prompt_feature::count: break;
  }
  return "unknown";
}

std::vector<std::string_view> names_of(prompt_features features) {
  std::vector<std::string_view> names;
  for (unsigned i = 0; i < static_cast<unsigned>(prompt_feature::count); ++i)
    if (const auto f = static_cast<prompt_feature>(i); features.has(f)) names.push_back(name_of(f));
  return names;
}

}  // namespace spillway
