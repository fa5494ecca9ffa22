// Response headers, one "name: value" a line, on an error of any provider.
#include "workers/providers/headers.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spillway;
  fuzz::input in(data, size);
  const auto& way = fuzz::ways()[in.below(fuzz::ways().size())];
  auto call = fuzz::answered(400 + in.byte() % 200, R"({"message":"no"})");
  while (!in.rest().empty()) {
    const auto line = in.line();
    const auto colon = line.find(": ");
    if (colon == std::string::npos) continue;
    call.response.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    static_cast<void>(parse_http_date(line.substr(colon + 2)));
    if (const auto reset = parse_reset(line.substr(colon + 2)))
      fuzz::must(*reset >= duration::zero(), "no reset lies behind us");
  }
  const auto wait = read_retry_after(call.response, call.done_at);
  fuzz::must(!wait || (*wait >= duration::zero() && *wait <= retry_after_max), "a wait is bounded");
  for (const auto kind :
       {endpoint_kind::chat_completions, endpoint_kind::responses, endpoint_kind::embeddings}) {
    if (!way.adapter->serves(kind, way.lane)) continue;
    fuzz::check_outcome(way.adapter->decode(url_of(kind), call, way.lane));
    break;
  }
  return 0;
}
