#include "workers/simulator/call_reader.hpp"

#include "workers/simulator/body_pass.hpp"
#include "workers/simulator/hash.hpp"
#include "workers/simulator/web_text.hpp"

#include <algorithm>

namespace spillway::simulated {
namespace {

namespace json = simdjson::ondemand;

constexpr std::size_t marker_bytes_max = 256;

std::string_view find_marker(std::string_view body) {
  constexpr std::string_view opening = "[[id:";
  const auto at = body.find(opening);
  if (at == std::string_view::npos) return {};
  const auto rest = body.substr(at + opening.size(), marker_bytes_max);
  const auto marker = rest.substr(0, std::min(rest.find("]]"), rest.size()));
  const bool complete = marker.size() < rest.size();
  if (!complete || marker.find_first_of("\"\\") != std::string_view::npos) return {};
  return marker;
}

/// Undoes percent-encoding into `buffer`; a text without any stays where it is.
std::string_view decoded(std::string_view text, std::string& buffer) {
  if (text.find('%') == std::string_view::npos) return text;
  buffer = percent_decoded(text);
  return buffer;
}

}  // namespace

struct call_reader::parser {
  json::parser json;
  std::vector<embedded_text> texts;
  std::string path_model;
  wishes wished;
  granted_wishes granted;
};

call_reader::call_reader() : parser_(std::make_unique<parser>()) {
  static_assert(padding >= simdjson::SIMDJSON_PADDING);
}
call_reader::~call_reader() = default;

const call_facts* call_reader::read(call_kind kind, std::string_view body,
                                    std::string_view path_model) {
  std::vector<std::uint64_t> inputs = std::move(facts_.inputs);
  std::vector<std::int64_t> sizes = std::move(facts_.input_sizes);
  inputs.clear();
  sizes.clear();
  facts_ = call_facts{};
  facts_.inputs = std::move(inputs);
  facts_.input_sizes = std::move(sizes);
  facts_.kind = kind;
  facts_.marker = find_marker(body);
  parser_->texts.clear();
  parser_->wished = {};
  json::document document;
  const simdjson::padded_string_view padded(body.data(), body.size(), body.size() + padding);
  if (parser_->json.iterate(padded).get(document)) {
    problem_ = {"We could not parse the JSON body of your request.", ""};
    return nullptr;
  }
  const std::string_view model = decoded(path_model, parser_->path_model);
  body_pass pass(facts_, parser_->wished, parser_->texts, problem_);
  if (!pass.run(document, model)) return nullptr;
  for (const auto& text : parser_->texts) {
    facts_.inputs.push_back(text.hash);
    facts_.input_sizes.push_back(text.tokens);
  }
  if (kind == call_kind::completions)
    facts_.choices *= std::max<std::int64_t>(1, static_cast<std::int64_t>(facts_.inputs.size()));
  return answer_wishes() ? &facts_ : nullptr;
}

bool call_reader::answer_wishes() {
  const wishes& wished = parser_->wished;
  if (wished.tool_choice.empty() && wished.format.empty() && !wished.json) return true;
  granted_wishes& granted = parser_->granted = {};
  if (!grant_wishes(facts_, wished, granted, problem_)) return false;
  facts_.tool = granted.tool;
  facts_.arguments = granted.arguments;
  facts_.json_text = granted.json_text;
  return true;
}

}  // namespace spillway::simulated
