// Adds up what a prompt says, in whatever form it came. Private to the simulator's readers.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace spillway::simulated {

/// Length and hash of everything that a prompt says, and the order of its roles.
struct text_sum {
  std::int64_t bytes = 0;   ///< of text
  std::int64_t tokens = 0;  ///< counted otherwise: token ids, messages, images
  std::uint64_t hash = 0;
  std::int64_t messages = 0;
  bool starts_with_user = true, ends_with_user = true;
  bool alternates = true;  ///< no two messages in a row have the same role
  /// Messages whose role is none of these.
  std::int64_t not_user = 0, not_assistant = 0, not_model = 0;
  std::uint64_t last_role = 0;

  void text(std::string_view s);
  void role(std::string_view name);
  /// Whether all roles are "user" or the other one.
  [[nodiscard]] bool speaks_with_assistant() const { return not_user == messages - not_assistant; }
  [[nodiscard]] bool speaks_with_model() const { return not_user == messages - not_model; }
  [[nodiscard]] std::int64_t total() const { return (bytes + 3) / 4 + tokens; }
};

/// Depth 0 is the list of messages, depth 1 one message. False: the JSON is broken or too deep.
[[nodiscard]] bool walk(simdjson::ondemand::value, std::string_view key, int depth, text_sum&);

/// One text of an embeddings call.
struct embedded_text {
  std::uint64_t hash = 0;
  std::int64_t tokens = 0;
};
/// One text, one list of token ids, or a list of either.
[[nodiscard]] bool walk_inputs(simdjson::ondemand::value, text_sum&, std::vector<embedded_text>&);

/// False also for what is no value at all.
[[nodiscard]] bool is_null(simdjson::ondemand::value&);

}  // namespace spillway::simulated
