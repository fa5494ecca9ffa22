#include "workers/providers/predict.hpp"

#include "workers/providers/json_each.hpp"
#include "workers/providers/json_writer.hpp"

namespace spillway {

using simdjson::dom::object;

prompt_features predict_unmappable(std::string_view model) {
  prompt_features out = prompt_feature::embedding_tokens | prompt_feature::unknown_parameter |
                        prompt_feature::unknown_content;
  // The Gemini embeddings take one text a call.
  if (model.find("gemini-embedding") != std::string_view::npos)
    out |= prompt_feature::embedding_many;
  return out;
}

std::string write_predict(const embedding_request& request) {
  std::string body;
  json_writer out(body);
  out.open('{').key("instances").open('[');
  for (const std::string& text : request.texts) out.open('{').text("content", text).close('}');
  out.close(']');
  out.key("parameters").open('{');
  if (request.dimensions) out.value("outputDimensionality", *request.dimensions);
  // A text that is too long is an error here as elsewhere, not a vector of its beginning.
  out.value("autoTruncate", false).close('}').close('}');
  return body;
}

foreign_embeddings read_predict(std::string_view body) {
  foreign_embeddings out;
  const parsed_json json = parse_json(body);
  object root;
  if (!json.ok || json.root.get_object().get(root) || !array_at(root, "predictions")) {
    out.error = no_answer(body, "predictions");
    return out;
  }
  bool counted = true, whole = true;
  tokens input;
  each_object(root, "predictions", [&](const object& prediction) {
    const auto embeddings = object_at(prediction, "embeddings");
    const auto values = embeddings ? value_at(*embeddings, "values") : std::nullopt;
    if (!values || !is_vector(*values)) {
      whole = false;
      return;
    }
    out.answer.vectors_json.push_back(json_of(*values));
    const auto statistics = object_at(*embeddings, "statistics");
    double count = 0;  // Google writes it as 4 or 4.0
    if (statistics && !statistics->at_key("token_count").get_double().get(count) && count >= 0)
      input += count_of(static_cast<std::int64_t>(std::min(count, static_cast<double>(count_max))));
    else
      counted = false;
  });
  if (!whole || out.answer.vectors_json.empty()) {
    out.error = malformed_answer("a prediction has no vector");
    return out;
  }
  out.answer.usage.known = counted;
  if (counted) out.answer.usage.input = input;
  return out;
}

}  // namespace spillway
