#include "workers/providers/generate_content.hpp"

#include "workers/providers/json_writer.hpp"

#include <algorithm>
#include <charconv>
#include <unordered_map>

namespace spillway {

namespace {

// Google documents this value for calls whose signature is not known, as of another provider.
constexpr std::string_view no_signature = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

// The mark LiteLLM uses, so that conversations can move between the two.
constexpr std::string_view signature_mark = "__thought__";

/// 2.5 of "gemini-2.5-pro". Names without a number are old ("gemini-pro") or the newest.
double gemini_version(std::string_view name) {
  constexpr std::string_view family = "gemini-";
  constexpr double newest = 3;
  if (!name.starts_with(family)) return 0;
  const auto rest = name.substr(family.size());
  double version = 0;
  const auto end =
      std::from_chars(rest.data(), rest.data() + rest.size(), version, std::chars_format::fixed)
          .ptr;
  if (end != rest.data()) return version;
  if (name.ends_with("-latest")) return newest;
  for (const std::string_view old : {"pro", "flash", "exp"})
    if (rest == old || (rest.starts_with(old) && rest[old.size()] == '-')) return 1;
  return newest;
}

class contents_writer {
 public:
  contents_writer(const chat_request& chat, const gemini_traits& traits, json_writer& out)
      : chat_(chat), traits_(traits), out_(out) {}

  void write() {
    out_.key("contents").open('[');
    for (const chat_message& message : chat_.messages) {
      switch (message.role) {
        case chat_role::system: break;
        case chat_role::user: write_user(message); break;
        case chat_role::assistant: write_assistant(message); break;
        case chat_role::tool: write_result(message); break;
      }
    }
    if (!any_) {  // a request without contents is refused
      begin(turn::user);
      out_.open('{').text("text", " ").close('}');
      has_text_ = true;
    }
    end();
    out_.close(']');
  }

 private:
  /// Neighbours are merged, but results of tools stay a turn of their own: it has to hold as many
  /// parts as the turn before made calls.
  enum class turn { none, user, model, results };

  void begin(turn next) {
    if (turn_ == next) return;
    end();
    turn_ = next;
    any_ = true;
    has_text_ = false;
    out_.open('{').text("role", next == turn::model ? "model" : "user").key("parts").open('[');
  }

  void end() {
    if (turn_ == turn::none) return;
    // A turn of images alone is refused: "must have a text parameter".
    if (turn_ == turn::user && !has_text_) out_.open('{').text("text", " ").close('}');
    out_.close(']').close('}');
    turn_ = turn::none;
  }

  void write_text(turn where, std::string_view text) {
    if (text.empty()) return;
    begin(where);
    has_text_ = true;
    out_.open('{').text("text", text).close('}');
  }

  void write_image(const chat_part& part) {
    out_.open('{').key("inlineData").open('{').text("mimeType", part.media_type);
    out_.text("data", part.data).close('}').close('}');
  }

  void write_user(const chat_message& message) {
    for (const chat_part& part : message.parts) {
      if (part.what == chat_part::kind::text || part.what == chat_part::kind::refusal) {
        write_text(turn::user, part.text);
      } else if (part.what == chat_part::kind::image_data) {
        begin(turn::user);
        write_image(part);
      }
    }
  }

  void write_assistant(const chat_message& message) {
    for (const chat_part& part : message.parts)
      if (part.what == chat_part::kind::text || part.what == chat_part::kind::refusal)
        write_text(turn::model, part.text);
    bool first = true;
    for (const chat_tool_call& call : message.tool_calls) {
      begin(turn::model);
      auto [id, signature] = split_call_id(call.id);
      // Only the first of several calls at once is signed.
      if (signature.empty() && first && traits_.thinking_levels) signature = no_signature;
      first = false;
      names_[id] = call.name;
      out_.open('{').key("functionCall").open('{').text("name", call.name);
      out_.key("args").object_of(call.arguments, "arguments");
      if (traits_.thinking_levels && !id.empty()) out_.text("id", id);
      out_.close('}');
      if (!signature.empty()) out_.text("thoughtSignature", signature);
      out_.close('}');
    }
  }

  void write_result(const chat_message& message) {
    begin(turn::results);
    const auto id = split_call_id(message.tool_call_id).id;
    const auto known = names_.find(id);
    std::string_view name = message.name;
    if (known != names_.end())
      name = known->second;
    else if (name.empty())
      name = id;
    std::string text;
    for (const chat_part& part : message.parts)
      if (part.what == chat_part::kind::text || part.what == chat_part::kind::refusal)
        text += part.text;
    out_.open('{').key("functionResponse").open('{').text("name", name);
    out_.key("response").object_of(text, "output");
    if (traits_.thinking_levels && !id.empty()) out_.text("id", id);
    const bool images =
        std::any_of(message.parts.begin(), message.parts.end(),
                    [](const chat_part& part) { return part.what == chat_part::kind::image_data; });
    if (images) {
      out_.key("parts").open('[');
      for (const chat_part& part : message.parts)
        if (part.what == chat_part::kind::image_data) write_image(part);
      out_.close(']');
    }
    out_.close('}').close('}');
  }

  const chat_request& chat_;
  const gemini_traits& traits_;
  json_writer& out_;
  std::unordered_map<std::string_view, std::string_view> names_;  ///< of the latest call of an id
  turn turn_ = turn::none;
  bool any_ = false, has_text_ = false;
};

void write_system(const chat_request& chat, json_writer& out) {
  bool any = false;
  for (const chat_message& message : chat.messages) {
    if (message.role != chat_role::system) continue;
    for (const chat_part& part : message.parts) {
      if (part.text.empty() || part.what != chat_part::kind::text) continue;
      if (!any) out.key("systemInstruction").open('{').key("parts").open('[');
      any = true;
      out.open('{').text("text", part.text).close('}');
    }
  }
  if (any) out.close(']').close('}');
}

void write_tools(const chat_request& chat, json_writer& out) {
  if (!chat.tools.empty()) {
    out.key("tools").open('[').open('{').key("functionDeclarations").open('[');
    for (const chat_tool& tool : chat.tools) {
      out.open('{').text("name", tool.name);
      if (!tool.description.empty()) out.text("description", tool.description);
      if (!tool.parameters_json.empty()) out.raw("parametersJsonSchema", tool.parameters_json);
      out.close('}');
    }
    out.close(']').close('}').close(']');
  }
  if (chat.tool_choice == chat_tool_choice::unset) return;
  out.key("toolConfig").open('{').key("functionCallingConfig").open('{');
  switch (chat.tool_choice) {
    case chat_tool_choice::unset:
    case chat_tool_choice::automatic: out.text("mode", "AUTO"); break;
    case chat_tool_choice::none: out.text("mode", "NONE"); break;
    case chat_tool_choice::required: out.text("mode", "ANY"); break;
    case chat_tool_choice::named:
      out.text("mode", "ANY").key("allowedFunctionNames").open('[').text(chat.tool_name).close(']');
      break;
  }
  out.close('}').close('}');
}

/// Levels for Gemini 3, and Google's own equivalents in tokens for 2.5. Thoughts are never asked
/// for: they would be billed as they are and thrown away.
void write_thinking(const chat_request& chat, const gemini_traits& traits, prompt_features without,
                    json_writer& out) {
  std::string_view effort = chat.reasoning_effort;
  if (effort.empty() || (!traits.thinking_levels && !traits.thinking_budgets)) return;
  // Left out, the key would mean more thinking than was asked for: the least comes closer.
  if (without.has(prompt_feature::reasoning_effort)) effort = "none";
  struct step {
    std::string_view effort, level;
    std::int64_t budget;
  };
  static constexpr step steps[] = {{"none", "MINIMAL", 0},   {"minimal", "MINIMAL", 1024},
                                   {"low", "LOW", 1024},     {"medium", "MEDIUM", 8192},
                                   {"high", "HIGH", 24'576}, {"xhigh", "HIGH", 24'576},
                                   {"max", "HIGH", 24'576}};
  const auto found = std::find_if(std::begin(steps), std::end(steps),
                                  [&](const step& s) { return s.effort == effort; });
  out.key("thinkingConfig").open('{');
  if (found == std::end(steps)) {  // for the provider to refuse
    out.text("thinkingLevel", effort);
  } else if (traits.thinking_levels) {
    const bool too_low = found->level == "MINIMAL" && !traits.minimal_level;
    out.text("thinkingLevel", too_low ? "LOW" : found->level);
  } else {
    const auto room = chat.max_tokens.value_or(found->budget + 1) - 1;
    out.value("thinkingBudget", std::max(std::min(found->budget, room), traits.budget_min));
  }
  out.close('}');
}

void write_settings(const chat_request& chat, const gemini_traits& traits, prompt_features without,
                    json_writer& out) {
  out.key("generationConfig").open('{');
  if (chat.max_tokens) out.value("maxOutputTokens", *chat.max_tokens);
  if (chat.temperature) out.value("temperature", *chat.temperature);
  if (chat.top_p) out.value("topP", *chat.top_p);
  if (const auto stops = stops_without(chat, without); !stops.empty()) {
    out.key("stopSequences").open('[');
    for (const auto stop : stops) out.text(stop);
    out.close(']');
  }
  if (chat.seed && !without.has(prompt_feature::seed)) out.value("seed", *chat.seed);
  if (chat.n != 1) out.value("candidateCount", chat.n);
  if (traits.penalties) {
    if (chat.presence_penalty) out.value("presencePenalty", *chat.presence_penalty);
    if (chat.frequency_penalty) out.value("frequencyPenalty", *chat.frequency_penalty);
  }
  if (chat.logprobs) {
    out.value("responseLogprobs", true);
    if (chat.top_logprobs) out.value("logprobs", *chat.top_logprobs);
  }
  const bool left_out =
      chat.format == chat_format::json_object && without.has(prompt_feature::json_object);
  if (chat.format != chat_format::text && !left_out)
    out.text("responseMimeType", "application/json");
  if (chat.format == chat_format::json_schema && !chat.schema_json.empty())
    out.raw("responseJsonSchema", chat.schema_json);
  write_thinking(chat, traits, without, out);
  out.close('}');
}

}  // namespace

signed_call_id split_call_id(std::string_view text) {
  const auto at = text.find(signature_mark);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + signature_mark.size())};
}

std::string join_call_id(std::string_view id, std::string_view signature) {
  std::string out(id);
  if (!signature.empty()) out.append(signature_mark).append(signature);
  return out;
}

gemini_traits gemini_traits_of(std::string_view model) {
  if (const auto slash = model.rfind('/'); slash != std::string_view::npos)
    model.remove_prefix(slash + 1);
  const double version = gemini_version(model);
  const bool flash = model.find("flash") != std::string_view::npos;
  gemini_traits out;
  out.thinking_levels = version >= 3;
  out.thinking_budgets = version >= 2.5 && version < 3;
  out.minimal_level = out.thinking_levels && flash && version < 3.65;
  out.can_stop_thinking = version > 0 && version < 3 && (flash || !out.thinking_budgets);
  out.budget_min = out.thinking_budgets && !flash ? 128 : 0;
  out.penalties = version < 3;
  out.tools_and_json = version == 0 || version >= 3;  // the unknown ones can say no themselves
  return out;
}

prompt_features generate_content_unmappable(const lane_config& lane) {
  const gemini_traits traits = gemini_traits_of(lane.as);
  prompt_features out =
      prompt_feature::image_url | prompt_feature::image_detail | prompt_feature::wide_seed |
      prompt_feature::verbosity | prompt_feature::assistant_last | prompt_feature::audio |
      prompt_feature::file_input | prompt_feature::parallel_tool_calls |
      prompt_feature::strict_tools | prompt_feature::logit_bias | prompt_feature::service_tier |
      prompt_feature::unknown_parameter | prompt_feature::unknown_content;
  if (!traits.penalties) out |= prompt_feature::penalties;
  if (!traits.thinking_levels && !traits.thinking_budgets) out |= prompt_feature::reasoning_effort;
  if (!traits.can_stop_thinking) out |= prompt_feature::reasoning_off;
  if (traits.thinking_budgets) out |= budget_unmappable(lane);
  if (!traits.tools_and_json)
    out |= prompt_feature::tools_with_json_object | prompt_feature::tools_with_json_schema;
  return out;
}

std::string write_generate_content(const chat_request& chat, const lane_config& lane) {
  const gemini_traits traits = gemini_traits_of(lane.as);
  std::string body;
  json_writer out(body);
  out.open('{');
  write_system(chat, out);
  contents_writer(chat, traits, out).write();
  write_tools(chat, out);
  write_settings(chat, traits, withheld(chat, generate_content_unmappable(lane)), out);
  out.close('}');
  return body;
}

}  // namespace spillway
