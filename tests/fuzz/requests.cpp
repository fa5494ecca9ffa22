// Prompt lines as they are read, then what every lane makes of a prompt that is valid.
#include "connectors/jsonl.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace spillway;

void encode_everywhere(const prompt& p) {
  const auto body = p.view(p.body);
  const prompt_view view{.url = url_of(p.endpoint),
                         .body = body,
                         .model_offset = p.model.offset - p.body.offset,
                         .model_length = p.model.length};
  const auto wanted = features_of(view);
  static_cast<void>(parameters_of(view, wanted));
  for (const auto& way : fuzz::ways()) {
    if (!way.adapter->serves(p.endpoint, way.lane)) continue;
    const auto missing = wanted & way.adapter->unmappable(p.endpoint, way.lane);
    if (!missing.without(droppable_features).empty()) continue;
    const auto request = way.adapter->encode(view, way.lane);
    fuzz::must(fuzz::is_json(request.body), "a request's body is JSON");
    fuzz::must(request.target.starts_with('/') &&
                   request.target.find_first_of(" \r\n") == std::string::npos,
               "a target is a path");
    fuzz::must(
        request.headers.ends_with("\r\n") && request.headers.find("\r\n\r\n") == std::string::npos,
        "headers are whole lines");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static line_parser parser;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  for (const auto& one : split_lines(line, 1)) fuzz::must(one.length > 0, "no line is blank");
  std::string padded(line);
  padded.append(128, ' ');
  auto parsed = parser.parse(std::string_view(padded).substr(0, size));
  if (!parsed.code.empty()) {
    fuzz::must(!parsed.message.empty(), "a line that is refused says why");
    fuzz::must(parsed.custom_id_token.empty() || fuzz::is_json_line(parsed.custom_id_token),
               "an id is JSON");
    return 0;
  }
  parsed.value.text = line;
  encode_everywhere(parsed.value);
  return 0;
}
