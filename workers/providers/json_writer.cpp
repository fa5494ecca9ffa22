#include "workers/providers/json_writer.hpp"

#include "orchestrator/runtime/json_string.hpp"
#include "workers/providers/chat_answer.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace spillway {

namespace {

template <class Number>
void append_number(Number number, std::string& out) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

}  // namespace

void json_writer::separate() {
  if (out_.empty()) return;
  const char last = out_.back();
  if (last != '{' && last != '[' && last != ':') out_ += ',';
}

json_writer& json_writer::open(char bracket) {
  separate();
  out_ += bracket;
  return *this;
}

json_writer& json_writer::close(char bracket) {
  out_ += bracket;
  return *this;
}

json_writer& json_writer::key(std::string_view name) {
  separate();
  append_json_string(name, out_);
  out_ += ':';
  return *this;
}

json_writer& json_writer::text(std::string_view value) {
  separate();
  append_json_string(value, out_);
  return *this;
}

json_writer& json_writer::raw(std::string_view json) {
  separate();
  out_ += json.empty() ? "null" : json;
  return *this;
}

json_writer& json_writer::object_of(std::string_view text, std::string_view name) {
  std::string compact;
  if (is_json_object(text, compact)) return raw(compact);
  open('{');
  if (text.find_first_not_of(" \t\r\n") != std::string_view::npos) key(name).text(text);
  return close('}');
}

json_writer& json_writer::whole(std::int64_t number) {
  separate();
  append_number(number, out_);
  return *this;
}

json_writer& json_writer::value(double number) {
  separate();
  if (std::isfinite(number))
    append_number(number, out_);
  else
    out_ += "null";
  return *this;
}

}  // namespace spillway
