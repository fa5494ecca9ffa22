#include "workers/providers/invoke.hpp"

#include "workers/providers/aws_error.hpp"
#include "workers/providers/bedrock_models.hpp"
#include "workers/providers/foreign_answer.hpp"
#include "workers/providers/json_reader.hpp"
#include "workers/providers/json_writer.hpp"

#include <charconv>

namespace spillway {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::string_view token_count_header = "x-amzn-bedrock-input-token-count";

enum class family { none, titan_1, titan_2, cohere_3, cohere_4 };

family family_of(const lane_config& lane) {
  const auto id = base_model(lane.as);
  if (id.starts_with("amazon.titan-embed-text-v2")) return family::titan_2;
  if (id.starts_with("amazon.titan-embed-text-v1") || id.starts_with("amazon.titan-embed-g1"))
    return family::titan_1;
  if (id.starts_with("cohere.embed-v4")) return family::cohere_4;
  if (id.starts_with("cohere.embed-")) return family::cohere_3;
  return family::none;
}

/// Adds what lies under a key: one vector, a list of them, or lists by their number format.
void take_vectors(element value, std::vector<std::string>& to) {
  object by_format;
  array list;
  element floats;
  if (is_vector(value)) {
    to.push_back(json_of(value));
  } else if (!value.get_array().get(list)) {
    for (const element item : list)
      if (is_vector(item)) to.push_back(json_of(item));
  } else if (!value.get_object().get(by_format) && !by_format.at_key("float").get(floats) &&
             floats.is_array()) {
    take_vectors(floats, to);
  }
}

std::optional<std::int64_t> counted_tokens(const http_response& response) {
  const auto text = response.header(token_count_header);
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && count >= 0 && count <= count_max ? std::optional(count) : std::nullopt;
}

}  // namespace

bool is_invoke_embedding(const lane_config& lane) { return family_of(lane) != family::none; }

prompt_features invoke_unmappable(const lane_config& lane) {
  using enum prompt_feature;
  prompt_features refused = embedding_tokens | unknown_parameter | unknown_content;
  const auto kind = family_of(lane);
  if (kind == family::titan_1 || kind == family::titan_2) refused |= embedding_many;
  if (kind == family::titan_1 || kind == family::cohere_3) refused |= dimensions;
  return refused;
}

std::string write_invoke_embedding(const embedding_request& request, const lane_config& lane) {
  std::string out;
  json_writer json(out);
  const auto kind = family_of(lane);
  json.open('{');
  if (kind == family::cohere_3 || kind == family::cohere_4) {
    json.text("input_type", "search_document").key("texts").open('[');
    for (const auto& text : request.texts) json.text(text);
    json.close(']').raw("embedding_types", R"(["float"])");
    if (request.dimensions && kind == family::cohere_4)
      json.value("output_dimension", *request.dimensions);
  } else {
    json.text("inputText", request.texts.empty() ? std::string_view() : request.texts.front());
    if (kind == family::titan_2) {
      if (request.dimensions) json.value("dimensions", *request.dimensions);
      json.value("normalize", true);
    }
  }
  json.close('}');
  return out;
}

foreign_embeddings read_invoke_embedding(const http_response& response) {
  foreign_embeddings out;
  {
    const parsed_json json = parse_json(response.body);
    object root;
    element vectors;
    if (json.ok && !json.root.get_object().get(root)) {
      if (!root.at_key("embedding").get(vectors)) take_vectors(vectors, out.answer.vectors_json);
      if (out.answer.vectors_json.empty() && !root.at_key("embeddings").get(vectors))
        take_vectors(vectors, out.answer.vectors_json);
      auto count = count_at(root, "inputTextTokenCount");
      if (!count) count = counted_tokens(response);
      out.answer.usage.known = count.has_value();
      out.answer.usage.input = count_of(count);
    }
  }
  if (out.answer.vectors_json.empty()) out.error = aws_failure_inside(response, "embedding");
  return out;
}

}  // namespace spillway
