#include "schemas/prompt.hpp"

#include <cstring>

namespace spillway {

std::string_view url_of(endpoint_kind kind) {
  switch (kind) {
    case endpoint_kind::chat_completions: return "/v1/chat/completions";
    case endpoint_kind::responses: return "/v1/responses";
    case endpoint_kind::embeddings: return "/v1/embeddings";
    case endpoint_kind::completions: return "/v1/completions";
  }
  return {};
}

std::string shard_bits::bytes() const {
  std::string out(sizeof words_, '\0');
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<char>((words_[i / 8] >> (8 * (i % 8))) & 0xff);
  while (!out.empty() && out.back() == '\0') out.pop_back();
  return out;
}

shard_bits shard_bits::from_bytes(std::string_view bytes) {
  shard_bits bits;
  for (std::size_t i = 0; i < bytes.size() && i < sizeof words_; ++i)
    bits.words_[i / 8] |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * (i % 8));
  return bits;
}

}  // namespace spillway
