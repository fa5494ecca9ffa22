// Parses the head of an HTTP/1.1 request in place: only what the simulator acts on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace spillway::simulated {

inline constexpr std::size_t head_bytes_max = 64u << 10;
inline constexpr std::uint64_t body_bytes_max = 64u << 20;

/// Views into the parsed bytes.
struct request_head {
  std::string_view method, path;   ///< the path without its query
  std::string_view query;          ///< what follows "?"; empty = nothing
  std::string_view fields;         ///< all header fields, as they came
  std::string_view authorization;  ///< value of Authorization
  std::string_view api_key;        ///< value of api-key
  std::string_view x_api_key;      ///< value of x-api-key
  std::string_view anthropic_version;
  std::uint64_t content_length = 0;
  bool keep_alive = true;
  bool expects_continue = false;
};

enum class head_state {
  complete,
  partial,          ///< more bytes are needed
  malformed,        ///< not HTTP/1.x: answer 400 and close
  too_large,        ///< head too large: answer 431 and close
  length_required,  ///< a chunked body: answer 411 and close
  body_too_large,   ///< answer 413 and close
};

struct parsed_head {
  head_state state = head_state::partial;
  request_head head;
  std::size_t size = 0;  ///< of the head, blank line included; where the body begins
};

[[nodiscard]] parsed_head parse_head(std::string_view bytes);

}  // namespace spillway::simulated
