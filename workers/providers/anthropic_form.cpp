#include "workers/providers/anthropic_form.hpp"

#include "workers/providers/enforceable_schema.hpp"
#include "workers/providers/json_writer.hpp"

#include <algorithm>
#include <cctype>
#include <unordered_map>
#include <vector>

namespace spillway {

namespace {

constexpr std::int64_t output_tokens_default = 4096;  // the form wants a limit

/// 4.7 of "claude-opus-4-7-20260416", 3.5 of "claude-3-5-haiku-latest", 0 where none is said.
double claude_version(std::string_view model) {
  for (std::size_t i = 1; i < model.size(); ++i) {
    const auto digit = [&](std::size_t at) {
      return at < model.size() && std::isdigit(static_cast<unsigned char>(model[at])) != 0;
    };
    const bool starts = digit(i) && !digit(i + 1) && (model[i - 1] == '-' || model[i - 1] == '_');
    if (!starts) continue;
    const bool minor = i + 2 < model.size() && digit(i + 2) && !digit(i + 3);
    return (model[i] - '0') + (minor ? (model[i + 2] - '0') / 10.0 : 0.0);
  }
  return 0;
}

/// Ids the form allows, one of a kind: some servers call every call "call_0".
class call_ids {
 public:
  std::string for_call(std::string_view given) {
    std::string id(given);
    for (char& c : id)
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && c != '-') c = '_';
    if (id.empty()) id = "call";
    std::size_t& times = times_[id];
    if (++times > 1) id += "_" + std::to_string(times);
    return latest_[given] = id;
  }
  std::string for_result(std::string_view given) {
    const auto found = latest_.find(given);
    return found == latest_.end() ? for_call(given) : found->second;
  }

 private:
  std::unordered_map<std::string, std::size_t> times_;
  std::unordered_map<std::string_view, std::string> latest_;
};

class messages_writer {
 public:
  messages_writer(const chat_request& chat, json_writer& out) : chat_(chat), out_(out) {}

  void write() {
    const auto& all = chat_.messages;
    const bool only_system = is_instructions_only(chat_);
    if (!only_system) write_system();
    out_.key("messages").open('[');
    for (const chat_message& message : all) {
      if (message.role == chat_role::system && !only_system) continue;
      if (message.role == chat_role::assistant)
        write_assistant(message);
      else if (message.role == chat_role::tool)
        write_result(message);
      else
        write_parts(role::user, message);
    }
    if (role_ == role::none) write_text(role::user, ".");
    end();
    out_.close(']');
  }

 private:
  enum class role { none, user, assistant };

  void begin(role next) {
    if (role_ == next) return;
    end();
    role_ = next;
    out_.open('{').text("role", next == role::user ? "user" : "assistant");
    out_.key("content").open('[');
  }
  void end() {
    if (role_ != role::none) out_.close(']').close('}');
    role_ = role::none;
  }

  void write_system() {
    bool any = false;
    for (const chat_message& message : chat_.messages) {
      if (message.role != chat_role::system) continue;
      for (const chat_part& part : message.parts) {
        if (part.text.empty()) continue;
        if (!any) out_.key("system").open('[');
        any = true;
        out_.open('{').text("type", "text").text("text", part.text).close('}');
      }
    }
    if (any) out_.close(']');
  }

  void write_text(role who, std::string_view text) {
    if (text.empty()) return;  // an empty block is refused
    begin(who);
    out_.open('{').text("type", "text").text("text", text).close('}');
  }

  void write_image(const chat_part& part) {
    out_.open('{').text("type", "image").key("source").open('{');
    if (part.what == chat_part::kind::image_data)
      out_.text("type", "base64").text("media_type", part.media_type).text("data", part.data);
    else
      out_.text("type", "url").text("url", part.text);
    out_.close('}').close('}');
  }

  void write_parts(role who, const chat_message& message) {
    for (const chat_part& part : message.parts) {
      switch (part.what) {
        case chat_part::kind::text:
        case chat_part::kind::refusal: write_text(who, part.text); break;
        case chat_part::kind::image_data:
        case chat_part::kind::image_url:
          begin(who);
          write_image(part);
          break;
        case chat_part::kind::other: break;
      }
    }
  }

  void write_assistant(const chat_message& message) {
    write_parts(role::assistant, message);
    for (const chat_tool_call& call : message.tool_calls) {
      begin(role::assistant);
      out_.open('{').text("type", "tool_use").text("id", ids_.for_call(call.id));
      out_.text("name", call.name).key("input").object_of(call.arguments, "arguments").close('}');
    }
  }

  void write_result(const chat_message& message) {
    begin(role::user);
    out_.open('{').text("type", "tool_result");
    out_.text("tool_use_id", ids_.for_result(message.tool_call_id)).key("content").open('[');
    for (const chat_part& part : message.parts) {
      const bool image =
          part.what == chat_part::kind::image_data || part.what == chat_part::kind::image_url;
      if (image)
        write_image(part);
      else if (!part.text.empty())
        out_.open('{').text("type", "text").text("text", part.text).close('}');
    }
    out_.close(']').close('}');
  }

  const chat_request& chat_;
  json_writer& out_;
  call_ids ids_;
  role role_ = role::none;
};

/// The tools that earlier turns called: the form wants them described.
std::vector<std::string_view> called_tools(const chat_request& chat) {
  std::vector<std::string_view> names;
  for (const chat_message& message : chat.messages)
    for (const chat_tool_call& call : message.tool_calls) names.push_back(call.name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

void write_choice(const chat_request& chat, bool tools, const claude_traits& traits,
                  json_writer& out) {
  const bool one_at_a_time = chat.parallel_tool_calls == false;
  auto choice = chat.tool_choice;
  if (!tools) choice = chat_tool_choice::none;
  if (!traits.forced_tools &&
      (choice == chat_tool_choice::required || choice == chat_tool_choice::named))
    choice = chat_tool_choice::automatic;
  if (choice == chat_tool_choice::unset && one_at_a_time) choice = chat_tool_choice::automatic;
  if (choice == chat_tool_choice::unset) return;
  out.key("tool_choice").open('{');
  switch (choice) {
    case chat_tool_choice::unset:
    case chat_tool_choice::none: out.text("type", "none"); break;
    case chat_tool_choice::automatic: out.text("type", "auto"); break;
    case chat_tool_choice::required: out.text("type", "any"); break;
    case chat_tool_choice::named: out.text("type", "tool").text("name", chat.tool_name); break;
  }
  if (one_at_a_time && choice != chat_tool_choice::none)
    out.value("disable_parallel_tool_use", true);
  out.close('}');
}

void write_tools(const chat_request& chat, const claude_traits& traits, json_writer& out) {
  constexpr std::string_view any_object = R"({"type":"object","properties":{}})";
  const auto called = chat.tools.empty() ? called_tools(chat) : std::vector<std::string_view>();
  if (chat.tools.empty() && called.empty()) return;
  out.key("tools").open('[');
  for (const chat_tool& tool : chat.tools) {
    out.open('{').text("name", tool.name);
    if (!tool.description.empty()) out.text("description", tool.description);
    if (tool.strict == true && traits.formats) {
      const std::string_view given = tool.parameters_json;
      out.value("strict", true);
      out.raw("input_schema", given.empty() ? any_object : enforceable_schema(given));
    } else {
      out.raw("input_schema", tool.parameters_json.empty() ? any_object : tool.parameters_json);
    }
    out.close('}');
  }
  for (const std::string_view name : called)
    out.open('{').text("name", name).raw("input_schema", any_object).close('}');
  out.close(']');
  write_choice(chat, !chat.tools.empty(), traits, out);
}

void write_output(const chat_request& chat, const claude_traits& traits, prompt_features without,
                  std::int64_t max_tokens, json_writer& out) {
  const bool dropped = without.has(prompt_feature::reasoning_effort);
  const auto effort = dropped ? std::string_view() : claude_effort(chat.reasoning_effort, traits);
  const bool schema = chat.format == chat_format::json_schema && traits.formats;
  const bool steered = traits.adaptive && !effort.empty();
  if (steered) {
    out.key("thinking").open('{').text("type", "adaptive").close('}');
  } else if (traits.budgets && !effort.empty()) {
    out.key("thinking").open('{').text("type", "enabled");
    out.value("budget_tokens", thinking_budget(chat.reasoning_effort, max_tokens)).close('}');
  }
  if (!schema && !steered) return;
  out.key("output_config").open('{');
  if (steered) out.text("effort", effort);
  if (schema) {
    out.key("format").open('{').text("type", "json_schema");
    out.raw("schema", enforceable_schema(chat.schema_json.empty() ? "{}" : chat.schema_json));
    out.close('}');
  }
  out.close('}');
}

}  // namespace

std::string_view claude_effort(std::string_view effort, const claude_traits& traits) {
  if (effort.empty() || effort == "none") return {};
  if (effort == "minimal") return "low";
  if (effort == "xhigh" && !traits.highest_effort) return "high";
  return effort;
}

claude_traits claude_traits_of(std::string_view model) {
  const double said = claude_version(model);
  const bool renamed = model.find("mythos") != std::string_view::npos ||
                       model.find("fable") != std::string_view::npos;
  const double version = said > 0 ? said : renamed ? 5.0 : 9.0;
  const bool haiku = model.find("haiku") != std::string_view::npos;
  claude_traits out;
  out.sampling = version < 4.65;
  out.one_heat = version >= 4.05;
  out.forced_tools = version < 5.05 || haiku;
  out.formats = version >= 4.45;
  out.adaptive = version >= 4.55;
  out.budgets = version >= 3.65 && version < 4.55;
  out.highest_effort = version >= 4.65;
  return out;
}

std::int64_t thinking_budget(std::string_view effort, std::int64_t max_tokens) {
  std::int64_t budget = 4096;
  if (effort == "low" || effort == "minimal") budget = thinking_tokens_min;
  if (effort == "medium") budget = 2048;
  if (effort == "xhigh") budget = 8192;
  if (effort == "max") budget = 16'384;
  return std::min(budget, max_tokens - 1);
}

prompt_features messages_unmappable(const lane_config& lane) {
  const claude_traits traits = claude_traits_of(lane.as);
  // A schema that is enforced has to name all properties; a conversation begins and ends with the
  // user. (Older models go on from an assistant's turn, which is not what chat asks for.)
  prompt_features out =
      prompt_feature::open_schema | prompt_feature::assistant_first |
      prompt_feature::assistant_last | prompt_feature::image_detail | prompt_feature::audio |
      prompt_feature::file_input | prompt_feature::blank_stop | prompt_feature::verbosity |
      prompt_feature::json_object | prompt_feature::seed | prompt_feature::choices |
      prompt_feature::temperature_above_1 | prompt_feature::penalties | prompt_feature::logprobs |
      prompt_feature::logit_bias | prompt_feature::service_tier |
      prompt_feature::unknown_parameter | prompt_feature::unknown_content;
  if (!traits.sampling) out |= prompt_feature::temperature | prompt_feature::top_p;
  if (traits.one_heat) out |= prompt_feature::temperature_with_top_p;
  if (traits.adaptive || traits.budgets)
    out |= prompt_feature::forced_with_effort | prompt_feature::sampling_with_effort;
  if (!traits.forced_tools) out |= prompt_feature::tool_choice;
  if (traits.formats)
    out |= prompt_feature::schema_constraints;
  else
    out |= prompt_feature::json_schema | prompt_feature::strict_tools;
  if (!traits.adaptive && !traits.budgets) out |= prompt_feature::reasoning_effort;
  if (traits.budgets) out |= budget_unmappable(lane);
  return out;
}

std::string write_messages(const chat_request& chat, const lane_config& lane) {
  const claude_traits traits = claude_traits_of(lane.as);
  const std::int64_t max_tokens = chat.max_tokens.value_or(output_tokens_default);
  std::string body;
  json_writer out(body);
  out.open('{').text("model", lane.as).value("max_tokens", max_tokens);
  messages_writer(chat, out).write();
  write_tools(chat, traits, out);
  const auto without = withheld(chat, messages_unmappable(lane));
  if (const auto stops = stops_without(chat, without); !stops.empty()) {
    out.key("stop_sequences").open('[');
    for (const auto stop : stops) out.text(stop);
    out.close(']');
  }
  if (chat.temperature && !without.has(prompt_feature::temperature))
    out.value("temperature", *chat.temperature);
  if (chat.top_p && !without.has(prompt_feature::top_p)) out.value("top_p", *chat.top_p);
  write_output(chat, traits, without, max_tokens, out);
  // Anything that looks like a person's address or number is refused.
  if (!chat.user.empty() && chat.user.find_first_of("@+") == std::string::npos)
    out.key("metadata").open('{').text("user_id", chat.user).close('}');
  out.close('}');
  return body;
}

}  // namespace spillway
