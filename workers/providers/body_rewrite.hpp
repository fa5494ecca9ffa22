// Bodies that go out nearly as they came in: a few members set, renamed or left out.
#pragma once

#include "workers/provider.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

/// What becomes of one top-level member.
struct member_change {
  enum class kind {
    set,     ///< to `text`, raw JSON; added when it is not there
    rename,  ///< to the key `text`, unless that is there too and not null: then left out
    remove,
  } what = kind::remove;
  std::string_view key;
  std::string_view text = {};
};

/// The object with these changes; every other value stays, byte for byte. A body that is no JSON
/// object comes back as it is: prompts were validated when they were read.
[[nodiscard]] std::string rewrite_body(std::string_view body, std::span<const member_change>);

/// Puts a member in front of the others; the object has none of that name.
void add_member(std::string& body, std::string_view key, std::string_view json);

/// Limits the answer of a prompt of `url` that does not say how long it may be to what the lane
/// says, under the first key that OpenAI's form of it has (chat: `chat_key`).
void limit_answer(std::string& body, const prompt_view&, const lane_config&,
                  std::string_view chat_key = "max_completion_tokens");

/// The prompt's body with the lane's name for the model, without the members, at any depth, that
/// carry what is refused and may be dropped. `more` goes before that: what it sets stays.
[[nodiscard]] std::string body_without(const prompt_view&, std::string_view model,
                                       prompt_features refused,
                                       std::vector<member_change> more = {});

}  // namespace spillway
