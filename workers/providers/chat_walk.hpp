// The reader of chat bodies: chat_reader.cpp has the keys of a body, chat_messages.cpp its
// messages.
#pragma once

#include "workers/providers/body_notes.hpp"
#include "workers/providers/chat.hpp"
#include "workers/providers/json_reader.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace spillway {

/// One pass over a body. Every key is either read or noted.
class chat_walk {
 public:
  chat_walk(body_notes& notes, chat_request* into)
      : notes_(notes), out_(into ? *into : scratch_), keep_(into != nullptr) {}

  void read(const simdjson::dom::object& body);

 private:
  using element = simdjson::dom::element;
  using object = simdjson::dom::object;

  struct key_reader {
    std::string_view key;
    void (chat_walk::*read)(std::string_view key, element value);
  };
  static const key_reader readers[];

  [[nodiscard]] std::string copy(std::string_view text) const {
    return keep_ ? std::string(text) : std::string();
  }
  [[nodiscard]] std::string copy_json(element value) const {
    return keep_ ? json_of(value) : std::string();
  }
  void read_text(std::string_view key, element value, std::string& to);
  void read_number(std::string_view key, element value, std::optional<double>& to);
  bool read_count(std::string_view key, element value, std::int64_t least, std::int64_t& to);

  void harmless(std::string_view, element) {}
  void messages(std::string_view key, element value);
  void user(std::string_view key, element value) { read_text(key, value, out_.user); }
  void tools_list(std::string_view key, element value);
  void choice(std::string_view key, element value);
  void parallel(std::string_view key, element value);
  void max_tokens(std::string_view key, element value);
  void max_completion_tokens(std::string_view key, element value);
  void heat(std::string_view key, element value);
  void nucleus(std::string_view key, element value);
  void penalty(std::string_view key, element value);
  void stop_texts(std::string_view key, element value);
  void seed_number(std::string_view key, element value);
  void choice_count(std::string_view key, element value);
  void want_logprobs(std::string_view key, element value);
  void top_logprobs_count(std::string_view key, element value);
  void bias(std::string_view key, element value);
  void format(std::string_view key, element value);
  void effort(std::string_view key, element value);
  void tier(std::string_view key, element value);
  void length(std::string_view key, element value);
  void streaming(std::string_view key, element value);
  void voices(std::string_view key, element) { notes_.note(prompt_feature::audio, key); }
  void modalities(std::string_view key, element value);
  void other_content(std::string_view key, element value);

  void message(element value);
  void role_of(const object& fields, chat_message& to);
  void content(element value, chat_message& to);
  void part(element value, chat_message& to);
  void image(element value, chat_message& to);
  void tool_calls(element value, chat_message& to);
  void tool(element value);
  void schema(const object& fields);
  void unknown(std::string_view where, std::string_view key, element value);

  body_notes& notes_;
  chat_request scratch_;
  chat_request& out_;
  bool keep_;
  bool completion_limit_ = false;
  bool begun_ = false;            ///< a message that is no instruction was read
  bool assistant_spoke_ = false;  ///< the last of those was an assistant's
};

}  // namespace spillway
