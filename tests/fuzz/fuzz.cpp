#include "tests/fuzz/fuzz.hpp"

#include <simdjson.h>

#include <cstdio>
#include <cstdlib>

namespace spillway::fuzz {

void must(bool held, const char* promise) {
  if (held) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

bool is_json(std::string_view text) {
  simdjson::dom::parser parser;
  return parser.parse(simdjson::padded_string(text)).error() == simdjson::SUCCESS;
}

bool is_json_line(std::string_view text) {
  return text.find_first_of("\r\n") == std::string_view::npos && is_json(text);
}

namespace {

bool is_text_line(std::string_view text) {
  for (const auto c : text)
    if (static_cast<unsigned char>(c) < 0x20) return false;
  return simdjson::validate_utf8(text.data(), text.size());
}

}  // namespace

void check_outcome(const outcome& out) {
  must(out.body.empty() || is_json_line(out.body), "a body is one line of JSON");
  must(is_text_line(out.error_message) && out.error_message.size() <= 600, "a message is a line");
  must(is_text_line(out.error_code), "a code is a line");
  must(simdjson::validate_utf8(out.request_id), "a request id is text");
  const auto nothing = tokens(0);
  must(out.usage.input >= nothing && out.usage.cached >= nothing && out.usage.output >= nothing,
       "nothing used is below zero");
  must(!out.retry_after || *out.retry_after >= duration::zero(), "no wait is below zero");
  if (out.kind == outcome_kind::answered) {
    must(!out.body.empty(), "an answer has a body");
    must(out.error_code.empty() && out.error_message.empty(), "an answer is no error");
  } else {
    must(!out.error_code.empty() && !out.error_message.empty(), "a failure says why");
  }
  must((out.kind == outcome_kind::lane_down) == (out.down != down_cause::none),
       "a lane that is down has a cause");
}

std::uint8_t input::byte() {
  if (rest_.empty()) return 0;
  const auto first = static_cast<std::uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return first;
}

std::string input::line() {
  const auto end = rest_.find('\n');
  std::string out(rest_.substr(0, end));
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  return out;
}

namespace {

way make_way(std::string decoder, provider_kind kind, lane_surface surface, std::string endpoint,
             std::string model) {
  way made;
  made.decoder = std::move(decoder);
  made.pool.name = "p";
  made.pool.provider = kind;
  made.pool.endpoint = std::move(endpoint);
  made.pool.region = "us-east-1";
  made.pool.project = "proj";
  made.pool.location = "us-central1";
  made.pool.api_version = "2024-10-21";
  made.lane.model = "m";
  made.lane.as = std::move(model);
  made.lane.surface = surface;
  made.lane.max_output_tokens = tokens(512);
  made.adapter = make_provider(made.pool);
  return made;
}

}  // namespace

const std::vector<way>& ways() {
  using enum lane_surface;
  static const auto all = [] {
    std::vector<way> w;
    const auto add = [&](auto... parts) { w.push_back(make_way(parts...)); };
    add("openai", provider_kind::openai, openai, "https://api.openai.com/v1", "gpt-5.4-mini");
    const std::string azure = "https://r.openai.azure.com";
    add("openai", provider_kind::azure_openai, openai, azure + "/openai/v1", "mini");
    add("openai", provider_kind::openai_compatible, openai, "http://127.0.0.1:8000/v1", "m");
    const std::string aws = "https://bedrock-runtime.us-east-1.amazonaws.com";
    const std::string google = "https://us-central1-aiplatform.googleapis.com";
    add("openai", provider_kind::azure_openai, dated, azure, "mini");
    add("openai", provider_kind::bedrock, openai, aws, "openai.gpt-oss-120b-1:0");
    add("openai", provider_kind::vertex, openai, google, "openai/gpt-oss-120b-maas");
    add("converse", provider_kind::bedrock, converse, aws, "openai.gpt-oss-120b-1:0");
    add("converse", provider_kind::bedrock, converse, aws, "anthropic.claude-sonnet-4-5-v1:0");
    add("invoke", provider_kind::bedrock, invoke, aws, "amazon.titan-embed-text-v2:0");
    add("invoke", provider_kind::bedrock, invoke, aws, "cohere.embed-english-v3");
    add("generate_content", provider_kind::vertex, generate_content, google, "gemini-3-flash");
    add("generate_content", provider_kind::vertex, generate_content, google, "gemini-2.5-pro");
    add("predict", provider_kind::vertex, predict, google, "gemini-embedding-001");
    add("responses", provider_kind::vertex, responses, google, "gpt-5.4");
    add("responses", provider_kind::bedrock, responses, aws, "openai.gpt-5.4");
    add("messages", provider_kind::anthropic, messages, "https://api.anthropic.com", "claude-4");
    return w;
  }();
  return all;
}

call_result answered(int status, std::string_view body) {
  call_result call;
  call.written = true;
  call.response.status = status;
  call.response.body = body;
  call.done_at = time_point(std::chrono::seconds(1'800'000'000));
  return call;
}

}  // namespace spillway::fuzz
