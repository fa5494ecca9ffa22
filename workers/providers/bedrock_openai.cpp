#include "workers/providers/bedrock_openai.hpp"

#include "workers/providers/bedrock_models.hpp"
#include "workers/providers/body_rewrite.hpp"
#include "workers/providers/chat_answer.hpp"
#include "workers/providers/json_reader.hpp"
#include "workers/providers/json_writer.hpp"
#include "workers/providers/text.hpp"

#include <algorithm>
#include <vector>

namespace spillway {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

/// "call_0", "call_12": a position, the same in every answer.
bool is_positional_id(std::string_view id) {
  constexpr std::string_view prefix = "call_";
  const auto number = id.substr(std::min(prefix.size(), id.size()));
  return id.starts_with(prefix) && !number.empty() && number.size() < 4 &&
         number.find_first_not_of("0123456789") == std::string_view::npos;
}

/// The content behind a leading <reasoning>…</reasoning>; one without an end is all reasoning.
std::string_view without_reasoning(std::string_view content) {
  constexpr std::string_view open = "<reasoning>", close = "</reasoning>";
  if (!content.starts_with(open)) return content;
  const auto end = content.find(close);
  if (end == std::string_view::npos) return {};
  content.remove_prefix(end + close.size());
  const auto first = content.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string_view() : content.substr(first);
}

/// Copies an answer member by member, changing content and ids on the way.
class answer_copy {
 public:
  answer_copy(bool inline_reasoning, std::string_view seed)
      : inline_reasoning_(inline_reasoning), seed_(seed) {}

  std::string copy(const object& root) {
    each(root, [&](std::string_view key, element value) {
      array list;
      if (key == "choices" && !value.get_array().get(list))
        items(list, [&](const object& choice) { this->choice(choice); });
      else
        json_.raw(json_of(value));
    });
    return std::move(out_);
  }

 private:
  template <class Member>
  void each(const object& fields, Member&& member) {
    json_.open('{');
    for (const auto [key, value] : fields) {
      json_.key(key);
      member(std::string_view(key), element(value));
    }
    json_.close('}');
  }
  template <class Item>
  void items(const array& list, Item&& item) {
    json_.open('[');
    for (const element value : list) {
      object fields;
      if (value.get_object().get(fields))
        json_.raw(json_of(value));
      else
        item(fields);
    }
    json_.close(']');
  }
  void choice(const object& fields) {
    each(fields, [&](std::string_view key, element value) {
      object message;
      if (key == "message" && !value.get_object().get(message))
        this->message(message);
      else
        json_.raw(json_of(value));
    });
  }
  void message(const object& fields) {
    each(fields, [&](std::string_view key, element value) {
      std::string_view text;
      array list;
      if (inline_reasoning_ && key == "content" && !value.get_string().get(text))
        json_.text(without_reasoning(text));
      else if (key == "tool_calls" && !value.get_array().get(list))
        items(list, [&](const object& call) { this->call(call); });
      else
        json_.raw(json_of(value));
    });
  }
  void call(const object& fields) {
    each(fields, [&](std::string_view key, element value) {
      std::string_view text;
      if (key == "id" && !value.get_string().get(text) && is_positional_id(text))
        json_.text(answer_id("call_", "", std::string(seed_) + '/' + std::string(text)));
      else
        json_.raw(json_of(value));
    });
  }

  bool inline_reasoning_;
  std::string_view seed_;
  std::string out_;
  json_writer json_{out_};
};

}  // namespace

prompt_features bedrock_openai_unmappable(endpoint_kind endpoint, const lane_config& lane,
                                          bool mantle) {
  using enum prompt_feature;
  prompt_features refused = image_url | service_tier;
  if (is_bedrock_gpt_oss(lane)) {
    refused |= logit_bias;
    if (!mantle) refused |= json_object | json_schema;  // silently ignored there
  } else if (is_bedrock_gpt(lane)) {
    refused |= sampling_with_reasoning | stop;
    if (endpoint == endpoint_kind::chat_completions && !mantle) refused |= tools_with_reasoning;
  } else if (base_model(lane.as).starts_with("xai.")) {
    refused |= penalties | stop;
  }
  if (mantle) refused |= choices;
  return refused;
}

std::string bedrock_openai_body(const prompt_view& prompt, const lane_config& lane,
                                prompt_features refused) {
  using kind = member_change::kind;
  std::vector<member_change> changes;
  if (lane.tier == lane_tier::flex)
    changes.push_back({kind::set, "service_tier", R"("flex")"});
  else if (lane.tier == lane_tier::priority)
    changes.push_back({kind::set, "service_tier", R"("priority")"});
  else
    changes.push_back({kind::remove, "service_tier"});
  if (prompt.url == url_of(endpoint_kind::chat_completions))
    changes.push_back({kind::rename, "max_tokens", "max_completion_tokens"});
  auto body = body_without(prompt, lane.as, refused, std::move(changes));
  limit_answer(body, prompt, lane);
  return body;
}

std::string tidied_chat_answer(std::string_view body, bool inline_reasoning) {
  const bool thoughts = inline_reasoning && body.find("reasoning") != std::string_view::npos;
  const bool calls = body.find("\"call_") != std::string_view::npos;
  if (!thoughts && !calls) return std::string(body);
  const parsed_json json = parse_json(body);
  object root;
  if (!json.ok || json.root.get_object().get(root)) return std::string(body);
  const auto id = text_at(root, "id");
  return answer_copy(inline_reasoning, id.empty() ? body : id).copy(root);
}

}  // namespace spillway
