// Features of prompts that are passed on as they are, and the two functions that answer for all.
#include "schemas/prompt.hpp"
#include "workers/provider.hpp"
#include "workers/providers/body_notes.hpp"
#include "workers/providers/embedding.hpp"
#include "workers/providers/json_reader.hpp"

#include <algorithm>
#include <array>

namespace spillway {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;
using feature = prompt_feature;

/// Keys that change neither the answer nor what is asked for.
bool is_harmless(std::string_view key) {
  constexpr std::array<std::string_view, 8> keys = {"model",
                                                    "user",
                                                    "metadata",
                                                    "store",
                                                    "prompt_cache_key",
                                                    "prompt_cache_retention",
                                                    "prompt_cache_options",
                                                    "safety_identifier"};
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

bool is_false(element value) {
  bool on = true;
  return !value.get_bool().get(on) && !on;
}

std::size_t size_of(element value) {
  array list;
  object map;
  if (!value.get_array().get(list)) return list.size();
  if (!value.get_object().get(map)) return map.size();
  return 1;
}

/// Keys that chat, responses and completions have in common. False: not one of them.
bool note_sampling(std::string_view key, element value, body_notes& notes) {
  double number = 0;
  const bool is_number = !value.get_double().get(number);
  std::string_view text;
  if (key == "temperature") {
    notes.note_unless(is_number && number == 1, feature::temperature, key);
    if (is_number && number > 1) notes.note(feature::temperature_above_1, key);
  } else if (key == "top_p") {
    notes.note_unless(is_number && number == 1, feature::top_p, key);
  } else if (key == "presence_penalty" || key == "frequency_penalty") {
    if (!is_number || number != 0) notes.note(feature::penalties, key);
  } else if (key == "seed") {
    notes.note(feature::seed, key);
  } else if (key == "n") {
    if (!is_number || number > 1) notes.note(feature::choices, key);
  } else if (key == "stop") {
    if (size_of(value) > 0) notes.note(feature::stop, key);
  } else if (key == "logprobs" || key == "top_logprobs") {
    notes.note(feature::logprobs, key);
  } else if (key == "logit_bias") {
    if (size_of(value) > 0) notes.note(feature::logit_bias, key);
  } else if (key == "service_tier") {
    const bool usual = !value.get_string().get(text) && (text == "auto" || text == "default");
    if (!usual) notes.note(feature::service_tier, key);
  } else if (key == "stream") {
    if (!is_false(value)) notes.wrong(key, "false");
  } else {
    return false;
  }
  return true;
}

void walk_completion(const object& body, body_notes& notes) {
  for (const auto [key, value] : body) {
    if (value.is_null() || is_harmless(key) || note_sampling(key, value, notes)) continue;
    if (key != "prompt" && key != "max_tokens") notes.note(feature::unknown_parameter, key);
  }
}

/// One part of an input item's content.
void note_part(element part, body_notes& notes) {
  object fields;
  if (part.get_object().get(fields)) return notes.wrong("input[].content", "a list of objects");
  const auto type = text_at(fields, "type");
  if (type == "input_text" || type == "output_text" || type == "refusal") return;
  if (type == "input_image" && !text_at(fields, "image_url").empty()) {
    const bool inlined = text_at(fields, "image_url").starts_with("data:");
    notes.note(inlined ? feature::image_data : feature::image_url, "input[].content[].image_url");
  } else if (type == "input_image" || type == "input_file") {
    notes.note(feature::file_input, "input[].content[]." + std::string(type));
  } else if (type == "input_audio") {
    notes.note(feature::audio, "input[].content[].input_audio");
  } else {
    notes.note(feature::unknown_content, "input[].content[]");
  }
}

void note_input(element input, body_notes& notes) {
  std::string_view text;
  array items;
  if (!input.get_string().get(text)) return;
  if (input.get_array().get(items)) return notes.wrong("input", "a string or a list of items");
  for (const element item : items) {
    object fields;
    if (item.get_object().get(fields)) {
      notes.wrong("input", "a list of objects");
      continue;
    }
    const auto type = text_at(fields, "type");
    if (type == "function_call" || type == "function_call_output")
      notes.note(feature::tools, "input[]." + std::string(type));
    else if (!type.empty() && type != "message" && type != "reasoning")
      notes.note(feature::unknown_content, "input[]");
    if (const auto parts = array_at(fields, "content"); parts && type != "reasoning")
      for (const element part : *parts) note_part(part, notes);
  }
}

void note_responses_tools(element tools, body_notes& notes) {
  if (size_of(tools) == 0) return;
  notes.note(feature::tools, "tools");
  array list;
  if (tools.get_array().get(list)) return notes.wrong("tools", "a list");
  for (const element tool : list) {
    object fields;
    bool strict = false;
    if (tool.get_object().get(fields) || text_at(fields, "type") != "function")
      notes.note(feature::unknown_content, "tools");
    else if (!fields.at_key("strict").get_bool().get(strict) && strict)
      notes.note(feature::strict_tools, "tools[].strict");
  }
}

void note_responses_choice(element choice, body_notes& notes) {
  std::string_view word;
  object fields;
  if (!choice.get_string().get(word)) {
    if (word == "required") notes.note(feature::tool_choice, "tool_choice");
  } else if (!choice.get_object().get(fields) && text_at(fields, "type") == "function") {
    notes.note(feature::tool_choice, "tool_choice");
  } else {
    notes.note(feature::unknown_content, "tool_choice");
  }
}

void note_members(std::string_view key, element value, body_notes& notes) {
  object fields;
  if (value.get_object().get(fields)) return notes.wrong(key, "an object");
  for (const auto [name, member] : fields) {
    if (member.is_null()) continue;
    const auto path = std::string(key) + "." + std::string(std::string_view(name));
    object format;
    std::string_view word;
    if (path == "reasoning.effort") {
      if (!member.get_string().get(word)) notes.effort = word;
      notes.note(word == "none" ? feature::reasoning_off : feature::reasoning_effort, path);
    } else if (path == "text.verbosity") {
      notes.note_unless(!member.get_string().get(word) && word == "medium", feature::verbosity,
                        path);
    } else if (path == "text.format" && !member.get_object().get(format)) {
      const auto type = text_at(format, "type");
      if (type == "json_object") notes.note(feature::json_object, path);
      if (type == "json_schema") notes.note(feature::json_schema, path);
    } else {
      notes.note(feature::unknown_parameter, path);
    }
  }
}

void note_include(element list, body_notes& notes) {
  array names;
  std::string_view name;
  if (list.get_array().get(names)) return notes.wrong("include", "a list");
  for (const element item : names) {
    const bool logprobs = !item.get_string().get(name) && name == "message.output_text.logprobs";
    notes.note(logprobs ? feature::logprobs : feature::unknown_parameter, "include");
  }
}

void walk_responses(const object& body, body_notes& notes) {
  for (const auto [key, value] : body) {
    if (value.is_null() || is_harmless(key) || note_sampling(key, value, notes)) continue;
    std::string_view text;
    if (key == "input") {
      note_input(value, notes);
    } else if (key == "tools") {
      note_responses_tools(value, notes);
    } else if (key == "tool_choice") {
      note_responses_choice(value, notes);
    } else if (key == "parallel_tool_calls") {
      if (is_false(value)) notes.note(feature::parallel_tool_calls, key);
    } else if (key == "include") {
      note_include(value, notes);
    } else if (key == "reasoning" || key == "text") {
      note_members(key, value, notes);
    } else if (key == "previous_response_id" || key == "conversation" || key == "prompt") {
      notes.note(feature::unknown_content, key);  // what is asked lies on one provider's disks
    } else {
      const bool usual =
          key == "instructions" || key == "max_output_tokens" ||
          (key == "background" && is_false(value)) ||
          (key == "truncation" && !value.get_string().get(text) && text == "disabled");
      if (!usual) notes.note(feature::unknown_parameter, key);
    }
  }
  notes.note_pairs();
}

void note_embedding_input(element input, body_notes& notes, std::vector<std::string>* texts) {
  constexpr std::string_view key = "input";
  std::string_view text;
  array list;
  if (!input.get_string().get(text)) {
    if (texts) texts->emplace_back(text);
    return;
  }
  if (input.get_array().get(list) || list.size() == 0)
    return notes.wrong(key, "a string or a list");
  bool token_ids = false;
  for (const element item : list) {
    std::int64_t id = 0;
    array ids;
    if (!item.get_string().get(text)) {
      if (texts) texts->emplace_back(text);
    } else if (!item.get_int64().get(id)) {
      token_ids = true;
    } else if (!item.get_array().get(ids)) {
      notes.note(feature::embedding_tokens, key);
    } else {
      notes.wrong(key, "strings or token ids");
    }
  }
  if (token_ids)  // a list of numbers is one text
    notes.note(feature::embedding_tokens, key);
  else if (list.size() > 1)
    notes.note(feature::embedding_many, key);
}

void walk_embedding(const object& body, body_notes& notes, embedding_request* into) {
  bool asked = false;
  for (const auto [key, value] : body) {
    if (value.is_null() || is_harmless(key)) continue;
    std::string_view text;
    std::int64_t count = 0;
    if (key == "input") {
      if (asked) notes.wrong(key, "to be given once");
      asked = true;
      note_embedding_input(value, notes, into ? &into->texts : nullptr);
    } else if (key == "dimensions") {
      notes.note(feature::dimensions, key);
      if (value.get_int64().get(count) || count < 1) notes.wrong(key, "a whole number from 1");
      if (into) into->dimensions = count;
    } else if (key == "encoding_format") {
      if (value.get_string().get(text) || (text != "float" && text != "base64"))
        notes.wrong(key, "float or base64");
      else if (text == "base64")
        notes.note(feature::base64_vectors, key);
    } else if (key != "stream" || !is_false(value)) {
      notes.note(feature::unknown_parameter, key);
    }
  }
  if (!asked) notes.wrong("input", "a string or a list");
}

void walk(const prompt_view& prompt, body_notes& notes) {
  if (prompt.url == url_of(endpoint_kind::chat_completions))
    return walk_chat(prompt.body, notes, nullptr);
  const parsed_json json = parse_json(prompt.body);
  object body;
  if (!json.ok || json.root.get_object().get(body)) return notes.wrong("body", "a JSON object");
  if (prompt.url == url_of(endpoint_kind::responses))
    walk_responses(body, notes);
  else if (prompt.url == url_of(endpoint_kind::embeddings))
    walk_embedding(body, notes, nullptr);
  else
    walk_completion(body, notes);
}

}  // namespace

void body_notes::note_pairs() {
  const auto pair = [&](prompt_feature made, prompt_features of) {
    if (!(features & of).empty()) features |= made;
    if (!names) return;
    for (std::size_t i = 0, noted = names->size(); i < noted; ++i)
      if (of.has((*names)[i].first)) names->emplace_back(made, std::string((*names)[i].second));
  };
  const bool thinks = effort != "none";
  if (thinks) pair(feature::sampling_with_reasoning, sampling_features);
  if (thinks) pair(feature::tools_with_reasoning, feature::tools);
  if (thinks && !effort.empty()) {
    pair(feature::sampling_with_effort, feature::temperature | feature::top_p);
    pair(feature::forced_with_effort, feature::tool_choice);
    if (short_answer) pair(feature::effort_without_room, feature::reasoning_effort);
  }
  const bool lukewarm =
      features.has(feature::temperature) && !features.has(feature::temperature_above_1);
  if (lukewarm && features.has(feature::top_p))
    pair(feature::temperature_with_top_p, feature::top_p);
  if (features.has(feature::tools)) {
    pair(feature::tools_with_json_object, feature::json_object);
    pair(feature::tools_with_json_schema, feature::json_schema);
  }
}

prompt_features features_of(const prompt_view& prompt) {
  body_notes notes;
  walk(prompt, notes);
  return notes.features;
}

std::vector<std::string> parameters_of(const prompt_view& prompt, prompt_features features) {
  std::vector<std::pair<prompt_feature, std::string>> found;
  body_notes notes;
  notes.names = &found;
  walk(prompt, notes);
  std::vector<std::string> names;
  for (auto& [carried, name] : found)
    if (features.has(carried)) names.push_back(std::move(name));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

result<embedding_request> read_embedding(std::string_view text) {
  body_notes notes;
  embedding_request out;
  const parsed_json json = parse_json(text);
  object body;
  if (!json.ok || json.root.get_object().get(body))
    notes.wrong("body", "a JSON object");
  else
    walk_embedding(body, notes, &out);
  if (!notes.problem.empty()) return failure{failure_kind::usage, "body." + notes.problem};
  out.features = notes.features;
  return out;
}

}  // namespace spillway
