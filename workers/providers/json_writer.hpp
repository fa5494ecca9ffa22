// JSON put together by appending: no tree, commas by themselves.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace spillway {

/// Whether a comma is due is read off the text so far, so the writer has no state of its own.
/// Begin with an empty text, or with one that ends in valid JSON so far. Texts must be valid UTF-8.
class json_writer {
 public:
  explicit json_writer(std::string& out) : out_(out) {}

  /// '{' or '['.
  json_writer& open(char bracket);
  /// '}' or ']'.
  json_writer& close(char bracket);
  json_writer& key(std::string_view name);
  json_writer& text(std::string_view value);
  /// Ready JSON; "null" when it is empty.
  json_writer& raw(std::string_view json);
  /// The text itself where it is a JSON object, as arguments of tools have to be; "{}" where it is
  /// empty; else an object with the text under `name`.
  json_writer& object_of(std::string_view text, std::string_view name);
  template <std::integral Whole>
  json_writer& value(Whole number) {
    if constexpr (std::same_as<Whole, bool>)
      return raw(number ? "true" : "false");
    else
      return whole(static_cast<std::int64_t>(number));
  }
  /// A number that is not finite reads null: JSON has no word for it.
  json_writer& value(double number);

  /// Members of an object.
  json_writer& text(std::string_view name, std::string_view value) { return key(name).text(value); }
  json_writer& raw(std::string_view name, std::string_view json) { return key(name).raw(json); }
  template <class Value>
  json_writer& value(std::string_view name, Value number) {
    return key(name).value(number);
  }

 private:
  void separate();
  json_writer& whole(std::int64_t number);

  std::string& out_;
};

}  // namespace spillway
