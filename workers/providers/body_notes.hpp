// What is noticed while a prompt's body is read: features, which keys carry them, wrong shapes.
#pragma once

#include "schemas/features.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway {

struct chat_request;

struct body_notes {
  prompt_features features;
  std::string problem;        ///< the first shape that no lane could make sense of; empty when none
  std::string effort;         ///< how hard the prompt says to think; empty when it does not
  bool short_answer = false;  ///< limited to `thinking_tokens_min` or less
  /// When set, receives the key behind each feature.
  std::vector<std::pair<prompt_feature, std::string>>* names = nullptr;

  void note(prompt_feature feature, std::string_view key) { note_unless(false, feature, key); }
  /// A key with a `usual` value says what goes without saying: nobody has to pass it on, but
  /// whoever refuses the key must not see it.
  void note_unless(bool usual, prompt_feature feature, std::string_view key) {
    if (!usual) features |= feature;
    if (names) names->emplace_back(feature, key);
  }
  /// Adds the features that are pairs, once everything is noted.
  void note_pairs();
  /// A value of the wrong form: only the provider itself can say what it makes of it.
  void wrong(std::string_view key, std::string_view expected) {
    if (problem.empty()) problem = std::string(key) + ": expected " + std::string(expected);
    note(prompt_feature::unknown_content, key);
  }
};

/// Reads a chat body once, filling `into` unless it is null.
void walk_chat(std::string_view body, body_notes& notes, chat_request* into);

}  // namespace spillway
