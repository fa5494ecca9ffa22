// Secrets kept out of texts that others wrote: errors of brokers and providers quote what they were
// sent.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

/// Every one of these secrets as "***", also where the text's end cuts one short.
[[nodiscard]] std::string masked(std::string text, std::span<const std::string> secrets);

/// What looks like a key or a token as "***": known beginnings, what follows "Bearer", long words
/// that nobody would choose. Names of models, regions, roles and errors stay.
[[nodiscard]] std::string masked_lookalikes(std::string_view text);

/// The secrets in header lines that an authenticator wrote: keys, tokens, ids and signatures.
[[nodiscard]] std::vector<std::string> secrets_in(std::string_view header_lines);

}  // namespace spillway
