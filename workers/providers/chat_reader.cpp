#include "workers/providers/chat_walk.hpp"
#include "workers/providers/enforceable_schema.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

namespace spillway {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;
using enum prompt_feature;

namespace {

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

bool is_narrow(std::int64_t seed) {
  return seed >= std::numeric_limits<std::int32_t>::min() &&
         seed <= std::numeric_limits<std::int32_t>::max();
}

}  // namespace

const chat_walk::key_reader chat_walk::readers[] = {
    {"messages", &chat_walk::messages},
    {"model", &chat_walk::harmless},
    {"metadata", &chat_walk::harmless},
    {"store", &chat_walk::harmless},
    {"prompt_cache_key", &chat_walk::harmless},
    {"prompt_cache_retention", &chat_walk::harmless},
    {"prompt_cache_options", &chat_walk::harmless},
    {"safety_identifier", &chat_walk::harmless},
    {"user", &chat_walk::user},
    {"stream", &chat_walk::streaming},
    {"tools", &chat_walk::tools_list},
    {"tool_choice", &chat_walk::choice},
    {"parallel_tool_calls", &chat_walk::parallel},
    {"max_tokens", &chat_walk::max_tokens},
    {"max_completion_tokens", &chat_walk::max_completion_tokens},
    {"temperature", &chat_walk::heat},
    {"top_p", &chat_walk::nucleus},
    {"presence_penalty", &chat_walk::penalty},
    {"frequency_penalty", &chat_walk::penalty},
    {"stop", &chat_walk::stop_texts},
    {"seed", &chat_walk::seed_number},
    {"n", &chat_walk::choice_count},
    {"logprobs", &chat_walk::want_logprobs},
    {"top_logprobs", &chat_walk::top_logprobs_count},
    {"logit_bias", &chat_walk::bias},
    {"response_format", &chat_walk::format},
    {"reasoning_effort", &chat_walk::effort},
    {"service_tier", &chat_walk::tier},
    {"verbosity", &chat_walk::length},
    {"audio", &chat_walk::voices},
    {"modalities", &chat_walk::modalities},
    // These ask for something else than the answer to the messages: never left out.
    {"functions", &chat_walk::other_content},
    {"function_call", &chat_walk::other_content},
    {"web_search_options", &chat_walk::other_content},
};

void chat_walk::read(const object& body) {
  std::uint64_t seen = 0;
  static_assert(std::size(readers) <= 64);
  for (const auto [key, value] : body) {
    const auto name = std::string_view(key);
    const auto found = std::find_if(std::begin(readers), std::end(readers),
                                    [&](const key_reader& r) { return r.key == name; });
    if (found == std::end(readers)) {
      if (!value.is_null()) notes_.note(unknown_parameter, name);
      continue;
    }
    const auto bit = std::uint64_t{1} << (found - std::begin(readers));
    if ((seen & bit) != 0) notes_.wrong(name, "to be given once");
    seen |= bit;
    if (!value.is_null()) (this->*found->read)(name, value);
  }
  notes_.short_answer = out_.max_tokens && *out_.max_tokens <= thinking_tokens_min;
  if ((seen & 1) == 0) notes_.wrong("messages", "a list of messages");
}

void chat_walk::read_text(std::string_view key, element value, std::string& to) {
  std::string_view text;
  if (value.get_string().get(text))
    notes_.wrong(key, "a string");
  else
    to = copy(text);
}

void chat_walk::read_number(std::string_view key, element value, std::optional<double>& to) {
  double number = 0;
  if (value.get_double().get(number))
    notes_.wrong(key, "a number");
  else
    to = number;
}

bool chat_walk::read_count(std::string_view key, element value, std::int64_t least,
                           std::int64_t& to) {
  std::int64_t number = 0;
  if (value.get_int64().get(number) || number < least) {
    notes_.wrong(key, "a whole number from " + std::to_string(least));
    return false;
  }
  to = number;
  return true;
}

void chat_walk::streaming(std::string_view key, element value) {
  bool on = false;
  if (value.get_bool().get(on) || on) notes_.wrong(key, "false");
}

void chat_walk::modalities(std::string_view key, element value) {
  array list;
  if (value.get_array().get(list)) return notes_.wrong(key, "a list");
  for (const element item : list) {
    std::string_view name;
    if (item.get_string().get(name))
      notes_.wrong(key, "a list of strings");
    else if (name != "text")
      notes_.note(audio, key);
  }
}

void chat_walk::other_content(std::string_view key, element value) {
  array list;
  if (value.get_array().get(list) || list.size() > 0) notes_.note(unknown_content, key);
}

void chat_walk::parallel(std::string_view key, element value) {
  bool on = true;
  if (value.get_bool().get(on)) return notes_.wrong(key, "true or false");
  out_.parallel_tool_calls = on;
  if (!on) notes_.note(parallel_tool_calls, key);
}

void chat_walk::max_tokens(std::string_view key, element value) {
  std::int64_t count = 0;
  if (read_count(key, value, 1, count) && !completion_limit_) out_.max_tokens = count;
}

void chat_walk::max_completion_tokens(std::string_view key, element value) {
  std::int64_t count = 0;
  if (!read_count(key, value, 1, count)) return;
  out_.max_tokens = count;
  completion_limit_ = true;
}

void chat_walk::heat(std::string_view key, element value) {
  read_number(key, value, out_.temperature);
  notes_.note_unless(out_.temperature == 1, temperature, key);
  if (out_.temperature && *out_.temperature > 1) notes_.note(temperature_above_1, key);
}

void chat_walk::nucleus(std::string_view key, element value) {
  read_number(key, value, out_.top_p);
  notes_.note_unless(out_.top_p == 1, top_p, key);
}

void chat_walk::penalty(std::string_view key, element value) {
  auto& to = key == "presence_penalty" ? out_.presence_penalty : out_.frequency_penalty;
  read_number(key, value, to);
  if (to && *to != 0) notes_.note(penalties, key);
}

void chat_walk::stop_texts(std::string_view key, element value) {
  const auto take = [&](element item) {
    std::string_view text;
    if (item.get_string().get(text)) return notes_.wrong(key, "a string or a list of strings");
    if (text.empty()) return;  // stops nothing
    out_.stop.push_back(copy(text));
    notes_.note(stop, key);
    if (is_blank(text)) notes_.note(blank_stop, value.is_array() ? "stop[]" : key);
  };
  array list;
  if (value.get_array().get(list)) return take(value);
  for (const element item : list) take(item);
}

void chat_walk::seed_number(std::string_view key, element value) {
  std::int64_t number = 0;
  if (value.get_int64().get(number)) return notes_.wrong(key, "a whole number");
  out_.seed = number;
  notes_.note(seed, key);
  if (!is_narrow(number)) notes_.note(wide_seed, key);
}

void chat_walk::choice_count(std::string_view key, element value) {
  if (read_count(key, value, 1, out_.n) && out_.n > 1) notes_.note(choices, key);
}

void chat_walk::want_logprobs(std::string_view key, element value) {
  if (value.get_bool().get(out_.logprobs)) return notes_.wrong(key, "true or false");
  if (out_.logprobs) notes_.note(logprobs, key);
}

void chat_walk::top_logprobs_count(std::string_view key, element value) {
  std::int64_t count = 0;
  if (!read_count(key, value, 0, count)) return;
  out_.top_logprobs = count;
  notes_.note(logprobs, key);
}

void chat_walk::bias(std::string_view key, element value) {
  object map;
  if (value.get_object().get(map)) return notes_.wrong(key, "an object");
  if (map.size() == 0) return;
  out_.logit_bias_json = copy_json(value);
  notes_.note(logit_bias, key);
}

void chat_walk::effort(std::string_view key, element value) {
  std::string_view text;
  if (value.get_string().get(text)) return notes_.wrong(key, "a string");
  notes_.effort = out_.reasoning_effort = text;
  notes_.note(text == "none" ? reasoning_off : reasoning_effort, key);
}

void chat_walk::tier(std::string_view key, element value) {
  std::string_view text;
  if (value.get_string().get(text)) return notes_.wrong(key, "a string");
  out_.service_tier = copy(text);
  // These two leave the choice to the account, so that the lane's tier is as good as any.
  if (text != "auto" && text != "default") notes_.note(service_tier, key);
}

void chat_walk::length(std::string_view key, element value) {
  read_text(key, value, out_.verbosity);
  std::string_view text;
  const bool usual = !value.get_string().get(text) && text == "medium";
  notes_.note_unless(usual, verbosity, key);
}

void chat_walk::format(std::string_view key, element value) {
  object fields;
  if (value.get_object().get(fields)) return notes_.wrong(key, "an object");
  const auto type = text_at(fields, "type");
  if (type == "json_object") {
    out_.format = chat_format::json_object;
    notes_.note(json_object, key);
  } else if (type == "json_schema") {
    out_.format = chat_format::json_schema;
    notes_.note(json_schema, key);
    const auto inner = object_at(fields, "json_schema");
    if (!inner) return notes_.wrong("response_format.json_schema", "an object");
    schema(*inner);
  } else if (type != "text") {
    notes_.note(unknown_content, key);
  }
  for (const auto [name, member] : fields)
    if (name != "type" && name != "json_schema") unknown("response_format.", name, member);
}

void chat_walk::schema(const object& fields) {
  constexpr std::string_view where = "response_format.json_schema.";
  prompt_features found;
  for (const auto [key, value] : fields) {
    if (value.is_null()) continue;
    bool on = false;
    if (key == "name") {
      read_text("response_format.json_schema.name", value, out_.schema_name);
    } else if (key == "description") {
      read_text("response_format.json_schema.description", value, out_.schema_description);
    } else if (key == "schema") {
      out_.schema_json = copy_json(value);
      found = schema_features(value);
      if (!value.is_object()) notes_.wrong("response_format.json_schema.schema", "an object");
    } else if (key == "strict" && !value.get_bool().get(on)) {
      out_.schema_strict = on;
    } else {
      unknown(where, key, value);
    }
  }
  if (found.has(open_schema)) notes_.note(open_schema, "response_format.json_schema.schema");
  // Without `strict` nobody enforces them.
  if (found.has(schema_constraints) && out_.schema_strict == true)
    notes_.note(schema_constraints, "response_format.json_schema.schema");
}

void chat_walk::unknown(std::string_view where, std::string_view key, element value) {
  if (!value.is_null()) notes_.note(unknown_parameter, std::string(where) + std::string(key));
}

void chat_walk::tools_list(std::string_view key, element value) {
  array list;
  if (value.get_array().get(list)) return notes_.wrong(key, "a list");
  if (list.size() == 0) return;
  notes_.note(tools, key);
  for (const element item : list) tool(item);
}

void chat_walk::tool(element value) {
  object outer, fields;
  if (value.get_object().get(outer)) return notes_.wrong("tools", "a list of objects");
  if (text_at(outer, "type") != "function") return notes_.note(unknown_content, "tools");
  if (outer.at_key("function").get_object().get(fields))
    return notes_.wrong("tools[].function", "an object");
  for (const auto [key, member] : outer)
    if (key != "type" && key != "function") unknown("tools[].", key, member);
  chat_tool made;
  if (text_at(fields, "name").empty()) notes_.wrong("tools[].function.name", "a name");
  for (const auto [key, member] : fields) {
    if (member.is_null()) continue;
    bool on = false;
    if (key == "name") {
      read_text("tools[].function.name", member, made.name);
    } else if (key == "description") {
      read_text("tools[].function.description", member, made.description);
    } else if (key == "parameters") {
      made.parameters_json = copy_json(member);
      if (!member.is_object()) notes_.wrong("tools[].function.parameters", "an object");
    } else if (key == "strict" && !member.get_bool().get(on)) {
      made.strict = on;
      if (on) notes_.note(strict_tools, "tools[].function.strict");
      element schema;
      if (!on || fields.at_key("parameters").get(schema)) continue;
      const auto found = schema_features(schema);
      for (const auto feature : {open_schema, schema_constraints})
        if (found.has(feature)) notes_.note(feature, "tools[].function.parameters");
    } else {
      unknown("tools[].function.", key, member);
    }
  }
  out_.tools.push_back(std::move(made));
}

void chat_walk::choice(std::string_view key, element value) {
  std::string_view word;
  object fields, function;
  if (!value.get_string().get(word)) {
    if (word == "none") {
      out_.tool_choice = chat_tool_choice::none;
    } else if (word == "auto") {
      out_.tool_choice = chat_tool_choice::automatic;
    } else if (word == "required") {
      out_.tool_choice = chat_tool_choice::required;
      notes_.note(tool_choice, key);
    } else {
      notes_.wrong(key, "none, auto, required or a tool");
    }
    return;
  }
  if (value.get_object().get(fields)) return notes_.wrong(key, "a string or an object");
  const auto name = fields.at_key("function").get_object().get(function)
                        ? std::string_view()
                        : text_at(function, "name");
  if (text_at(fields, "type") != "function" || name.empty())
    return notes_.note(unknown_content, key);
  out_.tool_choice = chat_tool_choice::named;
  out_.tool_name = copy(name);
  notes_.note(tool_choice, key);
}

void walk_chat(std::string_view body, body_notes& notes, chat_request* into) {
  const parsed_json json = parse_json(body);
  object root;
  if (!json.ok || json.root.get_object().get(root))
    notes.wrong("body", "a JSON object");
  else
    chat_walk(notes, into).read(root);
  notes.note_pairs();
}

prompt_features withheld(const chat_request& chat, prompt_features unmappable) {
  auto out = unmappable;
  const bool thinks = chat.reasoning_effort != "none";
  if (out.has(effort_without_room) && chat.max_tokens && *chat.max_tokens <= thinking_tokens_min)
    out |= reasoning_effort;
  if (out.has(wide_seed) && chat.seed && !is_narrow(*chat.seed)) out |= seed;
  if (out.has(temperature_above_1) && chat.temperature && *chat.temperature > 1) out |= temperature;
  if (out.has(sampling_with_reasoning) && thinks) out |= sampling_features;
  if (out.has(sampling_with_effort) && thinks && !chat.reasoning_effort.empty())
    out |= temperature | top_p;
  if (out.has(temperature_with_top_p) && chat.temperature && *chat.temperature <= 1 && chat.top_p)
    out |= *chat.temperature == 1 ? temperature : top_p;
  if (out.has(tools_with_json_object) && !chat.tools.empty()) out |= json_object;
  return out;
}

prompt_features budget_unmappable(const lane_config& lane) {
  const auto limit = lane.max_output_tokens;
  const bool no_room = limit && limit->count() <= thinking_tokens_min;
  return no_room ? effort_without_room | reasoning_effort : prompt_features(effort_without_room);
}

std::vector<std::string_view> stops_without(const chat_request& chat, prompt_features without) {
  std::vector<std::string_view> out;
  if (without.has(stop)) return out;
  for (const std::string& text : chat.stop)
    if (!without.has(blank_stop) || !is_blank(text)) out.push_back(text);
  return out;
}

bool is_instructions_only(const chat_request& chat) {
  return std::all_of(chat.messages.begin(), chat.messages.end(),
                     [](const chat_message& m) { return m.role == chat_role::system; });
}

result<chat_request> read_chat(std::string_view body) {
  body_notes notes;
  chat_request out;
  walk_chat(body, notes, &out);
  if (!notes.problem.empty()) return failure{failure_kind::usage, "body." + notes.problem};
  out.features = notes.features;
  return out;
}

}  // namespace spillway
