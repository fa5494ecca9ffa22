#include "workers/providers/anthropic_form.hpp"
#include "workers/providers/bedrock_models.hpp"
#include "workers/providers/converse.hpp"
#include "workers/providers/enforceable_schema.hpp"
#include "workers/providers/json_writer.hpp"

#include <algorithm>
#include <cctype>
#include <limits>
#include <vector>

namespace spillway {

namespace {

constexpr std::size_t id_bytes_max = 64;

/// An id as Converse takes it. The same id always becomes the same, so that calls and results pair.
std::string tool_use_id(std::string_view id) {
  const auto fits = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == ':' ||
           c == '-';
  };
  if (!id.empty() && id.size() <= id_bytes_max && std::all_of(id.begin(), id.end(), fits))
    return std::string(id);
  return answer_id("call_", "", id);
}

std::string_view image_format(std::string_view media_type) {
  return media_type.substr(std::min(media_type.find('/') + 1, media_type.size()));
}

class converse_writer {
 public:
  converse_writer(const chat_request& request, const lane_config& lane)
      : request_(request),
        lane_(lane),
        model_(bedrock_model_of(lane)),
        refused_(withheld(request, converse_unmappable(lane))),
        instructions_only_(is_instructions_only(request)) {}

  std::string write();

 private:
  [[nodiscard]] bool may(prompt_feature f) const { return !refused_.has(f); }
  [[nodiscard]] bool is_system(const chat_message& m) const {
    return m.role == chat_role::system && !instructions_only_;
  }
  void text_block(std::string_view text) { json_.open('{').text("text", text).close('}'); }
  void system();
  void messages();
  std::size_t turn(std::size_t first);
  std::size_t blocks(const chat_message&);
  std::size_t parts(const chat_message&, bool keep_empty);
  void tool_use(const chat_tool_call&);
  void tool_result(const chat_message&);
  void inference();
  void tools();
  void tool_spec(const chat_tool&);
  void extra_fields();
  bool effort(json_writer& fields);
  void single_calls(json_writer& fields);
  void output_format();
  void tier();
  [[nodiscard]] bool has_tool_history() const;

  const chat_request& request_;
  const lane_config& lane_;
  const bedrock_model& model_;
  prompt_features refused_;
  bool instructions_only_;
  std::string out_;
  json_writer json_{out_};
};

std::string converse_writer::write() {
  json_.open('{');
  messages();
  system();
  inference();
  tools();
  extra_fields();
  output_format();
  tier();
  json_.close('}');
  return std::move(out_);
}

void converse_writer::system() {
  bool any = false;
  for (const auto& message : request_.messages) {
    if (!is_system(message)) continue;
    for (const auto& part : message.parts) {
      if (part.text.empty()) continue;
      if (!any) json_.key("system").open('[');
      any = true;
      text_block(part.text);
    }
  }
  if (any) json_.close(']');
}

void converse_writer::messages() {
  json_.key("messages").open('[');
  for (std::size_t i = 0; i < request_.messages.size();)
    i = is_system(request_.messages[i]) ? i + 1 : turn(i);
  json_.close(']');
}

/// Neighbours of one side are one message: Converse wants the sides to alternate. Returns the index
/// behind them.
std::size_t converse_writer::turn(std::size_t first) {
  const auto of_model = [&](std::size_t i) {
    return request_.messages[i].role == chat_role::assistant;
  };
  const bool model = of_model(first);
  json_.open('{').text("role", model ? "assistant" : "user").key("content").open('[');
  std::size_t written = 0, i = first;
  for (; i < request_.messages.size(); ++i) {
    if (is_system(request_.messages[i])) continue;
    if (of_model(i) != model) break;
    written += blocks(request_.messages[i]);
  }
  // Empty texts are refused beside others; alone, the refusal is what the prompt asked for.
  if (written == 0) text_block("");
  json_.close(']').close('}');
  return i;
}

std::size_t converse_writer::blocks(const chat_message& message) {
  if (message.role == chat_role::tool) {
    tool_result(message);
    return 1;
  }
  const std::size_t written = parts(message, false);
  for (const auto& call : message.tool_calls) tool_use(call);
  return written + message.tool_calls.size();
}

std::size_t converse_writer::parts(const chat_message& message, bool keep_empty) {
  std::size_t written = 0;
  for (const auto& part : message.parts) {
    if (part.what == chat_part::kind::image_data) {
      json_.open('{').key("image").open('{');
      json_.text("format", image_format(part.media_type));
      json_.key("source").open('{').text("bytes", part.data).close('}');
      json_.close('}').close('}');
    } else if (part.what == chat_part::kind::text || part.what == chat_part::kind::refusal) {
      if (part.text.empty() && !keep_empty) continue;
      text_block(part.text);
    } else {
      continue;
    }
    ++written;
  }
  return written;
}

void converse_writer::tool_use(const chat_tool_call& call) {
  json_.open('{').key("toolUse").open('{');
  json_.text("toolUseId", tool_use_id(call.id)).text("name", call.name);
  json_.key("input").object_of(call.arguments, "arguments");
  json_.close('}').close('}');
}

void converse_writer::tool_result(const chat_message& message) {
  json_.open('{').key("toolResult").open('{');
  json_.text("toolUseId", tool_use_id(message.tool_call_id)).key("content").open('[');
  if (parts(message, true) == 0) text_block("");
  json_.close(']').close('}').close('}');
}

void converse_writer::inference() {
  const auto limit = request_.max_tokens;
  const bool warm = request_.temperature && may(prompt_feature::temperature);
  const bool nucleus = request_.top_p && may(prompt_feature::top_p);
  const auto stops = stops_without(request_, refused_);
  if (!limit && !warm && !nucleus && stops.empty()) return;
  json_.key("inferenceConfig").open('{');
  if (limit) json_.value("maxTokens", std::max<std::int64_t>(*limit, model_.max_tokens_least));
  if (warm) json_.value("temperature", *request_.temperature);
  if (nucleus) json_.value("topP", *request_.top_p);
  if (!stops.empty()) {
    json_.key("stopSequences").open('[');
    for (const auto text : stops) json_.text(text);
    json_.close(']');
  }
  json_.close('}');
}

bool converse_writer::has_tool_history() const {
  return std::any_of(request_.messages.begin(), request_.messages.end(), [](const auto& m) {
    return m.role == chat_role::tool || !m.tool_calls.empty();
  });
}

void converse_writer::tools() {
  if (!may(prompt_feature::tools)) return;
  const bool history = has_tool_history();
  const bool off = request_.tool_choice == chat_tool_choice::none;
  if ((request_.tools.empty() || off) && !history) return;
  json_.key("toolConfig").open('{').key("tools").open('[');
  for (const auto& tool : request_.tools) tool_spec(tool);
  if (request_.tools.empty()) {  // calls in the history are refused without their tools
    std::vector<std::string_view> seen;
    for (const auto& message : request_.messages)
      for (const auto& call : message.tool_calls) {
        if (std::find(seen.begin(), seen.end(), call.name) != seen.end()) continue;
        seen.push_back(call.name);
        tool_spec({call.name, {}, {}, {}});
      }
  }
  json_.close(']');
  if (may(prompt_feature::tool_choice)) {
    if (request_.tool_choice == chat_tool_choice::automatic)
      json_.raw("toolChoice", R"({"auto":{}})");
    else if (request_.tool_choice == chat_tool_choice::required)
      json_.raw("toolChoice", R"({"any":{}})");
    else if (request_.tool_choice == chat_tool_choice::named)
      json_.key("toolChoice")
          .open('{')
          .key("tool")
          .open('{')
          .text("name", request_.tool_name)
          .close('}')
          .close('}');
  }
  json_.close('}');
}

void converse_writer::tool_spec(const chat_tool& tool) {
  json_.open('{').key("toolSpec").open('{').text("name", tool.name);
  if (!tool.description.empty()) json_.text("description", tool.description);
  const bool strict = tool.strict == true && may(prompt_feature::strict_tools);
  constexpr std::string_view any_object = R"({"type":"object","properties":{}})";
  const auto given =
      tool.parameters_json.empty() ? any_object : std::string_view(tool.parameters_json);
  json_.key("inputSchema").open('{');
  if (strict)
    json_.raw("json", enforceable_schema(given));
  else
    json_.raw("json", given);
  json_.close('}');
  if (strict) json_.value("strict", true);
  json_.close('}').close('}');
}

/// What Converse has no field for goes to the model as it is.
void converse_writer::extra_fields() {
  std::string fields;
  json_writer extra(fields);
  extra.open('{');
  const bool thinks = effort(extra);
  single_calls(extra);
  extra.close('}');
  if (fields != "{}") json_.raw("additionalModelRequestFields", fields);
  if (thinks && model_.effort == effort_form::adaptive)
    json_.raw("additionalModelResponseFieldPaths", R"(["/usage/output_tokens_details"])");
}

/// False when nothing is asked of the model.
bool converse_writer::effort(json_writer& fields) {
  const std::string_view effort = request_.reasoning_effort;
  if (effort.empty() || !may(prompt_feature::reasoning_effort)) return false;
  // Without the field these do not think.
  const bool off_by_default = model_.effort == effort_form::nova ||
                              model_.effort == effort_form::adaptive ||
                              model_.effort == effort_form::budget;
  if (effort == "none" && off_by_default) return false;
  const std::string_view least = effort == "minimal" ? "low" : effort;
  switch (model_.effort) {
    case effort_form::none: return false;
    case effort_form::plain: fields.text("reasoning_effort", effort); break;
    case effort_form::reasoning:
      fields.key("reasoning").open('{').text("effort", effort).close('}');
      break;
    case effort_form::nova: {
      const bool named = least == "low" || least == "medium" || least == "high";
      fields.key("reasoningConfig").open('{').text("type", "enabled");
      fields.text("maxReasoningEffort", named ? least : "high").close('}');
      break;
    }
    case effort_form::adaptive:
      fields.raw("thinking", R"({"type":"adaptive"})").key("output_config").open('{');
      fields.text("effort", claude_effort(effort, claude_traits_of(model_.prefix))).close('}');
      break;
    case effort_form::budget: {
      constexpr auto no_limit = std::numeric_limits<std::int64_t>::max();
      const auto budget = thinking_budget(effort, request_.max_tokens.value_or(no_limit));
      fields.key("thinking").open('{').text("type", "enabled");
      fields.value("budget_tokens", budget).close('}');
      break;
    }
  }
  return true;
}

void converse_writer::single_calls(json_writer& fields) {
  const bool asked = request_.parallel_tool_calls == false && !request_.tools.empty() &&
                     request_.tool_choice != chat_tool_choice::none;
  if (!asked || !may(prompt_feature::parallel_tool_calls) || !may(prompt_feature::tools)) return;
  fields.key("tool_choice").open('{');
  // Refused where toolConfig has a choice of its own.
  if (request_.tool_choice == chat_tool_choice::unset || !may(prompt_feature::tool_choice))
    fields.text("type", "auto");
  fields.value("disable_parallel_tool_use", true).close('}');
}

void converse_writer::output_format() {
  if (request_.format != chat_format::json_schema || !may(prompt_feature::json_schema)) return;
  json_.key("outputConfig").open('{').key("textFormat").open('{').text("type", "json_schema");
  json_.key("structure").open('{').key("jsonSchema").open('{');
  json_.text("schema", enforceable_schema(request_.schema_json));
  if (!request_.schema_name.empty()) json_.text("name", request_.schema_name);
  if (!request_.schema_description.empty()) json_.text("description", request_.schema_description);
  json_.close('}').close('}').close('}').close('}');
}

void converse_writer::tier() {
  if (lane_.tier == lane_tier::flex)
    json_.raw("serviceTier", R"({"type":"flex"})");
  else if (lane_.tier == lane_tier::priority)
    json_.raw("serviceTier", R"({"type":"priority"})");
}

}  // namespace

prompt_features converse_unmappable(const lane_config& lane) {
  using enum prompt_feature;
  const bedrock_model& model = bedrock_model_of(lane);
  // JSON without a schema has no field here. A tool that has to be called, with any object as its
  // input, is no way around: models then give back the empty object (seen by LiteLLM).
  auto refused = open_schema | assistant_first | assistant_last | image_url | image_detail | audio |
                 file_input | json_object | verbosity | seed | choices | temperature_above_1 |
                 penalties | logprobs | logit_bias | service_tier | unknown_parameter |
                 unknown_content | model.refuses;
  // What is not enforced is refused: "properties maximum, minimum are not supported".
  if (!refused.has(json_schema) || !refused.has(strict_tools)) refused |= schema_constraints;
  if (is_bedrock_claude(model)) refused |= blank_stop;
  if (model.effort == effort_form::none) refused |= reasoning_effort;
  if (model.effort == effort_form::none && !thinks_only_if_told(model)) refused |= reasoning_off;
  if (model.effort == effort_form::adaptive || model.effort == effort_form::budget)
    refused |= forced_with_effort | sampling_with_effort;
  if (model.effort == effort_form::budget) refused |= budget_unmappable(lane);
  if (!takes_single_calls(model)) refused |= parallel_tool_calls;
  return refused;
}

std::string write_converse(const chat_request& request, const lane_config& lane) {
  return converse_writer(request, lane).write();
}

}  // namespace spillway
