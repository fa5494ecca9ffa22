// What may be said of a failed call where anyone looks: logs, status pages, metrics, the audit log.
#pragma once

#include "schemas/outcome.hpp"

#include <span>
#include <string>
#include <string_view>

namespace spillway {

struct told_failure {
  std::string code;
  std::string text;  ///< one line: the code and the provider's message
};

/// Without secrets, and without the message where it quotes the prompt: only an error row may hold
/// that. `body` is the prompt's, `secrets` are those the call was sent with.
[[nodiscard]] told_failure tell_failure(const outcome&, std::string_view body,
                                        std::span<const std::string> secrets);

/// Whether a message holds 16 bytes in a row of one of the body's texts, or the whole of a short
/// one. Escapes, white space and case make no difference.
[[nodiscard]] bool quotes_prompt(std::string_view message, std::string_view body);

}  // namespace spillway
