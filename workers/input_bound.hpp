// Whether what a prompt's input may cost can be told from its body.
#pragma once

#include "workers/provider.hpp"

#include <string>

namespace spillway {

/// The parameter by which a prompt asks for input that its body does not hold, so that its bytes
/// bound no bill: an earlier answer, a stored template, a file's pages, what a provider's own tools
/// find. Empty when there is none. Images don't count: they are bounded one by one.
[[nodiscard]] std::string unbounded_input(const prompt_view&);

}  // namespace spillway
