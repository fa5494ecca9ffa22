// Answers of every provider: the status, the endpoint and the lane from the first bytes, then the
// body. SPILLWAY_FUZZ_DECODER names the lanes that this program is about.
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spillway;
  fuzz::input in(data, size);
  static const std::vector<const fuzz::way*> own = [] {
    std::vector<const fuzz::way*> out;
    for (const auto& w : fuzz::ways())
      if (w.decoder == SPILLWAY_FUZZ_DECODER) out.push_back(&w);
    return out;
  }();
  const auto& way = *own[in.below(own.size())];
  const auto kind = static_cast<endpoint_kind>(in.below(endpoint_kinds));
  if (!way.adapter->serves(kind, way.lane)) return -1;
  const auto choice = in.byte();
  const int status = choice < 128 ? 200 : 400 + (choice - 128);
  const auto out = way.adapter->decode(url_of(kind), fuzz::answered(status, in.rest()), way.lane);
  fuzz::check_outcome(out);
  fuzz::must(status == 200 || out.kind != outcome_kind::answered, "an error is no answer");
  return 0;
}
