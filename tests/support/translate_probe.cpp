// What the adapters make of prompts and answers, for comparison with translators that were not
// written here. Reads JSON lines, writes one for each.
//
//   {"provider", "surface", "model", "body"}                 -> {"target", "body", "unmappable"}
//   {"provider", "surface", "model", "answer", "status", "url"} -> {"kind", "body", "error", …}
//
// `body` and `answer` are JSON texts within strings. `url` defaults to chat completions.
#include "connectors/jsonl.hpp"
#include "workers/provider.hpp"

#include <boost/json.hpp>

#include <iostream>
#include <string>

namespace spillway {
namespace {

namespace json = boost::json;

std::string text_of(const json::object& o, std::string_view key, std::string_view otherwise = {}) {
  const auto* found = o.if_contains(key);
  return found ? std::string(found->as_string()) : std::string(otherwise);
}

template <class Enum>
Enum named(std::string_view name, std::initializer_list<Enum> all) {
  for (const auto one : all)
    if (name == name_of(one)) return one;
  throw std::runtime_error("unknown name: " + std::string(name));
}

pool_config pool_of(const json::object& in) {
  using enum provider_kind;
  pool_config pool;
  pool.name = "probe";
  pool.provider = named(text_of(in, "provider"),
                        {openai, azure_openai, openai_compatible, bedrock, vertex, anthropic});
  pool.endpoint = text_of(in, "endpoint", "https://cloud.example");
  pool.region = "us-east-1";
  pool.project = "proj";
  pool.location = "us-central1";
  pool.api_version = "2024-10-21";
  return pool;
}

lane_config lane_of(const json::object& in) {
  lane_config lane;
  lane.model = "m";
  lane.as = text_of(in, "model", "m");
  using enum lane_surface;
  lane.surface =
      named(text_of(in, "surface", "openai"),
            {openai, dated, converse, invoke, generate_content, predict, responses, messages});
  return lane;
}

json::array names(prompt_features features) {
  json::array out;
  for (const auto name : names_of(features)) out.emplace_back(name);
  return out;
}

json::object encoded(const json::object& in, const provider& adapter, const lane_config& lane) {
  const auto body = text_of(in, "body");
  const auto url = text_of(in, "url", "/v1/chat/completions");
  const auto line =
      R"({"custom_id":"a","method":"POST","url":")" + url + R"(","body":)" + body + "}";
  line_parser parser;
  auto parsed = parser.parse(std::string_view(line + std::string(128, ' ')).substr(0, line.size()));
  if (!parsed.code.empty()) return {{"invalid", parsed.code + ": " + parsed.message}};
  auto& p = parsed.value;
  p.text = line;
  const prompt_view view{.url = url_of(p.endpoint),
                         .body = p.view(p.body),
                         .model_offset = p.model.offset - p.body.offset,
                         .model_length = p.model.length,
                         .limited = p.max_output > tokens{}};
  const auto missing = features_of(view) & adapter.unmappable(p.endpoint, lane);
  json::object out{{"unmappable", names(missing)},
                   {"refused", names(missing.without(droppable_features))},
                   {"served", adapter.serves(p.endpoint, lane)}};
  if (!missing.without(droppable_features).empty() || !adapter.serves(p.endpoint, lane)) return out;
  const auto request = adapter.encode(view, lane);
  out["target"] = request.target;
  out["body"] = request.body;
  return out;
}

json::object decoded(const json::object& in, const provider& adapter, const lane_config& lane) {
  call_result call;
  call.written = true;
  call.response.status = static_cast<int>(in.at("status").as_int64());
  call.response.body = text_of(in, "answer");
  const auto out = adapter.decode(text_of(in, "url", "/v1/chat/completions"), call, lane);
  return {{"answered", out.kind == outcome_kind::answered},
          {"code", out.error_code},
          {"message", out.error_message},
          {"body", out.body},
          {"input", out.usage.input.count()},
          {"cached", out.usage.cached.count()},
          {"output", out.usage.output.count()}};
}

}  // namespace
}  // namespace spillway

int main() {
  using namespace spillway;
  for (std::string line; std::getline(std::cin, line);) {
    const auto in = json::parse(line).as_object();
    const auto adapter = make_provider(pool_of(in));
    const auto lane = lane_of(in);
    const auto out =
        in.contains("answer") ? decoded(in, *adapter, lane) : encoded(in, *adapter, lane);
    std::cout << json::serialize(out) << "\n";
  }
}
