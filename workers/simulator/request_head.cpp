#include "workers/simulator/request_head.hpp"

#include <algorithm>
#include <charconv>

namespace spillway::simulated {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool same_name(std::string_view text, std::string_view lower_name) {
  return text.size() == lower_name.size() &&
         std::equal(text.begin(), text.end(), lower_name.begin(),
                    [](char a, char b) { return lower(a) == b; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

head_state read_request_line(std::string_view line, request_head& head) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == 0 || first == std::string_view::npos || last == first) return head_state::malformed;
  head.method = line.substr(0, first);
  head.path = line.substr(first + 1, last - first - 1);
  const auto version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return head_state::malformed;
  head.keep_alive = version == "HTTP/1.1";
  if (!head.path.starts_with('/')) return head_state::malformed;
  const auto mark = head.path.find('?');
  if (mark != std::string_view::npos) head.query = head.path.substr(mark + 1);
  head.path = head.path.substr(0, mark);
  return head_state::complete;
}

head_state read_length(std::string_view value, request_head& head) {
  const char* end = value.data() + value.size();
  const auto [stop, ec] = std::from_chars(value.data(), end, head.content_length);
  if (ec == std::errc::result_out_of_range) return head_state::body_too_large;
  if (ec != std::errc() || stop != end) return head_state::malformed;
  return head.content_length > body_bytes_max ? head_state::body_too_large : head_state::complete;
}

head_state read_field(std::string_view line, request_head& head) {
  const auto colon = line.find(':');
  if (colon == 0 || colon == std::string_view::npos) return head_state::malformed;
  const auto name = line.substr(0, colon);
  const auto value = trimmed(line.substr(colon + 1));
  switch (name.size()) {  // most fields are ruled out by their length
    case 6:
      if (same_name(name, "expect")) head.expects_continue = same_name(value, "100-continue");
      break;
    case 7:
      if (same_name(name, "api-key")) head.api_key = value;
      break;
    case 9:
      if (same_name(name, "x-api-key")) head.x_api_key = value;
      break;
    case 10:
      if (!same_name(name, "connection")) break;
      if (same_name(value, "close")) head.keep_alive = false;
      if (same_name(value, "keep-alive")) head.keep_alive = true;
      break;
    case 13:
      if (same_name(name, "authorization")) head.authorization = value;
      break;
    case 14:
      if (same_name(name, "content-length")) return read_length(value, head);
      break;
    case 17:
      if (same_name(name, "transfer-encoding")) return head_state::length_required;
      if (same_name(name, "anthropic-version")) head.anthropic_version = value;
      break;
    default: break;
  }
  return head_state::complete;
}

}  // namespace

parsed_head parse_head(std::string_view bytes) {
  parsed_head parsed;
  const auto end = bytes.substr(0, head_bytes_max).find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() >= head_bytes_max) parsed.state = head_state::too_large;
    return parsed;
  }
  parsed.size = end + 4;
  std::string_view rest = bytes.substr(0, end);
  const auto next_line = [&rest] {
    const auto stop = rest.find("\r\n");
    const auto line = rest.substr(0, stop);
    rest.remove_prefix(stop == std::string_view::npos ? rest.size() : stop + 2);
    return line;
  };
  parsed.state = read_request_line(next_line(), parsed.head);
  parsed.head.fields = rest;
  while (parsed.state == head_state::complete && !rest.empty())
    parsed.state = read_field(next_line(), parsed.head);
  return parsed;
}

}  // namespace spillway::simulated
