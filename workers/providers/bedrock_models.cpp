#include "workers/providers/bedrock_models.hpp"

#include <algorithm>
#include <array>

namespace spillway {

namespace {

using enum prompt_feature;
using enum effort_form;

constexpr prompt_features heat = temperature | temperature_above_1 | top_p;
constexpr prompt_features heat_awake =
    sampling_with_reasoning;  // taken by a model told not to think
constexpr prompt_features both = temperature_with_top_p;
constexpr prompt_features forced = tool_choice;
constexpr prompt_features no_tools = tools | tool_choice | strict_tools;
constexpr prompt_features eyes = image_data;
constexpr prompt_features schema = json_schema;
constexpr prompt_features loose = strict_tools;  // takes tools, but no word on strictness

// First match wins. What is not refused is sent.
constexpr bedrock_model models[] = {
    {"anthropic.claude-opus-4-5", both, budget, 5},
    {"anthropic.claude-sonnet-4-5", both, budget, 5},
    {"anthropic.claude-haiku-4-5", both, budget, 5},
    {"anthropic.claude-opus-4-6", both, adaptive, 5},
    {"anthropic.claude-sonnet-4-6", both, adaptive, 5},
    {"anthropic.claude-opus-4-7", heat | schema | loose, adaptive, 5},
    {"anthropic.claude-opus-4-8", heat | loose, adaptive, 5},
    {"anthropic.claude-sonnet-5-5", heat | forced | loose, adaptive, 5},
    {"anthropic.claude-sonnet-5", heat | loose, adaptive, 5},
    {"anthropic.claude-haiku-5", heat | loose, adaptive, 5},
    {"anthropic.claude-opus-5-5", heat | forced | schema | loose, adaptive, 5},
    {"anthropic.claude-opus-5", heat | schema | loose, adaptive, 5},
    {"anthropic.claude-fable-5-1", heat | forced | schema | loose, adaptive, 5},
    {"anthropic.claude-fable-5", heat | schema | loose, adaptive, 5},
    {"anthropic.claude-mythos-5", heat | forced | loose, adaptive, 5},
    {"anthropic.claude-opus-4-1", both | schema | loose, budget, 5},
    {"anthropic.claude-opus-4-20", schema | loose, budget, 5},
    {"anthropic.claude-sonnet-4-20", schema | loose, budget, 5},
    {"anthropic.claude-3-7", schema | loose, budget, 5},
    {"anthropic.", schema | loose, none, 5},
    {"amazon.nova-2-", schema | loose, nova},
    {"amazon.nova-micro", schema | eyes | loose, none},
    {"amazon.nova-", schema | loose, none},
    {"amazon.titan", schema | eyes | no_tools, none},
    {"openai.gpt-oss-safeguard", schema | eyes | forced | loose, plain},
    {"openai.gpt-oss", schema | eyes | loose, plain},
    {"openai.gpt-5.4", heat_awake | schema | loose, reasoning, 1, 16},
    {"openai.gpt-5.5", heat_awake | schema | loose, reasoning, 1, 16},
    {"openai.gpt-", heat_awake | stop | schema | loose, reasoning, 1, 16},
    {"xai.grok-", stop | schema | loose, none, 1, 16},
    {"deepseek.r1", schema | eyes | no_tools, none},
    {"deepseek.v3", eyes | loose, plain},
    {"deepseek.", schema | eyes | loose, none},
    {"qwen.qwen3-vl", forced | loose, none},
    {"qwen.qwen3-next", forced | eyes | loose, none},
    {"qwen.qwen3-coder-next", schema | eyes | loose, none},
    {"qwen.", eyes | loose, none},
    {"mistral.voxtral", eyes | no_tools, none},
    {"mistral.ministral-3", forced | loose, none},
    {"mistral.mistral-large-3", forced | loose, none},
    {"mistral.magistral", schema | forced | loose, none},
    {"mistral.pixtral", schema | forced | loose, none},
    {"mistral.", schema | eyes | loose, none},
    {"meta.llama4", schema | forced | loose, none},
    {"meta.llama3-2-11b", schema | forced | loose, none},
    {"meta.llama3-2-90b", schema | forced | loose, none},
    {"meta.", schema | forced | eyes | loose, none},
    {"minimax.minimax-m2.", schema | eyes | loose, none},
    {"minimax.", forced | eyes | loose, none},
    {"moonshotai.kimi-k3", schema | loose, none, 1, 16},
    {"moonshotai.kimi-k2.5", schema | loose, none},
    {"moonshot", forced | eyes | loose, none},
    {"nvidia.nemotron-nano-12b", schema | forced | loose, none},
    {"nvidia.nemotron-nano-3", eyes | loose, none},
    {"nvidia.nemotron-super", schema | eyes | loose, none},
    {"nvidia.", schema | forced | eyes | loose, none},
    {"google.gemma-", schema | forced | loose, none},
    {"zai.glm-5", eyes | loose, none},
    {"zai.", schema | eyes | loose, none},
    {"writer.palmyra-vision", schema | no_tools, none},
    {"writer.", schema | forced | eyes | loose, none},
    {"cohere.", schema | forced | eyes | loose, none},
    {"ai21.", schema | eyes | no_tools, none},
    {"", schema | loose, none},
};

constexpr std::array<std::string_view, 11> geographies = {
    "global.", "us.", "eu.", "apac.", "jp.", "au.", "ca.", "in.", "us-gov.", "sa.", "me."};

const bedrock_model& row_of(std::string_view id) {
  return *std::find_if(std::begin(models), std::end(models),
                       [&](const bedrock_model& row) { return id.starts_with(row.prefix); });
}

/// The id by which the lane's model is known best.
std::string_view known_id(const lane_config& lane) {
  const auto own = base_model(lane.as);
  return row_of(own).prefix.empty() ? base_model(lane.model) : own;
}

}  // namespace

std::string_view base_model(std::string_view id) {
  if (const auto slash = id.rfind('/'); slash != std::string_view::npos)
    id.remove_prefix(slash + 1);
  for (const auto geography : geographies)
    if (id.starts_with(geography)) return id.substr(geography.size());
  return id;
}

const bedrock_model& bedrock_model_of(const lane_config& lane) { return row_of(known_id(lane)); }

bool takes_single_calls(const bedrock_model& model) {
  constexpr std::array<std::string_view, 4> older = {
      "anthropic.claude-opus-4-1", "anthropic.claude-opus-4-20", "anthropic.claude-sonnet-4-20",
      "anthropic.claude-3-7"};
  return model.prefix.starts_with("anthropic.claude-") &&
         std::find(older.begin(), older.end(), model.prefix) == older.end();
}

bool is_bedrock_claude(const bedrock_model& model) {
  return model.prefix.starts_with("anthropic.");
}

bool thinks_only_if_told(const bedrock_model& model) {
  return is_bedrock_claude(model) || model.prefix.starts_with("amazon.") ||
         model.prefix.starts_with("meta.");
}

bool is_bedrock_gpt_oss(const lane_config& lane) {
  return known_id(lane).starts_with("openai.gpt-oss") || known_id(lane).starts_with("gpt-oss");
}

bool is_bedrock_gpt(const lane_config& lane) {
  const auto id = known_id(lane);
  return (id.starts_with("openai.gpt-") || id.starts_with("gpt-")) && !is_bedrock_gpt_oss(lane);
}

}  // namespace spillway
