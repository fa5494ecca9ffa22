#include "workers/providers/answer_parts.hpp"

#include "schemas/prompt.hpp"
#include "workers/providers/errors.hpp"
#include "workers/providers/json_each.hpp"

namespace spillway {

namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

/// Texts, or lists of token ids, under a key: one, or a list of them. 0: neither.
std::size_t inputs_at(const object& body, std::string_view key) {
  element value;
  array list;
  if (body.at_key(key).get(value)) return 0;
  if (value.is_string()) return 1;
  if (value.get_array().get(list) || list.size() == 0) return 0;
  return list.at(0).value_unsafe().is_number() ? 1 : list.size();
}

std::size_t inputs_of(std::string_view body, std::string_view key) {
  const parsed_json json = parse_json(body);
  object root;
  if (!json.ok || json.root.get_object().get(root)) return 0;
  return inputs_at(root, key);
}

std::size_t choices_of(const prompt_view& prompt) {
  const bool several = prompt.body.find(R"("n")") != std::string_view::npos;
  const bool texts = prompt.url == url_of(endpoint_kind::completions);
  if (!several && !texts) return 1;
  const parsed_json json = parse_json(prompt.body);
  object root;
  if (!json.ok || json.root.get_object().get(root)) return 0;
  const auto each = static_cast<std::size_t>(count_at(root, "n").value_or(1));
  return texts ? each * inputs_at(root, "prompt") : each;
}

/// Skips over the numbers, which are nearly all of such an answer.
std::size_t vectors_in(std::string& answer) {
  thread_local ondemand::parser parser;
  answer.reserve(answer.size() + simdjson::SIMDJSON_PADDING);
  ondemand::document root;
  ondemand::array data;
  std::size_t count = 0;
  const simdjson::padded_string_view text(answer.data(), answer.size(), answer.capacity());
  if (parser.iterate(text).get(root) || root["data"].get_array().get(data) ||
      data.count_elements().get(count))
    return 0;
  return count;
}

/// Whether there are so many, or none because a filter kept all of them back.
bool holds_choices(std::string_view answer, std::size_t asked) {
  const parsed_json json = parse_json(answer);
  object root;
  if (!json.ok || json.root.get_object().get(root)) return false;
  std::size_t count = 0;
  bool filtered = false;
  each_object(root, "choices", [&](const object& choice) {
    ++count;
    filtered = filtered || text_at(choice, "finish_reason") == "content_filter";
  });
  return count >= asked || filtered;
}

void fail(const error_report& report, provider_kind provider, outcome& out) {
  apply_rule(rule_for(source_of(provider), report), report, {}, out);
  out.error_code = report.code;
  out.error_message = report.message;
}

}  // namespace

void require_parts(const prompt_view& prompt, provider_kind provider, outcome& out) {
  if (out.kind != outcome_kind::answered || prompt.url == url_of(endpoint_kind::responses)) return;
  if (prompt.url == url_of(endpoint_kind::embeddings)) {
    const auto asked = inputs_of(prompt.body, "input");
    const auto got = asked == 0 ? 0 : vectors_in(out.body);
    if (got != asked)
      fail(malformed_answer("the answer has " + std::to_string(got) + " vectors for " +
                            std::to_string(asked) + " inputs"),
           provider, out);
    return;
  }
  const auto asked = choices_of(prompt);
  if (asked > 1 && !holds_choices(out.body, asked))
    fail(answer_with_fewer_choices("the answer has fewer than the " + std::to_string(asked) +
                                   " choices asked for"),
         provider, out);
}

}  // namespace spillway
